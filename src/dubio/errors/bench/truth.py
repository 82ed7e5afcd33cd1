"""Known label errors: where they are and what they are, in memory or as a truth folder.

A truth folder (format 1) holds

=================== ====================================================================
``labels/ID.png``   masks with errors, in the stored values of the data set they came from
``clean/ID.png``    the mask before, of images that got errors
``truth/ID.png``    16 bits: number of the error (1 …) on its pixels, else 0; where there are errors
``errors.csv``      one row per error
``truth.json``      label space, encoding, options, counts, and all images with height and width
``space.json``      the label space by itself, for ``--label-space``
=================== ====================================================================
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import read_json
from dubio.core.labelspace import IndexMap, LabelSpace

FORMAT = 1
MAX_ERRORS = 65535
COLUMNS = (
    "image_id", "number", "kind", "given", "planted", "given_index", "planted_index", "size",
    "x0", "y0", "x1", "y1",
)  # fmt: skip


@dataclass(frozen=True)
class TruthError:
    """One known error.

    Attributes:
        image_id: the image.
        number: its number in the image's map, from 1.
        kind: ``drop``, ``swap``, … as planted; any word for errors known otherwise.
        given: class index that most of its pixels had before.
        planted: class index that most of them have in the faulty label.
        size: pixels.
        box: ``(x0, y0, x1, y1)``, right and bottom exclusive.
    """

    image_id: str
    number: int
    kind: str
    given: int
    planted: int
    size: int
    box: tuple[int, int, int, int]

    @property
    def called(self) -> str:
        """The kind that it is counted as."""
        return self.kind

    @property
    def concerned(self) -> int:
        """The class whose labels are wrong: the dropped object's, otherwise what the label says.

        The same rule as :func:`dubio.errors.choose.concerned_class` for findings: for these the class
        given is the faulty one, which here is called planted.
        """
        return self.given if self.kind == "drop" else self.planted


@dataclass(frozen=True)
class Truth:
    """Known errors of a set of images; maps are read when they are asked for.

    Attributes:
        space: label space of the classes.
        shapes: image id -> height and width; all images, also those without errors.
        errors: the errors, by image and number.
        encoding: how masks in ``folder`` are stored.
        folder: the truth folder; ``None`` in memory.
        maps: image id -> map, in memory.
        left_out: image id -> why its label could not be used.
    """

    space: LabelSpace
    shapes: Mapping[str, tuple[int, int]]
    errors: tuple[TruthError, ...]
    encoding: str | None = None
    folder: Path | None = None
    maps: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict, repr=False)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """All images."""
        return tuple(self.shapes)

    @cached_property
    def by_image(self) -> Mapping[str, tuple[TruthError, ...]]:
        """The errors of each image that has some; number ``n`` stands at ``n - 1``."""
        found: dict[str, list[TruthError]] = {}
        for error in self.errors:
            found.setdefault(error.image_id, []).append(error)
        return {name: tuple(sorted(part, key=lambda e: e.number)) for name, part in found.items()}

    def map(self, image_id: str) -> npt.NDArray[np.int32]:
        """Number of the error on its pixels, 0 elsewhere, ``(H, W)`` int32.

        Raises:
            InputError: the truth doesn't know the image, or its map is missing or broken.
        """
        if image_id not in self.shapes:
            raise InputError(f"the truth has no image '{image_id}'", path=self.folder)
        if image_id not in self.by_image:
            return np.zeros(self.shapes[image_id], np.int32)
        if image_id in self.maps or self.folder is None:
            return np.asarray(self.maps[image_id], np.int32)
        from dubio.data.stored import read_stored

        path = self.folder / "truth" / f"{image_id}.png"
        values = read_stored(path).values
        shape = self.shapes[image_id]
        if values is None or values.shape != shape:
            raise InputError(f"is no map of {shape[0]} x {shape[1]} error numbers", path=path)
        return np.asarray(values, np.int32)

    def given_label(self, image_id: str) -> IndexMap:
        """The mask with errors, ``(H, W)`` class indices (truth folders only)."""
        return self._mask("labels", image_id)

    def clean_label(self, image_id: str) -> IndexMap:
        """The mask before errors were planted, ``(H, W)`` class indices (truth folders only)."""
        return self._mask("clean" if image_id in self.by_image else "labels", image_id)

    def _mask(self, part: str, image_id: str) -> IndexMap:
        from dubio.data.masks import read_mask

        if self.folder is None:
            raise InputError("this truth has no masks", remedy="read a truth folder")
        return read_mask(self.folder / part / f"{image_id}.png", self.space, self.encoding)

    def only(self, image_ids: Sequence[str]) -> Truth:
        """The same for some of the images, in the old order.

        Raises:
            InputError: an image that the truth doesn't know.
        """
        wanted = set(image_ids)
        strange = wanted - self.shapes.keys()
        if strange:
            raise InputError(f"the truth has no image '{min(strange)}'", path=self.folder)
        shapes = {k: v for k, v in self.shapes.items() if k in wanted}
        errors = tuple(e for e in self.errors if e.image_id in wanted)
        return Truth(self.space, shapes, errors, self.encoding, self.folder, self.maps)

    @classmethod
    def from_maps(
        cls,
        maps: Mapping[str, npt.ArrayLike],
        errors: Sequence[TruthError],
        space: LabelSpace,
    ) -> Truth:
        """Truth in memory.

        Args:
            maps: image id -> ``(H, W)`` integers, number of the error on its pixels, else 0; all images.
            errors: the errors, one for every number in the maps.
            space: the label space.

        Raises:
            InputError: a map isn't ``(H, W)``, or maps and errors don't name the same errors.
        """
        held = {name: np.asarray(array, np.int32) for name, array in maps.items()}
        for name, array in held.items():
            if array.ndim != 2:
                raise InputError(f"the map of image '{name}' has shape {array.shape}, not (H, W)")
        area = {
            (name, int(number)): int(count)
            for name, array in held.items()
            for number, count in zip(*np.unique(array[array != 0], return_counts=True), strict=True)
        }
        sizes = {(e.image_id, e.number): e.size for e in errors}
        if area != sizes or len(sizes) != len(errors):
            odd = min((area.items() ^ sizes.items()) or {((errors[0].image_id, 0), 0)})
            raise InputError(f"maps and list of errors differ at error {odd[0][1]} of image '{odd[0][0]}'")
        shapes = {name: (array.shape[0], array.shape[1]) for name, array in held.items()}
        return cls(space, shapes, tuple(errors), maps=held)


def read_truth(folder: str | Path) -> Truth:
    """Open a truth folder; maps and masks are read later.

    Raises:
        InputError: no truth folder, an unfinished one, or one of another format.
    """
    root = Path(folder)
    if not (root / "truth.json").is_file():
        raise InputError(
            "is no truth folder (it has no truth.json)",
            path=root,
            remedy="make one with: dubio benchmark plant",
        )
    data = read_json(root / "truth.json")
    try:
        if data["format"] != FORMAT:
            raise InputError(f"has format {data['format']}, not {FORMAT}", path=root / "truth.json")
        space = LabelSpace.from_dict(data["space"])
        shapes = {str(name): (int(h), int(w)) for name, (h, w) in data["images"].items()}
        errors = _read_errors(root / "errors.csv")
        strange = [e.image_id for e in errors if e.image_id not in shapes]
        if strange:
            raise InputError(f"names the unknown image '{strange[0]}'", path=root / "errors.csv")
        return Truth(space, shapes, errors, data["encoding"], root, left_out=data.get("left_out", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is malformed ({error!r})", path=root / "truth.json") from error


def error_of(row: Mapping[str, Any]) -> TruthError:
    """An error from a row of ``errors.csv``; values may be text."""
    return TruthError(
        str(row["image_id"]), int(row["number"]), str(row["kind"]), int(row["given_index"]),
        int(row["planted_index"]), int(row["size"]),
        (int(row["x0"]), int(row["y0"]), int(row["x1"]), int(row["y1"])),
    )  # fmt: skip


def _read_errors(path: Path) -> tuple[TruthError, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(error_of(row) for row in csv.DictReader(file))
    except OSError as error:
        raise InputError("can't be read", path=path) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"is malformed ({error!r})", path=path) from error
