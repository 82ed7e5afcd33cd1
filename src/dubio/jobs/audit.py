"""An audit as a run folder: findings, summary, region table, pictures and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.files import write_json, writing
from dubio.core.records import Dataset, PredictionSource
from dubio.core.run import Run
from dubio.data.manifest import NAME, write_manifest
from dubio.engine.map import Progress
from dubio.errors.audit import AuditOptions, Collected, collect
from dubio.errors.choose import choose
from dubio.errors.finder import Found, find
from dubio.errors.findings import Finding, to_table
from dubio.errors.image_scores import image_table, score_images
from dubio.errors.reviewed import EVIDENCE, Reviewed, read_reviewed, write_evidence
from dubio.errors.store import ImageWork
from dubio.errors.summary import AuditSummary, summarise
from dubio.errors.verdicts import place_on, read_verdicts, reapply, write_verdicts
from dubio.jobs.drawing import draw_findings, draw_images, drop_old
from dubio.report.audit_page import write_audit_report


@dataclass
class AuditResult:
    """What an audit found, and where it stands on disk."""

    path: Path
    findings: list[Finding]
    summary: AuditSummary
    quarantine: dict[str, str]
    works: list[ImageWork] = field(default_factory=list, repr=False)
    images: pa.Table | None = None

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"


def audit(
    dataset: Dataset,
    source: PredictionSource,
    out: str | Path,
    options: AuditOptions | None = None,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AuditResult:
    """Find the label errors of a segmentation data set.

    Candidate regions of every image are scored by a classifier that learned from errors planted into
    copies of the other images' labels (cross-fitted by image); its probabilities are shifted to the
    error rate of the given labels (see :mod:`dubio.errors.prior`). Labels and predictions are only read.

    Args:
        dataset: labelled images (those without labels are skipped).
        source: what a model says of them: :func:`dubio.open_predictions` or a network.
        out: run folder; a stopped run in it goes on, finished parts are reused.
        options: see :class:`AuditOptions`.
        workers: images at once; default: all processors. The result does not depend on it.
        strict: raise at the first image that can't be used.
        progress: wraps iterables to show progress: ``progress(items, total, text)``.
        say: called with sentences for the user.

    Returns:
        The result; on disk ``findings.parquet``, ``images.parquet``, ``regions.parquet``,
        ``evidence.parquet``, ``summary.json``, ``quarantine.json`` (if any), ``dataset.json``,
        ``pictures/`` and ``report.html``.

    Raises:
        InputError: nothing can be audited, or the folder belongs to something else.
    """
    options = options or AuditOptions()
    reviewed = read_reviewed(options.reviewed) if options.reviewed else None
    run = Run(out, "audit", {"data": dataset.root, "set": dataset.name, **asdict(options)})
    kept = collect(dataset, source, run, options, workers=workers, strict=strict, progress=progress, say=say)
    for name, why in sorted(kept.quarantine.items())[:5]:
        say(f"left out {name}: {why}")
    found = _score(kept, dataset, options, workers, reviewed)
    if found.note:
        say(found.note)
    scores = score_images(kept.works, found, folds=options.folds, seed=options.seed)
    findings = choose(
        kept.works,
        found,
        dataset.space,
        classes=options.classes,
        kinds=options.kinds,
        max_findings=options.max_findings,
        min_probability=options.min_probability,
    )
    summary = summarise(
        kept.works, found, findings, dataset.space, method=options.method, skipped=kept.skipped,
        quarantined=len(kept.quarantine), seed=options.seed, images=scores.quality,
    )  # fmt: skip
    images = image_table(kept.works, scores, findings)
    drop_old(run.path / "pictures")
    findings = draw_findings(findings, kept, dataset, run, workers, progress)
    images = draw_images(images, kept, dataset, run, workers)
    findings = _keep_verdicts(run, findings, kept)
    _write(run, findings, summary, kept, dataset, images)
    shards = {w.image_id: s.relative_to(run.path) for w, s in zip(kept.works, kept.shards, strict=True)}
    unjudged = tuple(getattr(getattr(source, "class_map", None), "uncovered", ()))
    write_manifest(run.path / NAME, dataset, shards=shards, unjudged=unjudged)
    run.finish(images=len(kept.works), findings=len(findings), source=source.describe())
    return AuditResult(run.path, findings, summary, kept.quarantine, kept.works, images)


def _score(
    kept: Collected,
    dataset: Dataset,
    options: AuditOptions,
    workers: int | None,
    reviewed: Reviewed | None,
) -> Found:
    if options.method == "meta":
        from dubio.errors.published import find_by_meta

        return find_by_meta(kept, dataset.space, options)
    return find(
        kept.works,
        folds=options.folds,
        seed=options.seed,
        error_rate=options.error_rate,
        workers=workers,
        reviewed=reviewed,
    )


def _keep_verdicts(run: Run, findings: list[Finding], kept: Collected) -> list[Finding]:
    """Verdicts that were read into this folder before stay with their findings; evidence is written."""
    path = run.path / "verdicts.json"
    judged = read_verdicts(path) if path.is_file() else []
    if judged:
        findings = reapply(findings, judged)
        judged = place_on(findings, judged)
        write_verdicts(path, judged, findings)
    write_evidence(run.path / EVIDENCE, kept.works, findings, judged)
    return findings


def _write(
    run: Run,
    findings: list[Finding],
    summary: AuditSummary,
    kept: Collected,
    dataset: Dataset,
    images: pa.Table,
) -> None:
    with writing(run.path / "findings.parquet") as part:
        pq.write_table(to_table(findings, dataset.space), part, compression="zstd")
    with writing(run.path / "images.parquet") as part:
        pq.write_table(images, part, compression="zstd")
    with writing(run.path / "regions.parquet") as part:
        _merge(kept.tables, part)
    write_json(run.path / "summary.json", summary.to_dict())
    if kept.quarantine:
        write_json(run.path / "quarantine.json", kept.quarantine)
    write_audit_report(run.path, findings, summary, dataset, kept.quarantine)


def _merge(tables: list[Path], out: Path) -> None:
    """Concatenate Parquet shards one by one; memory holds one at a time."""
    writer: pq.ParquetWriter | None = None
    try:
        for path in tables:
            table = pq.read_table(path)
            writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
        else:
            pq.write_table(pa.table({}), out)
