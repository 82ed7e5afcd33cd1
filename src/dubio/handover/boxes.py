"""Corrected boxes: copies of the labels in which accepted findings are put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels
from dubio.core.errors import InputError
from dubio.data.boxes import write_boxes
from dubio.data.boxes.coco_patch import write_patched
from dubio.handover.audit_run import AuditRun
from dubio.handover.coco_source import coco_source
from dubio.handover.items import Item, by_image

# Formats of one file; the others are folders.
FILES = {"coco": "labels.json", "bdd100k": "labels.json", "cvat": "labels.xml", "csv": "labels.csv",
         "label-studio": "labels.json"}  # fmt: skip
_FOLDER = "labels"
_ADDS = "missing"
_REMOVES = ("spurious", "duplicate")


@dataclass
class BoxChanges:
    """What was put right.

    Attributes:
        added: boxes that were missing.
        removed: boxes that were spurious or there twice.
        renamed: boxes of another class now.
        moved: boxes that lie elsewhere now.
        unchanged: numbers of findings that changed nothing: another one had removed the box.
        notes: what the format can't hold.
        files: names of the written files.
    """

    added: int = 0
    removed: int = 0
    renamed: int = 0
    moved: int = 0
    unchanged: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def corrected(run: AuditRun, items: Sequence[Item]) -> tuple[BoxDataset, BoxChanges]:
    """The labelled boxes with these findings applied; the run's own stay as they are.

    A missing object gets the box and class that the model proposes, or those of the reviewer; its occlusion
    and the like are unknown.

    Args:
        run: an audit of boxes.
        items: findings, as a rule the accepted ones.

    Raises:
        InputError: the run is no audit of boxes.
    """
    if run.boxes is None:
        raise InputError("is no audit of boxes", path=run.path, remedy="export masks with --to masks")
    labels, done = dict(run.boxes.labels), BoxChanges()
    idle: list[int] = []
    for name, own in by_image(items).items():
        if name in labels:
            labels[name] = _image(labels[name], own, run, done, idle)
    done.unchanged = tuple(sorted(idle))
    return replace(run.boxes, labels=labels), done


def _image(
    labels: BoxLabels, items: Sequence[Item], run: AuditRun, done: BoxChanges, idle: list[int]
) -> BoxLabels:
    boxes, classes = labels.boxes.copy(), labels.classes.copy()
    area = None if labels.area is None else labels.area.copy()
    kept = np.ones(len(labels), bool)
    new: list[tuple[tuple[float, ...], int]] = []
    for item in items:
        f = item.finding
        if f.kind == _ADDS:
            new.append((item.box(), item.class_index(run.space)))
            continue
        k = f.label
        if not 0 <= k < len(labels) or not kept[k]:
            idle.append(f.finding)
            continue
        if f.kind in _REMOVES and not item.edited:
            kept[k] = False
            done.removed += 1
            continue
        if f.kind == "wrong_class" or (item.verdict is not None and item.verdict.label is not None):
            classes[k] = item.class_index(run.space)
            done.renamed += 1
        if f.kind == "location" or (item.verdict is not None and item.verdict.area is not None):
            boxes[k] = item.box()
            if area is not None:
                area[k] = np.nan  # that of the outline, which belongs to the old box
            done.moved += 1
    done.added += len(new)
    columns: dict[str, Any] = {f.name: getattr(labels, f.name) for f in fields(BoxLabels)}
    columns |= {"boxes": boxes, "classes": classes, "area": area}
    whole = BoxLabels(**columns).take(kept)
    return whole if not new else _with_new(whole, new)


def _with_new(labels: BoxLabels, new: Sequence[tuple[tuple[float, ...], int]]) -> BoxLabels:
    n = len(new)

    def longer(values: Any, fill: Any) -> Any:
        return None if values is None else np.concatenate([values, np.full(n, fill)])

    nan = float("nan")
    ids = None if labels.ids is None else np.concatenate([labels.ids, _fresh(labels.ids.tolist(), n)])
    return BoxLabels(
        np.concatenate([labels.boxes, np.array([b for b, _ in new], np.float64)]),
        np.concatenate([labels.classes, np.array([c for _, c in new], np.int64)]),
        ids,
        longer(labels.crowd, False),
        longer(labels.difficult, False),
        longer(labels.occlusion, nan),
        longer(labels.truncation, nan),
        longer(labels.distance, nan),
        labels.ignore,
        longer(labels.area, nan),
    )


def _fresh(known: list[str], n: int) -> Any:
    """Names that no box of the image has."""
    names = (f"new-{k}" for k in range(1, len(known) + n + 1))
    taken = set(known)
    return np.array([name for name in names if name not in taken][:n], np.str_)


def write_corrected(run: AuditRun, items: Sequence[Item], out: Path, layout: str) -> BoxChanges:
    """Write corrected labels.

    Boxes that came from a COCO file and go into one are put right in a copy of that file: all else in it
    stays.

    Args:
        run: an audit of boxes.
        items: findings to apply.
        out: folder.
        layout: format: ``coco``, ``voc``, ``yolo`` …

    Raises:
        InputError: the run is no audit of boxes, or there is no such format.
    """
    source, said = coco_source(run) if layout == "coco" else (None, ())
    if source is not None:
        known = replace(source.dataset, labels=dict(source.dataset.labels))
        source = replace(source, dataset=known)
        dataset, done = corrected(replace(run, boxes=known), items)
        done.notes = tuple(write_patched(source, dataset, out / FILES[layout]))
        done.files = (FILES[layout],)
        return done
    dataset, done = corrected(run, items)
    # YOLO's folder holds one named labels and the names of the classes
    name = "" if layout == "yolo" else FILES.get(layout, _FOLDER)
    done.notes = (*said, *write_boxes(dataset, out / name, layout))
    done.files = _written(dataset, layout)
    return done


def _written(dataset: BoxDataset, layout: str) -> tuple[str, ...]:
    """Names of the files of a format; files of others that lie beside them aren't ours to delete later."""
    if layout in FILES:
        return (FILES[layout],)
    suffix = ".xml" if layout == "voc" else ".txt"
    names = (Path(f"{_FOLDER}/{s.image_id}{suffix}").as_posix() for s in dataset)
    return tuple(sorted([*names, *(["data.yaml"] if layout == "yolo" else [])]))
