"""An audit of boxes as a run folder: findings, summary, tables, pictures and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.boxes import BoxDataset, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import write_json, writing
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.core.run import Run
from dubio.data.boxes import write_boxes
from dubio.data.images import read_image
from dubio.data.manifest import NAME, write_manifest
from dubio.engine.map import Progress, map_ordered, silent
from dubio.errors.boxes.audit import BoxAuditOptions
from dubio.errors.boxes.audit import audit_boxes as find_in_boxes
from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.read import gap_sentences
from dubio.errors.boxes.relations import heads
from dubio.errors.boxes.summary import summarise_boxes
from dubio.errors.boxes.traits import BOXES, BoxWork
from dubio.errors.findings import Finding, to_table
from dubio.errors.image_scores import SHOWN_FAULT
from dubio.errors.reviewed import EVIDENCE, read_reviewed, write_evidence
from dubio.errors.summary import AuditSummary
from dubio.errors.verdicts import place_on, read_verdicts, reapply, write_verdicts
from dubio.handover.audit_run import LABELS
from dubio.jobs.drawing import SHOWN_IMAGES, drop_old
from dubio.regions.boxes.matching import match_boxes
from dubio.regions.boxes.table import box_table
from dubio.report.audit_page import write_audit_report
from dubio.report.box_strips import strip_of, whole_of
from dubio.report.pictures import save_strip

# Faults of whole images of which the page says what is seen instead.
_UNLABELLED = ("unlabelled", "class_unlabelled")


@dataclass
class BoxAuditResult:
    """What an audit of boxes found, and where it stands on disk."""

    path: Path
    findings: list[Finding]
    summary: AuditSummary
    quarantine: dict[str, str]
    works: list[BoxWork] = field(default_factory=list, repr=False)
    images: pa.Table | None = None

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"


def audit_boxes(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    out: str | Path,
    options: BoxAuditOptions | None = None,
    *,
    reviewed: tuple[str, ...] = (),
    workers: int | None = None,
    strict: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> BoxAuditResult:
    """Find the label errors of a detection data set.

    See :func:`dubio.errors.boxes.audit.audit_boxes` for the method; this writes the run folder. Labels are
    only read.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id; the more of low score, the better. Of a detector that was not
            trained on these very labels. Images that are not there are left out, those with an empty entry
            are examined: nothing was seen.
        out: run folder.
        options: see :class:`~dubio.errors.boxes.audit.BoxAuditOptions`.
        reviewed: run folders of earlier audits whose verdicts are used.
        workers: images drawn and models fitted at once.
        strict: raise at the first picture that can't be read.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.

    Returns:
        The result; on disk ``findings.parquet``, ``images.parquet``, ``regions.parquet``,
        ``evidence.parquet``, ``summary.json``, ``quarantine.json`` (if any), ``labels.json``,
        ``pictures/`` and ``report.html``.

    Raises:
        InputError: nothing can be audited, or the folder belongs to something else.
    """
    options = options or BoxAuditOptions()
    known = read_reviewed(reviewed, BOXES) if reviewed else None
    described = {"boxes": dataset.root, "set": dataset.name, "reviewed": reviewed, **asdict(options)}
    run = Run(out, "audit --boxes", described)
    if dataset.root is not None and dataset.root.is_dir():
        run.keep_apart([dataset.root / "labels"])  # its pictures and tables would pass for the data set's
    (run.path / "quarantine.json").unlink(missing_ok=True)
    if not sum(len(v) for v in dataset.labels.values()) and not any(len(p) for p in predictions.values()):
        raise InputError("has neither labelled boxes nor detections", path=dataset.root)
    absent = sum(s.image_id not in predictions for s in dataset)
    unseen = [k for k, seen in predictions.items() if not len(seen) and len(dataset.labels.get(k, ()))]
    if unseen:
        say(
            f"nothing is detected in {len(unseen)} of the images with labelled boxes (first '{min(unseen)}'):"
            " if the detector didn't run on them, their boxes look spurious"
        )
    steps = progress(["finding"], 1, "learning from planted errors and judging")
    for _ in steps:
        audit = find_in_boxes(dataset, predictions, options, workers=workers, reviewed=known)
    gaps = gap_sentences(audit.works[0].of.scene, dataset.space.names) if audit.works else []
    for sentence in gaps:
        say(sentence)
    dataset = replace(dataset, notes=(*dataset.notes, *gaps))
    if audit.found.note:
        say(audit.found.note)
    findings, images = audit.findings, audit.images
    drop_old(run.path / "pictures")
    drawing = _Drawing(dataset, predictions, run, strict)
    findings = drawing.findings(findings, workers, progress)
    images = drawing.images(_with_missing(images, audit.works, dataset.space), audit.works)
    for name, why in sorted(drawing.faults.items())[:5]:
        say(f"no picture of {name}: {why}")
    findings = _keep_verdicts(run, findings, audit.works)
    method = options.method if options.learn else "ranks"
    summary = summarise_boxes(
        audit.works, audit.found, findings, dataset.space, method=method,
        skipped=absent, seed=options.seed, images=audit.scores.quality,
    )  # fmt: skip
    _write(run, findings, summary, dataset, predictions, images, drawing.faults)
    run.finish(images=len(audit.works), findings=len(findings))
    return BoxAuditResult(run.path, findings, summary, drawing.faults, audit.works, images)


class _Drawing:
    """Pictures of an audit; images that can't be read get drawings without them."""

    def __init__(
        self, dataset: BoxDataset, predictions: Mapping[str, DetPrediction], run: Run, strict: bool
    ) -> None:
        self.dataset, self.predictions, self.run, self.strict = dataset, predictions, run, strict
        self.samples = {s.image_id: s for s in dataset}
        self.faults: dict[str, str] = {}

    def findings(self, findings: list[Finding], workers: int | None, progress: Progress) -> list[Finding]:
        """A picture per finding; returns the findings with the pictures' paths."""
        of_image: dict[str, list[Finding]] = {}
        for finding in findings:
            of_image.setdefault(finding.image_id, []).append(finding)
        names = sorted(of_image)
        done = map_ordered(lambda name: self._draw(name, of_image[name]), names, workers=workers)
        path_of = {n: path for part in progress(done, len(names), "drawing") for n, path in part}
        return [replace(f, picture=path_of.get(f.finding)) for f in findings]

    def _draw(self, name: str, findings: list[Finding]) -> list[tuple[int, str]]:
        image = self._image(self.samples[name])
        made = []
        for finding in findings:
            path = f"pictures/{finding.finding:05d}.jpg"
            own = image if image is not None and image.shape[:2] == (finding.height, finding.width) else None
            picture = strip_of(
                finding, self.dataset.space, own, self.dataset.labels[name], self.predictions.get(name)
            )
            save_strip(picture, self.run.path / path)
            made.append((finding.finding, path))
        return made

    def images(self, table: pa.Table, works: list[BoxWork]) -> pa.Table:
        """A picture of each of the most suspect images; returns the table with the pictures' paths."""
        shapes = {w.image_id: w.shape for w in works}
        names = table.column("image_id").to_pylist()
        made: dict[str, str] = {}
        for rank, name in enumerate(names[:SHOWN_IMAGES], start=1):
            image = self._image(self.samples[name])
            size = shapes[name] if image is None else (image.shape[0], image.shape[1])
            if min(size) < 1:
                continue
            made[name] = f"pictures/image-{rank:03d}.jpg"
            picture = whole_of(
                self.dataset.space, image, size, self.dataset.labels[name], self.predictions.get(name)
            )
            save_strip(picture, self.run.path / made[name])
        return table.append_column("picture", pa.array([made.get(n) for n in names], pa.string()))

    def _image(self, sample: BoxSample) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
        if sample.image is None:
            return None
        try:
            return read_image(sample.image)
        except InputError as error:
            if self.strict:
                raise
            self.faults[sample.image_id] = str(error)
            return None


def _with_missing(images: pa.Table, works: list[BoxWork], space: LabelSpace) -> pa.Table:
    """The table of images; where labels look missing on the whole, the reason says what is seen instead."""
    rows = images.select(["image_id", "fault", "fault_kind", "reason"]).to_pylist()
    unlabelled = {
        r["image_id"] for r in rows if (r["fault"] or 0) >= SHOWN_FAULT and r["fault_kind"] in _UNLABELLED
    }
    if not unlabelled:
        return images
    scene, met = works[0].of.scene, works[0].of.found.met["met_any"]
    free = np.flatnonzero(heads(scene) & (met < RIGHT_IOU))
    n = len(scene.classes)
    # confidences, added up: of ten objects seen with 0.3, three are there
    cell = scene.seen.image[free] * n + scene.seen.cls[free]
    count = np.bincount(cell, scene.seen.conf[free], scene.n_images * n).reshape(scene.n_images, n)
    place = {name: i for i, name in enumerate(scene.image_id)}
    reasons = []
    for row in rows:
        words = ""
        if row["image_id"] in unlabelled:
            mine = count[place[row["image_id"]]]
            words = _mostly(
                round(mine.sum()), round(mine.max()), space.names[int(scene.classes[mine.argmax()])]
            )
        reasons.append(row["reason"] + words)
    return images.set_column(images.column_names.index("reason"), "reason", pa.array(reasons, pa.string()))


def _mostly(total: int, most: int, name: str) -> str:
    """Of which class the objects are that no label meets."""
    if total < 2 or not most:
        return ""
    return f" {most if most < total else 'All'} of them {'is' if most == 1 else 'are'} {name}."


def _keep_verdicts(run: Run, findings: list[Finding], works: list[BoxWork]) -> list[Finding]:
    """Verdicts that were read into this folder before stay with their findings; evidence is written."""
    path = run.path / "verdicts.json"
    judged = read_verdicts(path) if path.is_file() else []
    if judged:
        findings = reapply(findings, judged)
        judged = place_on(findings, judged)
        write_verdicts(path, judged, findings)
    write_evidence(run.path / EVIDENCE, works, findings, judged)
    return findings


def _write(
    run: Run,
    findings: list[Finding],
    summary: AuditSummary,
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    images: pa.Table,
    faults: dict[str, str],
) -> None:
    matches = {k: match_boxes(p, dataset.labels[k]) for k, p in predictions.items() if k in dataset.labels}
    tables = {
        "findings": to_table(findings, dataset.space),
        "images": images,
        "regions": box_table(dataset, predictions, matches),
    }
    for name, table in tables.items():
        with writing(run.path / f"{name}.parquet") as part:
            pq.write_table(table, part, compression="zstd")
    write_json(run.path / "summary.json", summary.to_dict())
    if faults:
        write_json(run.path / "quarantine.json", faults)
    write_boxes(dataset, run.path / LABELS, "coco")
    samples = tuple(Sample(s.image_id, s.image, None, s.split, s.domain) for s in dataset)
    plain = Dataset(dataset.name, dataset.space, samples, root=dataset.root, notes=dataset.notes)
    write_manifest(run.path / NAME, plain)
    write_audit_report(run.path, findings, summary, dataset, faults)
