"""Detections from files: COCO results, YOLO text and Parquet, matched with the images of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxScoreKind, DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes.coco import MALFORMED, malformed
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import read_data, text_lines
from dubio.data.boxes.packed import PackedDetections, check_columns, faults_of
from dubio.data.boxes.parquet import FILE_NAME, read_parquet
from dubio.data.boxes.pictures import size_of
from dubio.data.boxes.yolo import from_parts, label_files

RESULT_LAYOUTS = ("coco", "yolo", "parquet")
EXTRAS = ("class_scores", "box_aleatoric", "box_epistemic", "class_variance")
ENTROPY = "expected_entropy"
KIND = "class_scores_kind"
_COLUMNS = 6
_ROW = "row"  # number of a detection in its file, where it isn't its place among those read
_NAMED = "name a run of 'dubio predict --detector', COCO results or a folder of YOLO files with confidence"


@dataclass(frozen=True, eq=False)
class BoxPredictions:
    """Detections of a data set's images.

    Args:
        predictions: one entry per image; an image that the file doesn't name has no detections.
        notes: what was found, in sentences.
        quarantined: every record that was left out, and why.
    """

    predictions: Mapping[str, DetPrediction]
    notes: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()


def open_detections(
    dataset: BoxDataset, path: str | Path, layout: str | None = None, *, strict: bool = False
) -> BoxPredictions:
    """Open detections: COCO results, a folder of YOLO text with confidences, or a run of ``dubio predict``.

    COCO results may carry, per detection, ``class_scores`` (one per class, in the order of the label space)
    with ``class_scores_kind`` (softmax, sigmoid, logits; found out and noted if it isn't said),
    ``box_aleatoric`` and ``box_epistemic`` (variances of x1, y1, x2, y2 in square pixels),
    ``class_variance`` and ``expected_entropy``. Category ids are the class ids of the label space. Images
    are matched by their number in the data set's own file, by id, by stem, or by the number that a stem is.

    A detection of which any number is impossible (not finite, a negative variance, a score outside 0 to 1) is
    left out, counted and listed, even where only its variances are bad. Keeping it would take a made-up
    variance, which enters every calibration and figure of its image unseen, or gaps that every user of
    variances must know of; one detection less changes counts and recall by one, and is said.

    Args:
        dataset: the images and classes.
        path: file or folder; a run folder's ``boxes.parquet`` (see :mod:`dubio.data.boxes.parquet`).
        layout: ``"coco"``, ``"yolo"`` or ``"parquet"``; ``None``: by what ``path`` is.
        strict: raise at the first record that can't be used.

    Raises:
        InputError: nothing that can be read, no detection of any image, or a fault if ``strict``.
    """
    path = Path(path)
    if not path.exists():
        fault = "is a link to nothing" if path.is_symlink() else "doesn't exist"
        raise InputError(fault, path=path, remedy=_NAMED)
    kind = layout or _layout_of(path)
    if kind not in RESULT_LAYOUTS:
        known = ", ".join(RESULT_LAYOUTS)
        raise InputError(f"there is no layout of detections '{kind}'", remedy=f"known: {known}")
    faults, notes = Faults(path, strict), list[str]()
    read = {"yolo": _read_yolo, "coco": _read_coco, "parquet": _read_parquet}[kind]
    image, columns, score_kind = read(dataset, path, faults, notes)
    return _packed(dataset, image, columns, cast(BoxScoreKind | None, score_kind), faults, notes)


def _layout_of(path: Path) -> str:
    if path.suffix.lower() == ".parquet" or (path / FILE_NAME).is_file():
        return "parquet"
    return "yolo" if path.is_dir() else "coco"


def lookup(dataset: BoxDataset) -> dict[str, int]:
    """Names under which files of detections may call the images, to their place in the data set."""
    found: dict[str, int] = {}
    stems = [Path(s.image_id).name for s in dataset]
    ways = (
        [s.source_id for s in dataset],
        [s.image_id for s in dataset],
        stems,
        [str(int(s)) if s.isdecimal() else None for s in stems],
    )
    for names in ways:
        once = {n: k for k, n in enumerate(names) if n is not None}
        if len(once) == sum(n is not None for n in names):
            # A surer way goes first: later ones don't change what it says.
            found = {**once, **found}
    return found


_Read = tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]], str | None]


def _read_parquet(dataset: BoxDataset, path: Path, faults: Faults, notes: list[str]) -> _Read:
    file = path / FILE_NAME if path.is_dir() else path
    # the file says image ids; other names only help where they don't occur
    images = {**lookup(dataset), **{s.image_id: k for k, s in enumerate(dataset)}}
    return read_parquet(file, images, dataset.space, notes)


def _read_coco(dataset: BoxDataset, path: Path, faults: Faults, notes: list[str]) -> _Read:
    data = read_data(path)
    records = data.get("annotations") if isinstance(data, dict) else data
    if not isinstance(records, list):
        raise InputError("is no list of detections", path=path, remedy="give COCO results")
    images, classes = lookup(dataset), {c: k for k, c in enumerate(dataset.space.ids)}
    try:
        columns = _columns(records, images, classes)
    except MALFORMED:
        sound, rows = [], []
        for k, record in enumerate(records, start=1):
            try:
                _columns([record], images, classes)
                sound.append(record)
                rows.append(k)
            except MALFORMED as error:
                faults.add(f"detection {k}", malformed(error))
        if not sound:
            raise InputError(f"holds no detections ({faults.said[0]})", path=path, remedy=_NAMED) from None
        records, columns = sound, _columns(sound, images, classes) | {_ROW: np.array(rows)}
    image = columns.pop("image")
    for key in EXTRAS:
        width = 4 if key.startswith("box") else len(dataset.space)
        values = _extra(records, key, width, path, notes)
        if values is not None:
            columns[key] = values
    entropy = _extra(records, ENTROPY, 1, path, notes)
    if entropy is not None:
        columns[ENTROPY] = entropy[:, 0]
    kind = _kind(records, columns, path, notes) if "class_scores" in columns else None
    return image, columns, kind


def _columns(
    records: list[Any], images: Mapping[str, int], classes: Mapping[int, int]
) -> dict[str, npt.NDArray[Any]]:
    n = len(records)
    boxes = np.array([r["bbox"] for r in records], np.float64).reshape(-1, 4)
    if len(boxes) != n:
        raise ValueError("bbox has not four numbers")
    boxes[:, 2:] += boxes[:, :2]
    return {
        "image": np.fromiter((images.get(str(r["image_id"]), -1) for r in records), np.int64, n),
        "boxes": boxes,
        "scores": np.fromiter((float(r["score"]) for r in records), np.float64, n),
        "classes": np.fromiter((classes.get(int(r["category_id"]), -1) for r in records), np.int64, n),
    }


def _extra(records: list[Any], key: str, width: int, path: Path, notes: list[str]) -> npt.NDArray[Any] | None:
    there = sum(1 for r in records if r.get(key) is not None)
    if not there:
        return None
    if there < len(records):
        notes.append(f"{len(records) - there} detections have no {key}: those of the others are left out")
        return None
    try:
        return np.array([r[key] for r in records], np.float64).reshape(len(records), width)
    except (TypeError, ValueError):
        # few that are malformed are left out as what isn't finite is; all of them are another format
        found = np.full((len(records), width), np.nan)
        wrong = 0
        for k, record in enumerate(records):
            try:
                found[k] = np.array(record[key], np.float64).reshape(width)
            except (TypeError, ValueError):
                wrong += 1
        if wrong == len(records):
            fault = f"its {key} aren't {width} numbers per detection"
            raise InputError(fault, path=path, remedy="write the file again") from None
        return found


def _kind(records: list[Any], columns: Mapping[str, npt.NDArray[Any]], path: Path, notes: list[str]) -> str:
    said = {str(r[KIND]) for r in records if r.get(KIND) is not None}
    if len(said) == 1:
        return said.pop()
    if said:
        raise InputError(
            f"its class scores are of several kinds: {', '.join(sorted(said))}",
            path=path,
            remedy="write one file per kind",
        )
    scores = columns["class_scores"]
    scores = scores[np.isfinite(scores).all(axis=1)]
    if not len(scores):
        return "sigmoid"  # all are left out anyway
    if float(scores.min()) < 0 or float(scores.max()) > 1:
        kind = "logits"
    else:
        kind = "softmax" if float(scores.sum(1).max()) <= 1.01 else "sigmoid"
    notes.append(f"class scores are taken as {kind}, by their range and sums")
    return kind


def _read_yolo(dataset: BoxDataset, path: Path, faults: Faults, notes: list[str]) -> _Read:
    images, samples = lookup(dataset), dataset.samples
    image, line_of, rows, strange = [], [], list[npt.NDArray[np.float64]](), 0
    files = label_files(path)
    if not files:
        raise InputError("holds no detections", path=path, remedy=_NAMED)
    for key, file in files.items():
        k = images.get(key, images.get(Path(key).name, -1))
        if k < 0:
            strange += 1
            continue
        try:
            lines, (height, width) = text_lines(file), size_of(samples[k])
        except InputError as error:
            faults.add(file.name, error)
            continue
        for number, line in enumerate(lines, start=1):
            try:
                values = np.array(line.split(), np.float64)
                if len(values) < _COLUMNS:
                    raise InputError("has no confidence: predict with save_conf=True")
                if not np.isfinite(values).all():
                    raise InputError("holds numbers that aren't finite")
            except (InputError, ValueError) as error:
                faults.add(f"{file.name}, line {number}", error)
                continue
            box = from_parts(values[1:5]) * [width, height, width, height]
            image.append(k)
            line_of.append(number)
            rows.append(np.concatenate([box, values[[5, 0]]]))
    if strange == len(files):
        raise InputError(
            f"none of its {strange} files belongs to an image of the data set",
            path=path,
            remedy="files are matched with pictures by name",
        )
    if strange:
        notes.append(f"{strange} files belong to no image of the data set")
    table = np.array(rows, np.float64).reshape(-1, 6)
    labels = np.where((table[:, 5] % 1 == 0) & (table[:, 5] < len(dataset.space)), table[:, 5], -1)
    columns = {"boxes": table[:, :4], "scores": table[:, 4], "classes": labels.astype(np.int64)}
    columns[_ROW] = np.array(line_of, np.int64)
    return np.array(image, np.int64), columns, None


def _packed(
    dataset: BoxDataset,
    image: npt.NDArray[np.int64],
    columns: dict[str, npt.NDArray[Any]],
    kind: BoxScoreKind | None,
    faults: Faults,
    notes: list[str],
) -> BoxPredictions:
    strange = int((image < 0).sum())
    if strange:
        notes.append(f"{strange} detections are of images that the data set lacks")
    number = columns.pop(_ROW, np.arange(1, len(image) + 1))
    faulty = faults_of(columns, kind)
    sound = ~np.any([bad for bad, _ in faulty], axis=0)
    for k in np.flatnonzero(~sound & (image >= 0)).tolist():
        where = f"detection {number[k]} of '{dataset.samples[image[k]].image_id}'"
        faults.add(where, next(say(k) for bad, say in faulty if bad[k]))
    rows = np.flatnonzero(sound & (image >= 0))
    if len(image) and not len(rows):
        if (columns["classes"][image >= 0] >= 0).any():
            fault = f"none of its {len(image)} detections can be used (first: {faults.said[0]})"
            raise InputError(fault, path=faults.path, remedy="write the file again")
        raise InputError(
            "holds no detection of any image and class of the data set",
            path=faults.path,
            remedy="are image ids and category ids those of the data set?",
        )
    rows = rows[np.argsort(image[rows], kind="stable")]
    counts = np.bincount(image[rows], minlength=len(dataset))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ids = [s.image_id for s in dataset]
    table: dict[str, Any] = {name: values[rows] for name, values in columns.items()}
    bare = int((counts == 0).sum())
    said = [f"{len(rows)} detections of {len(ids)} images" + (f", {bare} have none" if bare else ""), *notes]
    if faults.said:
        first = f"first: {faults.said[0]}"
        said.append(f"{len(faults.said)} records are left out of {faults.path.name} ({first})")
    check_columns(table, len(dataset.space), kind, faults.path)
    found = PackedDetections(ids, table, starts, len(dataset.space), kind)
    return BoxPredictions(found, tuple(said), tuple(faults.said))
