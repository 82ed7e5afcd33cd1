"""The hand-over of an audit's findings: written for people and tools, and their verdicts read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, get_args

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_json
from dubio.handover.audit_run import AuditRun, open_run
from dubio.handover.items import Choice, Item, Which, choose_items
from dubio.handover.shots import shots

if TYPE_CHECKING:
    from dubio.engine.map import Progress

ExportFormat = Literal["masks", "labels", "coco", "cvat", "label-studio", "fiftyone", "csv"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
SHAPES = ("mask", "polygon", "box")
# Corrected copies of the labels; the other formats are for reviewing.
CORRECTED = ("masks", "labels")
MARK = "dubio-export.json"
EXPORTS = "exports.json"


@dataclass
class ExportResult:
    """What an export wrote.

    Attributes:
        path: the folder.
        files: its files, relative to it.
        findings: number of findings handed over.
        images: number of images.
        which: the choice of findings by verdict; ``None``: all but the rejected.
        details: for masks: numbers of changed masks and pixels, and what could not be written.
    """

    path: Path
    files: list[str]
    findings: int
    images: int
    which: Which | None
    details: dict[str, Any] = field(default_factory=dict)


def export_run(
    run: str | Path | AuditRun,
    to: ExportFormat,
    out: str | Path,
    choice: Choice | None = None,
    *,
    shapes: Literal["mask", "polygon", "box"] = "mask",
    all_images: bool = False,
    image_url_prefix: str | None = None,
    layout: str = "coco",
    progress: Progress | None = None,
) -> ExportResult:
    """Write the findings of an audit for people and tools. The data set is only read.

    Args:
        run: run folder of ``dubio audit``, or an opened one.
        to: ``masks``: corrected label masks; ``labels``: corrected boxes; ``coco``, ``cvat``,
            ``label-studio``, ``fiftyone``, ``csv``: findings to review.
        out: folder; new, empty or of an earlier export of the same findings to the same format.
        choice: which findings; ``None``: the accepted ones for corrected labels, else all but the rejected.
        shapes: regions as masks or as polygons (COCO, CVAT, Label Studio); findings on boxes are boxes.
        all_images: also images without findings; for masks, copies of the labels that don't change.
        image_url_prefix: Label Studio's address of the images, without their path.
        layout: format of corrected boxes: coco, voc, yolo …
        progress: wraps iterables to show progress (corrected masks take a while).

    Returns:
        The ``ExportResult``.

    Raises:
        InputError: no such run, nothing to hand over, or the folder holds something else.
    """
    opened = run if isinstance(run, AuditRun) else open_run(run)
    if to not in FORMATS or shapes not in SHAPES:
        raise InputError(f"unknown format '{to}' or shape '{shapes}'", remedy=f"known: {', '.join(FORMATS)}")
    if opened.boxes is not None:
        shapes = "box"
    if to in CORRECTED and (to == "labels") != (opened.boxes is not None):
        right = "masks" if opened.boxes is None else "labels"
        raise InputError(f"can't be exported to '{to}'", path=opened.path, remedy=f"export it to '{right}'")
    choice = choice or Choice()
    if choice.which is None and to in CORRECTED:
        choice = Choice("accepted", choice.min_probability, choice.top, choice.kinds, choice.classes)
    items = choose_items(opened, choice, drawn=to in CORRECTED)
    if not items and not all_images:
        raise InputError(
            f"no finding is {choice.which}" if choice.which not in (None, "all") else "no finding is left",
            path=opened.path,
            remedy="give verdicts on the report's page and 'dubio import' them, or choose with --which",
        )
    folder = Path(out)
    old = _claim(folder, to, opened.digest)
    with _marked(folder, to, opened.digest, old) as files:
        if to == "labels":
            details = _write_labels(opened, folder, items, files, layout)
        else:
            details = _write(opened, to, folder, items, files, shapes, all_images, image_url_prefix, progress)
    _remember(opened, to, items)
    images = len({item.finding.image_id for item in items})
    return ExportResult(folder, files, len(items), images, choice.which, details)


def _write_labels(
    run: AuditRun, folder: Path, items: Sequence[Item], files: list[str], layout: str
) -> dict[str, Any]:
    from dubio.handover.boxes import write_corrected

    done = write_corrected(run, items, folder, layout)
    files += done.files
    names = ("added", "removed", "renamed", "moved", "unchanged", "notes")
    return {name: getattr(done, name) for name in names}


def _remember(run: AuditRun, to: str, items: Sequence[Item]) -> None:
    """Note in the run what went out, so that a shape deleted in a tool can be told from one never sent."""
    path = run.path / EXPORTS
    known = read_json(path) if path.exists() else {}
    numbers = [item.finding.finding for item in items if item.finding.finding]
    write_json(path, {**known, to: {"run": run.digest, "findings": numbers}})


@contextmanager
def _marked(folder: Path, to: str, digest: str, old: Sequence[str]) -> Iterator[list[str]]:
    """Mark the folder as ours before and after it is filled; files of an earlier export go in the end.

    Gives the list to which the names of the written files are added.
    """
    record = {"format": 1, "to": to, "run": digest}
    files: list[str] = []
    write_json(folder / MARK, {**record, "files": list(old)})
    try:
        yield files
    except BaseException:
        write_json(folder / MARK, {**record, "files": sorted({*old, *files})})
        raise
    for name in set(old) - set(files):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / MARK, {**record, "files": files})


def _claim(folder: Path, to: str, digest: str) -> list[str]:
    """Check that the folder may be written to; return the files of an earlier export in it."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file", path=folder, remedy="name a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return []
    record = read_json(folder / MARK) if (folder / MARK).exists() else None
    if not isinstance(record, Mapping) or (record.get("to"), record.get("run")) != (to, digest):
        raise InputError(
            "is not empty and no earlier export of these findings to this format",
            path=folder,
            remedy="choose another folder",
        )
    names = record.get("files")
    return [n for n in names if _inside(n)] if isinstance(names, list) else []


def _inside(name: Any) -> bool:
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("/")
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _write(
    run: AuditRun,
    to: ExportFormat,
    folder: Path,
    items: Sequence[Item],
    files: list[str],
    shapes: str,
    all_images: bool,
    prefix: str | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write one format; the names of the files are added to ``files``."""
    if to == "masks":
        from dubio.handover.masks import write_masks

        done = write_masks(run, items, folder, all_images=all_images, progress=progress)
        files += done.files
        return {
            "masks": done.changed, "pixels": done.pixels, "shared": done.shared,
            "unchanged": done.unchanged, "faults": done.faults,
        }  # fmt: skip
    if to == "csv":
        from dubio.handover.table import write_table

        files += write_table(folder, items)
        return {}
    found = shots(run, items, all_images=all_images)
    name = f"{run.dataset.name}: suspected label errors"
    if to == "coco":
        from dubio.handover.coco import write_coco

        files += write_coco(folder, found, run.space, shapes=shapes)
    elif to == "cvat":
        from dubio.handover.cvat import write_cvat

        files += write_cvat(folder, found, run.space, name, shapes=shapes)
    elif to == "label-studio":
        from dubio.handover.label_studio import LOCAL_FILES, write_label_studio

        prefix = LOCAL_FILES if prefix is None else prefix
        files += write_label_studio(folder, found, run.space, shapes=shapes, image_url_prefix=prefix)
    else:
        from dubio.handover.fiftyone import write_fiftyone

        files += write_fiftyone(folder, found, run.space, name)
    return {}
