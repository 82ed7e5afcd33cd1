"""Calibrate a detector: classes, confidence and corners, every method judged on images it did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.calibration.boxes.crossfit import image_parts, tags_of
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.run import Run
from dubio.engine.map import Progress, silent
from dubio.jobs.box_pairs import fingerprint_of, pair_boxes
from dubio.jobs.calibrate_parts import (
    RAW,
    BoxCalibrateOptions,
    classes_part,
    confidence_part,
    corners_part,
)
from dubio.reliability.table import plain
from dubio.report.calibrate_boxes_page import write_box_calibration_page

__all__ = ["RAW", "BoxCalibrateOptions", "BoxCalibrateResult", "calibrate_boxes"]


@dataclass
class BoxCalibrateResult:
    """A detector's calibration with its cross-fitted figures.

    Attributes:
        calibration: fitted on all images.
        summary: figures by part and method, curves for the page, sentences.
        path: run folder.
        sentences: what came of it, in words.
    """

    calibration: DetectionCalibration
    summary: dict[str, Any] = field(repr=False)
    path: Path

    sentences: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """Where the calibration is saved."""
        return self.path / "calibration.json"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"


def calibrate_boxes(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    out: str | Path,
    options: BoxCalibrateOptions | None = None,
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> BoxCalibrateResult:
    """Calibrate a detector on labelled images.

    Each method is fitted on some images and judged on the others, in turn, so that its figures are of images
    that it did not see; what is saved is fitted on all. Parts that can't be fitted are left out and said.

    Args:
        dataset: labelled boxes.
        predictions: detections by image id.
        out: run folder; gets ``calibration.json`` and ``summary.json``.
        options: see :class:`BoxCalibrateOptions`.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.

    Raises:
        InputError: nothing can be calibrated, or the folder belongs to something else.
    """
    options = options or BoxCalibrateOptions()
    run = Run(out, "calibrate --boxes", {"boxes": dataset.root, "set": dataset.name, **asdict(options)})
    pairs = pair_boxes(dataset, predictions, iou=options.iou, min_score=options.min_score)
    if not len(pairs):
        raise InputError(
            f"there is no detection with a score of {options.min_score:g} or more to calibrate on",
            path=dataset.root,
            remedy="lower --min-score, or detect with a lower score",
        )
    names, tags = [s.image_id for s in dataset], tags_of(dataset, options.fold_group)
    part = image_parts(names, options.folds, options.seed, groups=tags)
    found = DetectionCalibration(
        dataset.space.names, spread_of=options.spread_of, iou=options.iou, min_score=options.min_score
    )
    summary: dict[str, Any] = {"images": len(dataset), "detections": len(pairs), "options": asdict(options)}
    parts = (("confidence", confidence_part), ("classes", classes_part), ("corners", corners_part))
    for name, work in progress(parts, len(parts), "fitting and judging"):
        try:
            summary[name] = work(found, dataset, predictions, pairs, part, options)
        except InputError as error:
            summary[name] = {"left_out": str(error), "chosen": "none"}
            say(f"{name} left as they are: {error}" if name != "confidence" else f"confidence left: {error}")
    if not found.describe():
        raise InputError("nothing could be calibrated", path=dataset.root, remedy="see the sentences above")
    found.about = {
        "data": dataset.name, "images": len(dataset), "detections": len(pairs),
        "matched": int(pairs.right.sum()), "image_ids": fingerprint_of(dataset),
    }  # fmt: skip
    summary["calibration"] = found.describe()
    summary["sentences"] = _sentences(summary)
    # figures that are undefined, as a D-ECE without sizes of the pictures
    summary = plain(summary)
    found.save(run.path / "calibration.json")
    write_json(run.path / "summary.json", summary)
    write_box_calibration_page(run.path, summary, dataset.name)
    run.finish(images=len(dataset), detections=len(pairs))
    return BoxCalibrateResult(found, summary, run.path, summary["sentences"])


def _sentences(summary: dict[str, Any]) -> list[str]:
    """What calibration changed, in words."""
    found = []
    words = {"confidence": "Confidence", "classes": "Class probabilities", "corners": "Corners"}
    for part, word in words.items():
        figures, chosen = summary[part].get("figures", {}), summary[part]["chosen"]
        if chosen not in figures:
            continue
        after = figures[chosen]["ece"]
        if RAW not in figures:
            found.append(f"{word} ({chosen}): calibration error {after:.3f}; the detector states no spread.")
            continue
        before, worse = figures[RAW]["ece"], figures[chosen]["nll"] > figures[RAW]["nll"]
        note = " Its likelihood is worse than before: better leave it." if worse else ""
        found.append(f"{word} ({chosen}): calibration error {before:.3f} before, {after:.3f} after.{note}")
    return found
