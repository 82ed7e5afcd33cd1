"""The COCO file that an audit's boxes came from: found again, and held against what was audited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dubio.core.boxes import BoxDataset
from dubio.core.errors import InputError
from dubio.data.boxes.coco_patch import CocoFile, open_coco
from dubio.data.boxes.folders import survey
from dubio.handover.audit_run import AuditRun

# The run's copy of the boxes is written as corner and size: the last binary digits may differ.
_SLACK = 1e-6
_FORMATS = ("coco", "coda")
_LOST = (
    "the file is written anew, with boxes, classes and images alone: outlines (segmentation), keypoints, "
    "attributes, info, licenses and the like are not in it"
)


def coco_source(run: AuditRun) -> tuple[CocoFile | None, Sequence[str]]:
    """The file that the audited boxes were read from, if it is COCO or CODA.

    Returns:
        The file, opened to be patched, and no sentence; or ``None`` and, where the boxes came from such a
        file that can't serve any more, why, and what is lost by that.
    """
    if run.boxes is None or run.dataset.name not in _FORMATS or run.labels is None:
        return None, ()
    try:
        source = open_coco(_file(run.labels), run.boxes.space)
    except InputError as error:
        said = f"the labels that were audited, {run.labels}, can't be used ({error.fault})"
        return None, (f"{said}: {_LOST}; --labels says where they are now",)
    if not _same(source.dataset, run.boxes):
        return None, (f"{run.labels} has changed since the audit: {_LOST}",)
    return source, ()


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = survey(path).files
    if len(found) != 1:
        raise InputError("isn't a folder with one COCO file", path=path)
    return found[0].path


def _same(now: BoxDataset, audited: BoxDataset) -> bool:
    """Whether the images that were audited have the same boxes; there may be more images by now."""
    for name, was in audited.labels.items():
        labels = now.labels.get(name)
        if labels is None or len(labels) != len(was) or not np.array_equal(labels.classes, was.classes):
            return False
        if not np.allclose(labels.boxes, was.boxes, rtol=0, atol=_SLACK):
            return False
    return True
