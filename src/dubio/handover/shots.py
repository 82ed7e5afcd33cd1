"""Images with the findings to hand over, as annotation tools see them: names and sizes of the image files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import Sample
from dubio.data.images import image_size
from dubio.data.manifest import image_folder
from dubio.handover.audit_run import AuditRun
from dubio.handover.items import Item, by_image, resized


@dataclass(frozen=True)
class Shot:
    """One image to hand over.

    Args:
        sample: the sample.
        name: path of the image below the folder of the images, with slashes.
        height: of the image file, pixels; where there is none, of the label.
        width: of the same.
        items: the findings in it.
    """

    sample: Sample
    name: str
    height: int
    width: int
    items: tuple[Item, ...]

    def mask(self, item: Item) -> npt.NDArray[np.bool_]:
        """Region of a finding in pixels of the image, which may be of another size than the label."""
        mask = resized(item.mask(), (self.height, self.width))
        if mask.any():
            return mask
        # a region of a few pixels can fall between those of a smaller image: keep its middle
        f = item.finding
        y = min((f.y0 + f.y1) * self.height // (2 * f.height), self.height - 1)
        x = min((f.x0 + f.x1) * self.width // (2 * f.width), self.width - 1)
        mask[y, x] = True
        return mask

    def box(self, item: Item) -> tuple[float, float, float, float]:
        """Corners of a finding on a box, in pixels of the image."""
        x0, y0, x1, y1 = item.box()
        across, down = self.width / item.finding.width, self.height / item.finding.height
        return x0 * across, y0 * down, x1 * across, y1 * down


def shots(run: AuditRun, items: Sequence[Item], *, all_images: bool = False) -> list[Shot]:
    """Images with findings, in order of their ids; with ``all_images`` those without, too.

    Raises:
        InputError: a finding lies in an image that the data set hasn't.
    """
    groups = by_image(items)
    samples = run.samples()
    lost = [name for name in groups if name not in samples]
    if lost:
        raise InputError(f"the data set has no image '{lost[0]}'", path=run.path)
    base = image_folder(run.dataset)
    found = []
    for name in sorted(samples) if all_images else groups:
        sample, own = samples[name], tuple(groups.get(name, ()))
        size = _size(sample, own)
        if size is not None:
            found.append(Shot(sample, image_name(sample, base), *size, own))
    return found


def image_name(sample: Sample, base: Path | None) -> str:
    """Path of an image below a folder, with slashes; its id where there is no file."""
    if sample.image is None:
        return sample.image_id
    if base is not None and sample.image.is_relative_to(base):
        return sample.image.relative_to(base).as_posix()
    return sample.image.name


def _size(sample: Sample, items: Sequence[Item]) -> tuple[int, int] | None:
    """Height and width; ``None`` if neither image nor label tells."""
    if sample.image is not None:
        with suppress(InputError):
            return image_size(sample.image)
    if items:
        return items[0].finding.height, items[0].finding.width
    if sample.label is not None:
        with suppress(InputError):
            return image_size(sample.label)
    return None
