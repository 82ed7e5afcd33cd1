"""Trained detectors with both uncertainties: dropout samples, ensembles, augmented views."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import fingerprint
from dubio.core.labelspace import LabelSpace
from dubio.models.det.base import Change
from dubio.models.det.card import DetectorCard
from dubio.models.det.decode import EXACT, candidates
from dubio.models.det.fit import Placed, prepare
from dubio.models.det.heads import RawHead
from dubio.models.det.specs import InputSpec, Size
from dubio.models.det.torch.architecture import MULTIPLE
from dubio.models.det.torch.network import DetNetwork, RawDetections
from dubio.models.det.torch.select import MOST, heads_of
from dubio.models.det.torch.views import View, merge_views, plain, view_back
from dubio.models.pixels import Image
from dubio.models.torchdev import device_line, pick_device
from dubio.uncertainty.boxes.suppress import Suppression


@dataclass(frozen=True)
class Detecting:
    """How a trained detector is asked.

    Args:
        samples: dropout masks per network; 1 asks without dropout, as the network itself would.
        seed: of the masks, which are the same for every image.
        views: looks at each image, the plain one first (see :func:`dubio.models.det.torch.views.views`).
        suppression: how double detections are removed.
        decode: how boxes are decoded, one of :data:`dubio.uncertainty.boxes.METHODS`.
        batch_size: images per run.
        amp: mixed precision on a GPU.

    Raises:
        InputError: a value is impossible.
    """

    samples: int = 10
    seed: int = 0
    views: tuple[View, ...] = (plain,)
    suppression: Suppression = field(default_factory=Suppression)
    decode: str = "exact"
    batch_size: int = 4
    amp: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch_size < 1 or not self.views:
            raise InputError("a detector needs a sample, a view and a batch of one image at least")


class UncertainDetector:
    """One or several trained networks; a ``DetModel``.

    Samples of all networks are averaged box by box before suppression where their reference boxes agree:
    class scores and corners are means, the mean of the predicted variances is aleatoric, the variance of
    the corners epistemic. Views differ in their boxes and are merged after it.

    Args:
        networks: of equal reference boxes and classes.
        card: theirs.
        how: see :class:`Detecting`.
        device: ``auto``, ``cpu`` or ``cuda``.
        files: from which they came.

    Raises:
        InputError: networks that don't go together, or a decoding for which they have no variances.
    """

    def __init__(
        self,
        networks: Sequence[DetNetwork],
        card: DetectorCard,
        how: Detecting | None = None,
        *,
        device: str = "auto",
        files: Sequence[Path] = (),
    ) -> None:
        self.how = how or Detecting()
        self.card, self.files = card, tuple(files)
        self._device = pick_device(device)
        self.networks = [_ready(n, self._device) for n in networks]
        self._lock = threading.Lock()
        first = self.networks[0].architecture
        if self.how.decode not in EXACT and not first.variance:
            raise InputError(
                f"decoding '{self.how.decode}' needs predicted variances, which this detector hasn't",
                path=self.path,
                remedy="leave it out, or train the detector to predict them",
            )
        for other in self.networks[1:]:
            if _grid(other) != _grid(self.networks[0]):
                raise InputError(
                    f"an ensemble can't join {first.family} and {other.architecture.family} of other boxes",
                    remedy="train its members with the same architecture and classes",
                )

    @property
    def space(self) -> LabelSpace:
        """Label space of the class scores."""
        assert self.card.space is not None
        return self.card.space

    @property
    def size(self) -> Size:
        """Height and width of the input."""
        assert self.card.input.size is not None
        return self.card.input.size

    @property
    def path(self) -> Path | None:
        """Folder of the first network."""
        return self.files[0].parent if self.files else None

    @property
    def suppression(self) -> Suppression:
        """How double detections are removed."""
        return self.how.suppression

    @property
    def samples(self) -> int:
        """Dropout masks that are really used: 1 for networks without dropout."""
        return self.how.samples if self.networks[0].architecture.dropout else 1

    def describe(self) -> list[str]:
        """Sentences on the networks and how they are asked."""
        a, count = self.networks[0].architecture, len(self.networks)
        size = self.size
        parts = [f"{self.samples} dropout masks ({a.dropout_where})" if self.samples > 1 else "no dropout"]
        if count > 1:
            parts.append(f"{count} networks")
        if len(self.how.views) > 1:
            parts.append(f"{len(self.how.views)} views ({'; '.join(v.name for v in self.how.views)})")
        noise = "predicted by the heads" if a.variance else "not predicted"
        how = "" if self.how.decode == "exact" else f"; decoded by '{self.how.decode}'"
        return [
            f"model: dubio checkpoint, {a.family} on {a.backbone}, input {size[0]} x {size[1]}",
            f"classes: {len(self.space)} of '{self.space.name}', each with its own sigmoid",
            f"aleatoric variances of boxes: {noise}{how}",
            f"epistemic uncertainty: {', '.join(parts)}"
            + ("" if self._several else "; none without samples, an ensemble or views"),
            f"suppression: {self.how.suppression.describe()}",
            f"device: {device_line(self._device)}",
        ]

    @property
    def _several(self) -> bool:
        return self.samples * len(self.networks) * len(self.how.views) > 1

    def key(self) -> Any:
        """Plain data that changes whenever the detections may change."""
        how = {k: v for k, v in asdict(self.how).items() if k != "batch_size"}
        return {"files": fingerprint(self.files), "card": self.card.to_dict(), "how": how}

    def detect(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Detect objects in RGB images ``(H, W, 3)`` uint8 of any sizes.

        Returns:
            One prediction per image, after suppression.

        Raises:
            InputError: the network can't be run, or gives values that aren't finite.
        """
        return self.detect_changed(images, ids, lambda found: found)

    def detect_changed(
        self, images: Sequence[Image], ids: Sequence[str], change: Change
    ) -> list[DetPrediction]:
        """Detections, with the candidates of each view changed before suppression; see :meth:`detect`."""
        found = [self._view(images, ids, view, change) for view in self.how.views]
        if len(found) == 1:
            return found[0]
        limit = self.how.suppression.limit
        iou = self.how.suppression.iou
        return [merge_views(group, iou=iou, limit=limit) for group in zip(*found, strict=True)]

    def candidates(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Merged candidates of the plain view before suppression, from the suppression's score on."""
        return self._candidates(images, ids, plain)

    def raw(self, image: Image) -> RawHead:
        """What the networks say of the plain view of an image before decoding, all candidates."""
        batch, _ = self._prepared([image], self.card.input, self.size)
        return self._heads(batch, self.size, floor=0.0, most=None)[0]

    def _view(
        self, images: Sequence[Image], ids: Sequence[str], view: View, change: Change
    ) -> list[DetPrediction]:
        seen = [np.ascontiguousarray(i[:, ::-1]) if view.flip else i for i in images]
        raw = self._candidates(seen, ids, view)
        done = [self.how.suppression.apply(change(p)) for p in raw]
        return [view_back(p, view, i.shape[1]) for p, i in zip(done, images, strict=True)]

    def _candidates(self, images: Sequence[Image], ids: Sequence[str], view: View) -> list[DetPrediction]:
        height, width = (max(1, round(v * view.scale / MULTIPLE)) * MULTIPLE for v in self.size)
        spec = replace(self.card.input, size=(height, width))
        out: list[DetPrediction] = []
        for start in range(0, len(images), self.how.batch_size):
            part = slice(start, start + self.how.batch_size)
            out += self._batch(images[part], ids[part], spec, (height, width))
        return out

    def _batch(
        self, images: Sequence[Image], ids: Sequence[str], spec: InputSpec, size: Size
    ) -> list[DetPrediction]:
        batch, places = self._prepared(images, spec, size)
        heads = self._heads(batch, size, floor=self.how.suppression.score)
        return [self._decoded(*each) for each in zip(heads, places, ids, strict=True)]

    def _prepared(
        self, images: Sequence[Image], spec: InputSpec, size: Size
    ) -> tuple[torch.Tensor, list[Placed]]:
        prepared = [prepare(image, spec, size) for image in images]
        batch = torch.from_numpy(np.stack([p for p, _ in prepared])).to(self._device)
        return batch, [placed for _, placed in prepared]

    def _decoded(self, head: RawHead, placed: Placed, image_id: str) -> DetPrediction:
        if not all(np.isfinite(x).all() for x in (head.means, head.classes)):
            raise InputError(
                f"the detector gives values that aren't finite for image '{image_id}'",
                path=self.files[0] if self.files else None,
                remedy="switch mixed precision off",
            )
        how = self.how
        return candidates(
            head,
            self.card.outputs,
            placed,
            floor=how.suppression.score,
            method=how.decode,
            seed=how.seed,
            image_id=image_id,
        )

    def _heads(
        self, batch: torch.Tensor, size: Size, *, floor: float, most: int | None = MOST
    ) -> list[RawHead]:
        half = self.how.amp and self._device.type == "cuda"
        context: Any = torch.autocast("cuda", dtype=torch.bfloat16) if half else nullcontext()
        reference = torch.from_numpy(self.networks[0].architecture.reference(size)).to(self._device)
        try:
            # the masks live in the networks, and runs of two threads would mix
            with self._lock, torch.inference_mode(), context:
                raws = [self._sampled(n, k, batch) for k, n in enumerate(self.networks)]
                joined = _joined(raws)
                return heads_of(joined, reference, size, floor=floor, most=most)
        except torch.cuda.OutOfMemoryError as error:
            raise InputError("the GPU's memory is too small", remedy="lower --batch-size") from error

    def _sampled(self, network: DetNetwork, number: int, batch: torch.Tensor) -> RawDetections:
        wanted = self.samples if self.samples > 1 else 0
        asked = (wanted, self.how.seed + number)
        if network.drawn != asked:
            network.fix_dropout(*asked)
        found: RawDetections = network(batch)
        return found if wanted else found.map(lambda x: x[:, None])


def _ready(network: DetNetwork, device: torch.device) -> DetNetwork:
    return network.eval().to(device).to(memory_format=torch.channels_last)


def _grid(network: DetNetwork) -> tuple[Any, ...]:
    a = network.architecture
    return (a.family, a.classes, a.levels, a.scales, a.ratios, a.anchor_size, a.variance, bool(a.dropout))


def _joined(raws: Sequence[RawDetections]) -> RawDetections:
    """Samples of all networks along one axis."""
    spread = [r.log_variance for r in raws if r.log_variance is not None]
    return RawDetections(
        torch.cat([r.logits for r in raws], 1),
        torch.cat([r.boxes for r in raws], 1),
        torch.cat(spread, 1) if spread else None,
    )
