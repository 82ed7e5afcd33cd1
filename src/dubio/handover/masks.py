"""Corrected masks: the findings that were accepted, applied to copies of the label files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_json, write_text
from dubio.core.records import Sample
from dubio.data.encodings import Unknown
from dubio.data.infer import spread
from dubio.data.manifest import label_folder
from dubio.data.masks import read_mask
from dubio.handover.audit_run import AuditRun
from dubio.handover.correct import Change, correct_label
from dubio.handover.items import Item, by_image
from dubio.handover.mask_files import copy_file, rest_values, rewrite_mask

if TYPE_CHECKING:
    from dubio.engine.map import Progress

FOLDER = "masks"
COLUMNS = ("image", "finding", "kind", "pixels", "from", "to")


@dataclass
class MasksWritten:
    """What was written.

    Attributes:
        files: paths below the export's folder.
        changed: number of masks that differ from the labels.
        pixels: number of changed pixels.
        shared: pixels of regions that belonged to a more probable finding.
        unchanged: numbers of findings that changed no pixel.
        faults: image id -> why its label could not be written.
    """

    files: list[str] = field(default_factory=list)
    changed: int = 0
    pixels: int = 0
    shared: int = 0
    unchanged: list[int] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def write_masks(
    run: AuditRun,
    items: Sequence[Item],
    out: Path,
    *,
    all_images: bool = False,
    progress: Progress | None = None,
) -> MasksWritten:
    """Write corrected label masks below ``OUT/masks``, and ``OUT/changes.csv``.

    Each mask keeps its format, name and place below the folder of the labels.

    Args:
        run: the audit.
        items: the findings to apply.
        out: folder.
        all_images: also copy the labels that don't change, byte for byte.
        progress: wraps the images to show progress.

    Raises:
        InputError: the label files are not where they were, or no mask could be written.
    """
    groups = by_image(items)
    samples = [s for s in run.dataset if s.label is not None and (all_images or s.image_id in groups)]
    if samples and not any(s.label is not None and s.label.exists() for s in samples):
        raise InputError(
            "the labels are not there any more", path=samples[0].label,
            remedy="name the folder where they are now with --data or --labels",
        )  # fmt: skip
    done = MasksWritten()
    paths = [s.label for s in run.dataset if s.label is not None]
    rest = rest_values(spread(paths, 12), run.space, run.dataset.encoding)
    base = label_folder(run.dataset)
    rows: list[Sequence[object]] = []
    walk: Iterable[Sample] = samples
    for sample in walk if progress is None else progress(walk, len(samples), "correcting"):
        assert sample.label is not None
        target = out / FOLDER / _below(sample.label, base)
        try:
            path, changes = _correct(run, sample, groups.get(sample.image_id, []), target, rest, all_images)
            _count(done, changes)
            rows += _rows(run, sample, changes)
            if path is not None:
                done.files.append(path.relative_to(out).as_posix())
        except InputError as error:
            done.faults[sample.image_id] = str(error)
    if done.faults and not done.files:
        raise InputError(f"no mask could be written ({next(iter(done.faults.values()))})")
    write_text(out / "changes.csv", _table(rows))
    done.files.append("changes.csv")
    if done.faults:
        write_json(out / "faults.json", done.faults)
        done.files.append("faults.json")
    return done


def _correct(
    run: AuditRun,
    sample: Sample,
    items: Sequence[Item],
    target: Path,
    rest: dict[int, int],
    all_images: bool,
) -> tuple[Path | None, list[Change]]:
    """Write one mask, if it changes or all are wanted."""
    assert sample.label is not None
    if not items:
        return copy_file(sample.label, target), []
    space, encoding = run.space, run.dataset.encoding
    options = read_json(run.path / "run.json").get("options") or {}
    unknown: Unknown = "void" if options.get("unknown") == "void" else "error"
    label = read_mask(sample.label, space, encoding, unknown=unknown)
    pred = run.predicted(sample.image_id)
    fixed, changes = correct_label(label, items, pred, space, kept=run.manifest.unjudged)
    if not all_images and not any(c.total for c in changes):
        return None, changes
    return rewrite_mask(sample.label, target, fixed, space, encoding, unknown=unknown, rest=rest), changes


def _below(path: Path, base: Path | None) -> Path:
    return path.relative_to(base) if base is not None and path.is_relative_to(base) else Path(path.name)


def _count(done: MasksWritten, changes: Sequence[Change]) -> None:
    done.changed += any(c.total for c in changes)
    done.pixels += sum(c.total for c in changes)
    done.shared += sum(c.shared for c in changes)
    done.unchanged += [c.item.finding.finding for c in changes if not c.total]


def _rows(run: AuditRun, sample: Sample, changes: Sequence[Change]) -> list[Sequence[object]]:
    name = run.space.name_of
    return [
        (sample.image_id, c.item.finding.finding, c.item.finding.kind, count, name(old), name(new))
        for c in changes
        for (old, new), count in sorted(c.pixels.items())
    ]


def _table(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows(rows)
    return text.getvalue()
