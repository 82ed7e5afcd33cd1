"""Validate a detector on labelled boxes: what it finds, where it puts it, and what its doubts are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.calibration.boxes.crossfit import tags_of
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.run import Run
from dubio.data.corrupt.boxes import BoxCorruption
from dubio.engine.map import Progress, silent
from dubio.jobs.box_pairs import BoxPairs, pair_boxes
from dubio.jobs.calibration_fit import check_calibration, check_classes
from dubio.jobs.corner_cases import corner_cases
from dubio.jobs.validate_calibrators import Calibrators, cross_fitted, from_file
from dubio.jobs.validate_corrupted import Clean, corrupted_rows
from dubio.jobs.validate_detect import Detecting, detect, run_time
from dubio.jobs.validate_figures import (
    best_score,
    class_rows,
    confidence_part,
    counts_of,
    detection_figures,
    labelled_boxes,
    precision_recall,
)
from dubio.jobs.validate_pairs import PairingOptions
from dubio.jobs.validate_rows import LEVEL, ValidationRows, validation_rows
from dubio.jobs.validate_sentences import headline, sentences
from dubio.jobs.validate_table import FILE_NAME, write_table
from dubio.jobs.validate_uncertainty import corner_part, correlations, errors_along, worth
from dubio.jobs.validate_wall import build_wall, palette, quantiles
from dubio.regions.boxes.matching import MatchMethod
from dubio.reliability.boxes.average_precision import average_precision, voc_average_precision
from dubio.reliability.table import plain
from dubio.report.validate_page import write_validate_page

FORMAT = 1
Result = TypeVar("Result")
Voc = Literal["area", "eleven-points"]


@dataclass(frozen=True)
class ValidateOptions:
    """Options of a validation.

    Args:
        iou: least IoU of a pair.
        class_aware: see :class:`~dubio.jobs.validate_pairs.PairingOptions`.
        matching: likewise.
        min_score: less confident detections are left out, but for average precision, which looks at all
            scores; ``None``: the score of greatest F1, which is where a user would put the bar.
        cross_fit: calibrate on the spot where no calibration is given: each part of the images on all others.
        voc: also Pascal VOC's average precision.
        folds: parts for cross-fitting.
        fold_group: domain tag whose images stay in one part, such as a scene; ``None``: each by itself.
        replicates: of the bootstrap over images; 0: no intervals.
        pictures: images on the page.
        seed: seed of everything random.

    Raises:
        InputError: an impossible value.
    """

    iou: float = 0.5
    class_aware: bool = True
    matching: MatchMethod = "greedy"
    min_score: float | None = None
    cross_fit: bool = True
    voc: Voc | None = None
    folds: int = 5
    fold_group: str | None = None
    replicates: int = 1000
    pictures: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        PairingOptions(self.iou, self.class_aware, self.matching, self.min_score or 0.0)
        if self.folds < 2:
            raise InputError(f"cross-fitting takes 2 parts or more, not {self.folds}")

    def pairing(self, min_score: float) -> PairingOptions:
        """How boxes are paired from a score on."""
        return PairingOptions(self.iou, self.class_aware, self.matching, min_score)


@dataclass
class ValidateResult:
    """What a validation found.

    Attributes:
        path: the run folder, with ``validation.parquet``, ``summary.json`` and ``validate.html``.
        summary: what ``summary.json`` holds.
        rows: one row per labelled box and per detection that stands for none.
    """

    path: Path
    summary: dict[str, Any] = field(repr=False)
    rows: ValidationRows = field(repr=False)

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "validate.html"

    @property
    def table(self) -> Path:
        """The table of all boxes (see :mod:`dubio.jobs.validate_table`)."""
        return self.path / FILE_NAME


def validate(
    dataset: BoxDataset,
    detections: Mapping[str, DetPrediction] | Detecting,
    out: str | Path,
    options: ValidateOptions | None = None,
    *,
    calibration: DetectionCalibration | None = None,
    corruptions: Sequence[BoxCorruption] = (),
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> ValidateResult:
    """Validate detections, or a detector, on labelled boxes.

    Calibrated figures are never of images that the calibration was fitted on, unless a file is given that
    was; that is said.

    Args:
        dataset: labelled boxes.
        detections: by image id (images that are not there have none), or a detector to run.
        out: run folder.
        options: see :class:`ValidateOptions`.
        calibration: of ``dubio calibrate --boxes``.
        corruptions: what is also done to the pictures; takes a detector.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.

    Raises:
        InputError: nothing is labelled, the folder belongs to something else, or an input can't be used.
    """
    options = options or ValidateOptions()
    if not labelled_boxes(dataset).sum():
        raise InputError("there is no labelled box to validate on", path=dataset.root, remedy="name others")
    if corruptions and not isinstance(detections, Detecting):
        raise InputError("corrupted pictures take a detector", remedy="name it with --detector")
    tags_of(dataset, options.fold_group)  # a tag that nobody has is told before the work
    if calibration is not None:
        # told before a detector has looked at all pictures
        check_classes(calibration, dataset.space)
        if isinstance(detections, Detecting):
            check_calibration(calibration, detections.source)
    run = Run(out, "validate", {"boxes": dataset.root, "set": dataset.name, **asdict(options)})
    faults: dict[str, str] = {}
    time = None
    if isinstance(detections, Detecting):
        dataset, predictions, faults = detect(detections, dataset, run.path, progress)
        time = run_time(detections, dataset)
    else:
        predictions = detections
    work = _Work(dataset, predictions, run, options, progress, say)
    summary = work.summary(calibration)
    if isinstance(detections, Detecting) and corruptions:
        assert work.rows is not None
        summary["corruptions"] = corrupted_rows(
            detections, work.clean(), corruptions, run, work.calibrators, seed=options.seed, progress=progress
        )
    summary |= {"run_time": time, "quarantine": sorted(faults.items())}
    summary["headline"], summary["sentences"] = headline(summary), sentences(summary)
    return work.finish(plain(summary))


class _Work:
    """The steps of a validation."""

    def __init__(
        self,
        dataset: BoxDataset,
        predictions: Mapping[str, DetPrediction],
        run: Run,
        options: ValidateOptions,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self.dataset, self.predictions, self.run, self.options = dataset, predictions, run, options
        self.progress, self.say = progress, say
        self.calibrators: Calibrators | None = None
        self.no_calibration = ""
        self.min_score = 0.0
        self.rows: ValidationRows | None = None

    def summary(self, calibration: DetectionCalibration | None) -> dict[str, Any]:
        """All figures."""
        dataset, options = self.dataset, self.options
        pairs = self._step("pairing boxes", lambda: pair_boxes(dataset, self.predictions, iou=options.iou))
        labelled = int(labelled_boxes(dataset).sum())
        self.min_score = best_score(pairs, labelled) if options.min_score is None else options.min_score
        self._calibrate(calibration, pairs)
        pairing, progress = options.pairing(self.min_score), self.progress
        self.rows = rows = validation_rows(
            dataset, self.predictions, pairing, self.calibrators, progress=progress
        )
        precision = self._step("average precision", lambda: average_precision(dataset, self.predictions))
        voc = None if options.voc is None else self._step("average precision of VOC", self._voc)
        return {
            "format": FORMAT,
            "command": "validate",
            "title": dataset.name,
            "images": len(dataset),
            "labels": labelled,
            "detections": sum(
                len(self.predictions[s.image_id]) for s in dataset if s.image_id in self.predictions
            ),
            "min_score": self.min_score,
            "min_score_chosen": options.min_score is None,
            "pairing": asdict(pairing),
            "average_precision": precision.to_dict(),
            "voc": voc,
            "classes": class_rows(rows, dataset, precision, voc),
            **self._figures(rows, pairs),
            "level": LEVEL,
            "calibration": None if self.calibrators is None else self.calibrators.words,
            "calibrated_in_sample": self.calibrators is not None and self.calibrators.in_sample,
            "no_calibration": self.no_calibration,
            "corruptions": [],
            "notes": list(dataset.notes),
        }

    def _figures(self, rows: ValidationRows, pairs: BoxPairs) -> dict[str, Any]:
        """Figures of the paired boxes, by their names in the summary."""
        drawn = {"replicates": self.options.replicates, "seed": self.options.seed}
        work: dict[str, Callable[[], Any]] = {
            "counts": lambda: counts_of(rows),
            "figures": lambda: detection_figures(rows, **drawn),
            "precision_recall": lambda: precision_recall(self.dataset, pairs),
            "confidence": lambda: confidence_part(pairs, self.calibrators),
            "corners": lambda: corner_part(rows, self.calibrators, **drawn),
            "worth": lambda: worth(rows),
            "along": lambda: errors_along(rows),
            "correlations": lambda: correlations(rows, **drawn),
            "corner_cases": lambda: corner_cases(rows),
        }
        found = {name: one() for name, one in self.progress(work.items(), len(work), "figures")}
        found["figures"], found["intervals"] = found["figures"]
        return found

    def _step(self, text: str, work: Callable[[], Result]) -> Result:
        """Work in one piece, shown while it goes on."""
        (found,) = [work() for _ in self.progress([text], 1, text)]
        return found

    def clean(self) -> Clean:
        """What corrupted pictures are compared with."""
        assert self.rows is not None
        return Clean(self.dataset, self.predictions, self.rows, self.options.pairing(self.min_score))

    def _voc(self) -> dict[str, float]:
        eleven = self.options.voc == "eleven-points"
        return voc_average_precision(
            self.dataset, self.predictions, iou=self.options.iou, eleven_points=eleven
        )

    def _calibrate(self, calibration: DetectionCalibration | None, pairs: BoxPairs) -> None:
        if calibration is not None:
            self.calibrators = from_file(calibration, self.dataset)
            if self.calibrators.in_sample:
                self.say(self.calibrators.words)
            return
        if not self.options.cross_fit:
            self.no_calibration = "not asked for"
            return
        try:
            o = self.options
            parts: dict[str, Any] = {"folds": o.folds, "seed": o.seed, "group": o.fold_group}
            self.calibrators = cross_fitted(
                self.dataset, self.predictions, pairs, **parts, progress=self.progress
            )
        except InputError as error:
            self.no_calibration = str(error)
            self.say(f"nothing is calibrated: {error}")

    def finish(self, summary: dict[str, Any]) -> ValidateResult:
        """Write table, summary and page, and end the run."""
        assert self.rows is not None
        rows, cases = self.rows, summary["corner_cases"]
        write_table(rows, self.run.path / FILE_NAME, self.dataset.space)
        write_json(self.run.path / "summary.json", summary)
        also = {name: corner["rows"] for name, corner in cases.get("corners", {}).items()}
        shown: dict[str, Any] = {"most": self.options.pictures, "also": also}
        wall = build_wall(rows, self.dataset, self.run.path, **shown, say=self.say, progress=self.progress)
        colours = {"quantiles": quantiles(rows), "palette": palette(self.dataset)}
        write_validate_page(self.run.path, summary, {**wall, **colours})
        self.run.finish(images=len(self.dataset), rows=len(rows), quarantined=len(summary["quarantine"]))
        return ValidateResult(self.run.path, summary, rows)
