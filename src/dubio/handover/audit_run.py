"""A finished audit as others need it: findings with their verdicts, files, predicted classes."""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset
from dubio.core.errors import InputError
from dubio.core.files import plain_reason, read_json
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.data.manifest import NAME, Manifest, open_manifest
from dubio.errors.findings import Finding, from_table
from dubio.errors.verdicts import Verdict, findings_digest, place_on, read_verdicts, reapply

VERDICTS = "verdicts.json"
# of an audit of boxes: the labels as they were audited
LABELS = "labels.json"
_COMMANDS = ("audit", "audit --boxes")
_ARCHIVE_ERRORS = (OSError, ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile)


@dataclass
class AuditRun:
    """An audit's run folder, opened.

    Args:
        path: the folder.
        findings: the list, with the verdicts of ``verdicts.json`` applied.
        verdicts: what reviewers said, numbered as the findings are (0: not listed).
        manifest: the data set and where things lie.
        boxes: the labelled boxes, of an audit of boxes.
        labels: file or folder that they were read from, as far as it is known; it may be gone.
    """

    path: Path
    findings: list[Finding]
    verdicts: list[Verdict]
    manifest: Manifest
    boxes: BoxDataset | None = None
    labels: Path | None = None
    _shards: OrderedDict[str, dict[str, int]] = field(default_factory=OrderedDict, repr=False)

    @property
    def dataset(self) -> Dataset:
        """The data set that was audited."""
        return self.manifest.dataset

    @property
    def space(self) -> LabelSpace:
        """Its label space."""
        return self.manifest.dataset.space

    @property
    def digest(self) -> str:
        """Name of the list of findings."""
        return findings_digest(self.findings)

    def samples(self) -> dict[str, Sample]:
        """Samples by image id."""
        return {s.image_id: s for s in self.dataset}

    def predicted(self, image_id: str) -> IndexMap:
        """Predicted classes ``(H, W)`` of one image; only this image's part of its shard is read.

        Raises:
            InputError: the image was not examined, or its part is gone.
        """
        name = self.manifest.shards.get(image_id)
        if name is None:
            raise InputError(f"'{image_id}' was not examined in this run", path=self.path)
        path = self.path / name
        try:
            with np.load(path, allow_pickle=False) as data:
                if name not in self._shards:
                    self._shards[name] = {str(v): i for i, v in enumerate(data["image_id"])}
                return np.asarray(data[f"{self._shards[name][image_id]}.pred"])
        except _ARCHIVE_ERRORS as error:
            raise InputError(
                f"can't be read ({error})", path=path, remedy="run the same audit again"
            ) from error


def open_run(
    path: str | Path,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    labels: str | Path | None = None,
) -> AuditRun:
    """Open the run folder of an audit.

    Args:
        path: the folder.
        data: where images and labels are now, if they were moved together.
        images: where the images are now.
        labels: where the labels are now; of boxes also the file itself.

    Raises:
        InputError: no finished audit, or a file of it is missing or damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError("is no folder" if path.exists() else "doesn't exist", path=path)
    command = _command_of(path)
    if command == "demo":  # it keeps its audit in a folder of its own
        path = path / "audit"
        command = _command_of(path)
    if command not in _COMMANDS:
        raise InputError("is no run of 'dubio audit'", path=path, remedy="name the --out of an audit")
    findings = read_findings(path / "findings.parquet")
    of_boxes = command == "audit --boxes"
    folder = None if of_boxes and labels is not None and Path(labels).is_file() else labels
    manifest = open_manifest(path / NAME, data=data, images=images, labels=folder)
    saved = path / VERDICTS
    verdicts = place_on(findings, read_verdicts(saved)) if saved.exists() else []
    boxes = _labels(path) if of_boxes else None
    source = _source(manifest.dataset.root, labels) if of_boxes else None
    return AuditRun(path, reapply(findings, verdicts), verdicts, manifest, boxes, source)


def _labels(path: Path) -> BoxDataset:
    from dubio.data.boxes import open_boxes

    return open_boxes(path / LABELS, "coco")


def _source(audited: Path | None, named: str | Path | None) -> Path | None:
    """Where the labels of boxes are: what the user names, or the file of the old name in that folder."""
    if named is None:
        return audited
    inside = Path(named) / (audited.name if audited is not None else "")
    return inside if inside.is_file() else Path(named)


def _command_of(path: Path) -> str | None:
    record = read_json(path / "run.json") if (path / "run.json").exists() else None
    return record.get("command") if isinstance(record, dict) else None


def read_findings(path: Path) -> list[Finding]:
    """Read ``findings.parquet``.

    Raises:
        InputError: missing, damaged or of another format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise InputError("doesn't exist", path=path, remedy="let the audit run to its end")
    try:
        return from_table(pq.read_table(path))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"is no table of findings ({plain_reason(error)})", path=path, remedy="run the audit again"
        ) from error


def read_summary(path: Path) -> dict[str, Any]:
    """Read ``summary.json`` as plain data."""
    record = read_json(path / "summary.json")
    if not isinstance(record, dict):
        raise InputError("is no summary", path=path / "summary.json")
    return record
