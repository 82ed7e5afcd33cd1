"""From columns over all boxes to a data set: classes resolved, bad boxes put aside, images sorted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, Floats
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.columns import PER_BOX, Columns, Faults, Ints
from dubio.data.boxes.doubts import sentence_on_places

LARGEST = 1e8  # pixels: no picture is as wide, and numbers of pixels stay whole numbers of 32 bits


class PackedLabels(Mapping[str, BoxLabels]):
    """Boxes by image id, kept as columns over all images; a record is made when it is asked for.

    Args:
        ids: image ids.
        columns: the columns of all boxes, sorted by image.
        starts: ``(images + 1,)`` where each image's boxes start.
        ignore: ignored regions of all images, sorted.
        ignore_starts: where each image's start.
    """

    def __init__(
        self,
        ids: Sequence[str],
        columns: Mapping[str, npt.NDArray[Any] | None],
        starts: Ints,
        ignore: Floats,
        ignore_starts: Ints,
    ) -> None:
        self.columns = columns
        self._number = {name: k for k, name in enumerate(ids)}
        self._starts, self._ignore, self._ignore_starts = starts, ignore, ignore_starts

    def __getitem__(self, image_id: str) -> BoxLabels:
        k = self._number[image_id]
        part = slice(self._starts[k], self._starts[k + 1])
        own = {name: values[part] for name, values in self.columns.items() if values is not None}
        return BoxLabels(**own, ignore=self._ignore[self._ignore_starts[k] : self._ignore_starts[k + 1]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._number)

    def __len__(self) -> int:
        return len(self._number)


def assemble(
    name: str,
    samples: Sequence[BoxSample],
    columns: Columns,
    faults: Faults,
    *,
    space: LabelSpace | None = None,
    aliases: Mapping[str, str] | None = None,
    foreign: Literal["fault", "ignore"] = "fault",
    notes: Sequence[str] = (),
) -> BoxDataset:
    """Make a data set of columns.

    Boxes that aren't finite, whose corners are swapped, or whose class ``space`` lacks are put aside.
    Boxes without area and boxes that leave their image are kept and counted.

    Args:
        name: name of the format.
        samples: images in the order of ``columns.image``.
        columns: the boxes.
        faults: takes what is put aside.
        space: label space; ``None``: the file's classes.
        aliases: other names (in lower case) of classes of ``space``.
        foreign: what becomes of boxes whose class ``space`` lacks: put aside, or ignored regions.
        notes: what the reader has to say.

    Raises:
        InputError: no image, no class, or a fault if ``faults.strict``.
    """
    if not samples:
        raise InputError("holds no images", path=faults.path, remedy="name the file or folder of a data set")
    if space is None and not columns.names:
        raise InputError("names no classes", path=faults.path, remedy="give a label space")
    own = space_of(name, columns.names, columns.class_ids) if space is None else space
    index = class_index(columns.names, own, aliases or {})
    # one more entry, so that -1 means unknown
    classes = np.append(index, -1)[columns.classes]
    if foreign == "ignore":
        columns, classes = _set_aside(columns, classes)
    keep = _sound(columns, classes, samples, faults)
    order = sorted(range(len(samples)), key=lambda k: samples[k].image_id)
    rank = np.empty(len(samples), np.int64)
    rank[order] = np.arange(len(samples))
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(rank[columns.image[rows]], kind="stable")]
    fine = np.flatnonzero(_ordered(columns.ignore))
    fine = fine[np.argsort(rank[columns.ignore_image[fine]], kind="stable")]
    counts = np.bincount(rank[columns.image[rows]], minlength=len(samples))
    table = {k: None if getattr(columns, k) is None else getattr(columns, k)[rows] for k in PER_BOX}
    table["classes"] = classes[rows]
    ids = [samples[k].image_id for k in order]
    ignored = np.bincount(rank[columns.ignore_image[fine]], minlength=len(samples))
    labels = PackedLabels(ids, table, _starts(counts), columns.ignore[fine], _starts(ignored))
    placed = tuple(samples[k] for k in order)
    said = [*_counted(name, table["boxes"], counts, placed, len(fine)), *notes, *_left_out(faults)]
    return BoxDataset(name, own, placed, labels, faults.path, tuple(said), tuple(faults.said))


def space_of(name: str, names: Sequence[str], ids: Sequence[int] | None = None) -> LabelSpace:
    """Label space of boxes: no void, colours chosen.

    Raises:
        InputError: no class, or an id or a name occurs twice.

    >>> space_of("demo", ["cat", "dog"]).index_of("dog")
    1
    """
    numbers = range(len(names)) if ids is None else ids
    pairs = zip(numbers, names, strict=True)
    return LabelSpace.from_dict(
        {"name": name, "classes": [{"id": k, "name": n} for k, n in pairs], "void": []}
    )


def columns_of(dataset: BoxDataset) -> tuple[Ints, dict[str, npt.NDArray[Any] | None]]:
    """Boxes of a data set as columns: the sample's number of each box, and the columns by name."""
    parts = [dataset.labels[s.image_id] for s in dataset]
    image = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    if isinstance(dataset.labels, PackedLabels) and list(dataset.labels) == [s.image_id for s in dataset]:
        return image, dict(dataset.labels.columns)
    found: dict[str, npt.NDArray[Any] | None] = {}
    for name in PER_BOX:
        listed = [getattr(p, name) for p in parts]
        if all(v is None for v in listed):
            found[name] = None
            continue
        empty: Any = "" if name == "ids" else np.nan
        listed = [np.full(len(p), empty) if v is None else v for p, v in zip(parts, listed, strict=True)]
        found[name] = np.concatenate(listed)
    return image, found


def with_unique_ids(samples: Sequence[BoxSample], faults: Faults) -> tuple[list[BoxSample], list[int]]:
    """Leave out images whose id has been met; returns the rest and each input's number in it (-1: none)."""
    kept: list[BoxSample] = []
    numbers: list[int] = []
    seen: set[str] = set()
    for sample in samples:
        if sample.image_id in seen:
            faults.add(f"image '{sample.image_id}'", "is listed a second time")
            numbers.append(-1)
            continue
        seen.add(sample.image_id)
        numbers.append(len(kept))
        kept.append(replace(sample))
    return kept, numbers


def _set_aside(columns: Columns, classes: Ints) -> tuple[Columns, Ints]:
    """Turn sound boxes of classes that the file lists and the space lacks into ignored regions."""
    away = (classes < 0) & (columns.classes >= 0) & (columns.image >= 0) & _ordered(columns.boxes)
    rest: dict[str, Any] = {
        k: None if getattr(columns, k) is None else getattr(columns, k)[~away] for k in PER_BOX
    }
    more = replace(
        columns,
        **rest,
        image=columns.image[~away],
        ignore_image=np.concatenate([columns.ignore_image, columns.image[away]]),
        ignore=np.concatenate([columns.ignore, columns.boxes[away]]),
    )
    return more, classes[~away]


def class_index(names: Sequence[str], space: LabelSpace, aliases: Mapping[str, str]) -> Ints:
    """Index in the label space of each name, in any case or by another name; -1: the space lacks it."""
    exact = {c: k for k, c in enumerate(space.names)}
    folded = {c.casefold(): k for c, k in reversed(exact.items())}
    index = []
    for name in names:
        low = name.casefold()
        near = folded.get(low, folded.get(aliases.get(low, low).casefold(), -1))
        index.append(exact.get(name, near))
    return np.array(index, np.int64)


def _ordered(boxes: Floats) -> npt.NDArray[np.bool_]:
    # NaN fails both comparisons
    return np.asarray(within_reach(boxes) & (boxes[:, 2:] >= boxes[:, :2]).all(1))


def within_reach(boxes: Floats) -> npt.NDArray[np.bool_]:
    """Whether all coordinates are finite and such as a picture may have; per box."""
    return np.asarray((np.abs(boxes) <= LARGEST).all(axis=1))


def _sound(
    columns: Columns, classes: Ints, samples: Sequence[BoxSample], faults: Faults
) -> npt.NDArray[np.bool_]:
    finite = np.asarray(np.isfinite(columns.boxes).all(axis=1))
    reached = within_reach(columns.boxes)
    ordered = _ordered(columns.boxes)
    known, placed = classes >= 0, columns.image >= 0
    keep = np.asarray(ordered & known & placed)
    for k in np.flatnonzero(~keep).tolist():
        where = f"image '{samples[columns.image[k]].image_id}'" if placed[k] else "an image that isn't listed"
        box = columns.boxes[k].tolist()
        if not placed[k]:
            faults.add(where, f"box {box}")
        elif not finite[k]:
            faults.add(where, f"the box {box} isn't finite")
        elif not reached[k]:
            faults.add(where, f"the box {box} reaches beyond any picture")
        elif not ordered[k]:
            faults.add(where, f"the box {box} has x2 < x1 or y2 < y1")
        else:
            local = int(columns.classes[k])
            said = f"class '{columns.names[local]}' is unknown" if local >= 0 else "its class isn't listed"
            faults.add(where, f"the box {box}: {said}")
    return keep


def _starts(counts: npt.NDArray[Any]) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _counted(
    name: str,
    boxes: npt.NDArray[Any] | None,
    counts: npt.NDArray[Any],
    samples: Sequence[BoxSample],
    ignored: int,
) -> list[str]:
    found = np.zeros((0, 4)) if boxes is None else boxes
    bare = int((counts == 0).sum())
    text = f"{len(samples)} images, {len(found)} boxes"
    text += f", {bare} images without boxes" if bare else ""
    text += f", {ignored} ignored regions" if ignored else ""
    pictures = sum(s.image is not None for s in samples)
    said = [text, f"{pictures} of {len(samples)} pictures are there"]
    flat = int((found[:, 2:] <= found[:, :2]).any(1).sum())
    if flat:
        said.append(f"{flat} boxes have no area")
    sizes = np.array([[s.width or np.inf, s.height or np.inf] for s in samples], np.float64)
    doubt = sentence_on_places(name, found, np.repeat(sizes, counts, axis=0))
    said += [] if doubt is None else [doubt]
    return said


def _left_out(faults: Faults) -> list[str]:
    if not faults.said:
        return []
    return [f"{len(faults.said)} records are left out (first: {faults.said[0]})"]
