"""Copies of a data set of boxes with errors planted into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels
from dubio.core.errors import InputError
from dubio.data.boxes import write_boxes
from dubio.errors.bench.box_truth import TRUTH, BoxError, BoxTruth, write_box_truth
from dubio.errors.boxes.plan import CALLED, KINDS, BoxErrorKind, PlantedBoxes
from dubio.errors.boxes.plant import check_kinds, plant_boxes
from dubio.errors.boxes.read import read_scene
from dubio.errors.boxes.scene import Floats, Scene
from dubio.errors.findings import Box

_PURPOSE = "benchmark boxes"
# Formats of one file; the others are folders.
_FILES = {"coco": ".json", "bdd100k": ".json", "cvat": ".xml", "label-studio": ".json", "csv": ".csv"}


@dataclass(frozen=True)
class BoxPlantOptions:
    """What to plant.

    Args:
        rate: expected errors per labelled box.
        kinds: kind (``drop``, ``swap``, ``location``, ``duplicate``, ``spurious``, ``merge``, ``split``) ->
            weight; ``None``: all alike, without the last two.
        burst: share of images that lose most of their boxes, of one class or of all.
        seed: seed; the errors of an image depend on it, its id and its boxes alone.
        layout: format in which labels are written.
    """

    rate: float = 0.05
    kinds: Mapping[BoxErrorKind, float] | None = None
    burst: float = 0.0
    seed: int = 0
    layout: str = "coco"

    def weights(self) -> dict[str, float]:
        """Weights of all kinds.

        Raises:
            InputError: an unknown kind, or no positive weight.
        """
        usual = {k: float(k not in ("merge", "split")) for k in KINDS}
        return check_kinds({str(k): v for k, v in (self.kinds or usual).items()})


def plant_box_errors(
    dataset: BoxDataset, options: BoxPlantOptions | None = None
) -> tuple[BoxDataset, BoxTruth]:
    """Plant errors into a copy of a data set of boxes, in memory.

    Args:
        dataset: labelled images.
        options: see :class:`BoxPlantOptions`.

    Returns:
        The copy (new boxes come last in their image), and where its errors are.

    Raises:
        InputError: no images, or bad options.
    """
    options = options or BoxPlantOptions()
    if not 0 <= options.burst <= 1:
        raise InputError(f"share of stricken images {options.burst} is not between 0 and 1")
    scene = read_scene(dataset, {})
    planted = plant_boxes(
        scene, seed=options.seed, purpose=_PURPOSE, rate=options.rate, kinds=options.weights(),
        burst=options.burst,
    )  # fmt: skip
    labels: dict[str, BoxLabels] = {}
    errors: list[BoxError] = []
    fresh = _fresh_ids(scene)
    for i, name in enumerate(scene.image_id):
        labels[name], found = _image(scene, planted, i, fresh)
        errors += found
    shapes = {s.image_id: (s.height or 0, s.width or 0) for s in dataset}
    return replace(dataset, labels=labels), BoxTruth(dataset.space, shapes, tuple(errors))


def plant_box_dataset(
    dataset: BoxDataset, out: str | Path, options: BoxPlantOptions | None = None
) -> BoxTruth:
    """Write a truth folder: the labels with errors, and where the errors are.

    Args:
        dataset: labelled images.
        out: the truth folder (see :mod:`dubio.errors.bench.box_truth`); new, or with the same truth.
        options: see :class:`BoxPlantOptions`.

    Returns:
        The truth; ``notes`` say what the format can't hold.

    Raises:
        InputError: no images, bad options, or a folder that holds something else.
    """
    import dubio

    options, root = options or BoxPlantOptions(), Path(out)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError("is not empty", path=root, remedy="choose another folder, or remove this one")
    faulty, truth = plant_box_errors(dataset, options)
    path = root / f"labels{_FILES.get(options.layout, '')}"
    root.mkdir(parents=True, exist_ok=True)
    notes = write_boxes(faulty, path, options.layout)
    whole = replace(truth, folder=root, labels=path, layout=options.layout, notes=tuple(notes))
    write_box_truth(whole, {"options": asdict(options), "dubio": dubio.__version__})
    return whole


def is_truth(folder: str | Path) -> bool:
    """Whether a folder holds a truth."""
    return (Path(folder) / TRUTH).is_file()


class _Fresh:
    """Names for boxes that are added: numbers beyond the given ones, or words."""

    def __init__(self, ids: list[str]) -> None:
        numbers = [int(v) for v in ids if v.isdecimal()]
        self.numbered = len(numbers) == len(ids)
        self.last = max(numbers, default=0) if self.numbered else 0

    def next(self) -> str:
        """One more."""
        self.last += 1
        return str(self.last) if self.numbered else f"planted-{self.last}"


def _fresh_ids(scene: Scene) -> _Fresh:
    return _Fresh([str(v) for labels in scene.labels if labels.ids is not None for v in labels.ids])


def _image(
    scene: Scene, planted: PlantedBoxes, image: int, fresh: _Fresh
) -> tuple[BoxLabels, list[BoxError]]:
    """The faulty labels of an image, and its errors."""
    before, g = scene.labels[image], planted.given
    rows = np.arange(g.start[image], g.start[image + 1])
    kept = rows[g.label[rows] >= 0]
    new = rows[g.label[rows] < 0]
    boxes, classes = before.boxes.copy(), before.classes.copy()
    boxes[g.label[kept]], classes[g.label[kept]] = g.box[kept], scene.classes[g.cls[kept]]
    area = None if before.area is None else np.where((boxes != before.boxes).any(1), np.nan, before.area)
    stay = before.crowd.copy()
    stay[g.label[kept]] = True
    old = np.flatnonzero(stay)
    changed = replace(before, boxes=boxes, classes=classes, area=area).take(old)
    labels = _with_new(changed, g.box[new], scene.classes[g.cls[new]], fresh)
    position = {int(row): int(np.searchsorted(old, g.label[row])) for row in kept}
    position |= {int(row): len(old) + k for k, row in enumerate(new)}
    mine = np.flatnonzero(planted.image == image)
    at = {int(planted.error[row]): int(row) for row in reversed(rows) if planted.error[row] >= 0}
    errors = [
        _error(scene, planted, int(e), number, at.get(int(e)), position)
        for number, e in enumerate(mine, start=1)
    ]
    return labels, errors


def _with_new(labels: BoxLabels, boxes: Floats, classes: Any, fresh: _Fresh) -> BoxLabels:
    n = len(boxes)
    if n == 0:
        return labels
    columns: dict[str, Any] = {
        "boxes": np.concatenate([labels.boxes, boxes]),
        "classes": np.concatenate([labels.classes, classes]),
        "crowd": np.append(labels.crowd, np.zeros(n, bool)),
        "difficult": np.append(labels.difficult, np.zeros(n, bool)),
    }
    for name in ("occlusion", "truncation", "distance", "area"):
        known = getattr(labels, name)
        columns[name] = None if known is None else np.append(known, np.full(n, np.nan))
    ids = labels.ids
    columns["ids"] = None if ids is None else np.append(ids, [fresh.next() for _ in range(n)])
    return BoxLabels(**columns, ignore=labels.ignore)


def _error(
    scene: Scene, planted: PlantedBoxes, e: int, number: int, row: int | None, position: Mapping[int, int]
) -> BoxError:
    kind = KINDS[int(planted.kind[e])]
    extra = CALLED[kind] in ("spurious", "duplicate")
    cls = int(scene.classes[planted.true_cls[e]])
    g = planted.given
    return BoxError(
        image_id=scene.image_id[int(planted.image[e])],
        number=number,
        kind=kind,
        given=-1 if extra else cls,
        planted=-1 if row is None else int(scene.classes[g.cls[row]]),
        true_box=None if extra else _plain(planted.true_box[e]),
        given_box=None if row is None else _plain(g.box[row]),
        label=-1 if row is None else position[row],
        other_box=None if np.isnan(planted.other_box[e, 0]) else _plain(planted.other_box[e]),
    )


def _plain(box: Floats) -> Box:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1
