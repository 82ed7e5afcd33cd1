"""An audit as a run folder: findings, summary, region table, pictures and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.files import write_json, writing
from dubio.core.labelspace import IndexMap
from dubio.core.records import Dataset, PredictionSource, Sample
from dubio.core.run import Run
from dubio.data.images import fit_image, read_image
from dubio.data.masks import read_mask
from dubio.engine.map import map_ordered
from dubio.errors.audit import AuditOptions, Collected, Progress, collect
from dubio.errors.choose import choose
from dubio.errors.finder import Found, find
from dubio.errors.findings import Finding, to_table
from dubio.errors.store import ImageWork, load_work
from dubio.errors.summary import AuditSummary, summarise
from dubio.report.audit_page import write_audit_report
from dubio.report.pictures import save_strip, strip


@dataclass
class AuditResult:
    """What an audit found, and where it stands on disk."""

    path: Path
    findings: list[Finding]
    summary: AuditSummary
    quarantine: dict[str, str]
    works: list[ImageWork] = field(default_factory=list, repr=False)

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
        An :class:`AuditResult`; on disk ``findings.parquet``, ``regions.parquet``, ``summary.json``,
        ``quarantine.json`` (if any), ``pictures/`` and ``report.html``.

    Raises:
        InputError: nothing can be audited, or the folder belongs to something else.
    """
    options = options or AuditOptions()
    run = Run(out, "audit", {"data": dataset.root, "set": dataset.name, **asdict(options)})
    kept = collect(dataset, source, run, options, workers=workers, strict=strict, progress=progress)
    for name, why in sorted(kept.quarantine.items())[:5]:
        say(f"left out {name}: {why}")
    found, quality_note = _score(kept, dataset, options, workers)
    if quality_note:
        say(quality_note)
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
        quarantined=len(kept.quarantine), seed=options.seed,
    )  # fmt: skip
    drop_old(run.path / "pictures")
    findings = _pictures(findings, kept, dataset, run, workers, progress)
    _write(run, findings, summary, kept, dataset)
    run.finish(images=len(kept.works), findings=len(findings), source=source.describe())
    return AuditResult(run.path, findings, summary, kept.quarantine, kept.works)


def _score(
    kept: Collected, dataset: Dataset, options: AuditOptions, workers: int | None
) -> tuple[Found, str]:
    if options.method == "meta":
        from dubio.errors.published import find_by_meta

        found = find_by_meta(kept, dataset.space, options)
    else:
        found = find(
            kept.works,
            folds=options.folds,
            seed=options.seed,
            error_rate=options.error_rate,
            workers=workers,
        )
    return found, found.note


def drop_old(folder: Path) -> None:
    """Remove the pictures of an earlier run: their numbers stand for other findings now."""
    for path in folder.glob("*.jpg"):
        path.unlink()


def _pictures(
    findings: list[Finding],
    kept: Collected,
    dataset: Dataset,
    run: Run,
    workers: int | None,
    progress: Progress | None,
) -> list[Finding]:

    by_image: dict[str, list[Finding]] = {}
    for finding in findings:
        by_image.setdefault(finding.image_id, []).append(finding)
    samples = {s.image_id: s for s in dataset}
    shard_of = {w.image_id: s for w, s in zip(kept.works, kept.shards, strict=True)}
    names = sorted(by_image, key=lambda name: (str(shard_of[name]), name))

    def job(name: str) -> list[tuple[int, str]]:
        work = next(w for w in load_work(shard_of[name], maps=True) if w.image_id == name)
        return _draw(samples[name], dataset, work.pred, by_image[name], run.path)

    done = map_ordered(job, names, workers=workers)
    steps = done if progress is None else progress(done, len(names), "drawing")
    picture = {number: path for part in steps for number, path in part}
    return [replace(f, picture=picture.get(f.finding)) for f in findings]


def _draw(
    sample: Sample, dataset: Dataset, pred: IndexMap, findings: list[Finding], root: Path
) -> list[tuple[int, str]]:
    if sample.label is None:
        return []
    label = read_mask(sample.label, dataset.space, dataset.encoding, unknown="void")
    image = None
    if sample.image is not None:
        image = fit_image(read_image(sample.image), (int(label.shape[0]), int(label.shape[1])))
    made = []
    for finding in findings:
        name = f"pictures/{finding.finding:05d}.jpg"
        save_strip(strip(finding, dataset.space, image, label, pred), root / name)
        made.append((finding.finding, name))
    return made


def _write(
    run: Run, findings: list[Finding], summary: AuditSummary, kept: Collected, dataset: Dataset
) -> None:
    with writing(run.path / "findings.parquet") as part:
        pq.write_table(to_table(findings, dataset.space), part, compression="zstd")
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
