"""A detector's calibration as one file: classes, confidence, corners, intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dubio.calibration import files
from dubio.calibration.boxes.adaptive import AdaptiveSpread
from dubio.calibration.boxes.classes import (
    ClassCalibrator,
    ClassIsotonic,
    ClassTemperature,
    calibrated_classes,
)
from dubio.calibration.boxes.confidence import (
    ConfidenceCalibrator,
    IsotonicConfidence,
    LogisticConfidence,
)
from dubio.calibration.boxes.conformal import ConformalIntervals
from dubio.calibration.boxes.rows import BoxRows, Spread, rows_of
from dubio.calibration.boxes.spread import IsotonicSpread, ScaleSpread, SpreadCalibrator
from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import DubioError, InputError

KIND = "DetectionCalibration"
_SPREADS: dict[str, Any] = {c.kind: c for c in (ScaleSpread, IsotonicSpread, AdaptiveSpread)}
_CLASSES: dict[str, Any] = {c.kind: c for c in (ClassTemperature, ClassIsotonic)}
_CONFIDENCE: dict[str, Any] = {c.kind: c for c in (LogisticConfidence, IsotonicConfidence)}


@dataclass
class DetectionCalibration:
    """What was learned of a detector's probabilities and spreads; parts may be missing.

    Args:
        names: classes that it was fitted on, in their order.
        spread: corners: sigma and law.
        classes: class scores, given that there is an object.
        confidence: probability of being right.
        intervals: split-conformal intervals, fitted on cross-fitted sigmas.
        spread_of: which of the detector's variances is its sigma.
        iou: from this IoU on a detection was right.
        min_score: less confident detections were not used.
        about: what it was fitted on (images, boxes, fingerprint), for people.
    """

    names: tuple[str, ...]
    spread: SpreadCalibrator | None = None
    classes: ClassCalibrator | None = None
    confidence: ConfidenceCalibrator | None = None
    intervals: ConformalIntervals | None = None
    spread_of: Spread = "total"
    iou: float = 0.5
    min_score: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)

    def apply(self, prediction: DetPrediction, size: tuple[int, int] | None = None) -> DetPrediction:
        """Calibrate the detections of an image.

        Boxes and classes stay. ``scores`` become probabilities of being right. ``class_scores`` become
        probabilities of the classes, of the kind softmax: what is missing from a row's sum is the
        probability that there is no object. Variances become squared sigmas (half the width of the central
        68.27 % interval), shared between aleatoric and epistemic as before.

        Args:
            prediction: the detections.
            size: height and width of the picture.

        Raises:
            InputError: other classes, or something that a part needs is missing.
        """
        self.check(prediction.n_classes)
        if not len(prediction):
            return self._nothing(prediction)
        rows = rows_of(prediction, size, spread=self.spread_of)
        scores = prediction.scores if self.confidence is None else self.confidence.confidence(rows)
        changed: dict[str, Any] = {"scores": np.clip(scores, 0, 1)}
        if self.classes is not None and prediction.class_scores is not None:
            changed |= self._classes(prediction, changed["scores"])
        if self.spread is not None:
            changed |= _shared_out(prediction, self.spread.sigma(rows) ** 2)
        return replace(prediction, **changed)

    def _nothing(self, prediction: DetPrediction) -> DetPrediction:
        """Of an image without detections the same columns as of the others, so that they go into one file."""
        changed: dict[str, Any] = {}
        if self.classes is not None and prediction.class_scores is not None:
            changed["kind"] = "softmax"
        if self.spread is not None:
            changed |= _shared_out(prediction, np.zeros((0, 4)))
        return replace(prediction, **changed)

    def _classes(self, prediction: DetPrediction, scores: Floats) -> dict[str, Any]:
        assert self.classes is not None
        q, spread = calibrated_classes(self.classes, prediction)
        own = q[np.arange(len(q)), prediction.classes]
        # the predicted class keeps the confidence, the others their odds against it
        there = np.minimum(scores / np.maximum(own, 1e-12), 1.0)[:, None]
        found: dict[str, Any] = {"class_scores": q * there, "kind": "softmax"}
        if spread is not None:
            found["class_variance"] = spread * there**2
        if prediction.expected_entropy is not None:
            p = np.concatenate([q * there, 1 - there], 1)
            entropy = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
            # second order: what the spread of the scores takes from the entropy
            ignorance = np.zeros(len(q)) if spread is None else 0.5 * (spread / np.maximum(q, 1e-6)).sum(1)
            found["expected_entropy"] = np.maximum(entropy - ignorance, 0)
        return found

    def interval(
        self, prediction: DetPrediction, level: float, size: tuple[int, int] | None = None
    ) -> tuple[Floats, Floats]:
        """Lowest and highest value of each corner at a level, ``(N, 4)`` each, pixels.

        Args:
            prediction: detections as the detector gave them, not calibrated ones.
            level: share that lies within.
            size: height and width of the picture.

        Raises:
            InputError: corners were not calibrated.
        """
        if self.spread is None:
            raise InputError("this calibration knows nothing of corners", remedy="fit it with their spread")
        self.check(prediction.n_classes)
        rows = rows_of(prediction, size, spread=self.spread_of)
        return self.interval_of(rows, self.spread.sigma(rows), level)

    def interval_of(self, rows: BoxRows, sigma: Floats, level: float) -> tuple[Floats, Floats]:
        """Intervals of rows whose sigma is known: conformal ones if they were fitted, else by the law."""
        if self.intervals is not None:
            return self.intervals.intervals(rows, level, sigma)
        assert self.spread is not None
        half = sigma * self.spread.law.half_width(level)
        return rows.boxes - half, rows.boxes + half

    def check(self, n_classes: int) -> None:
        """Make sure that detections are of the classes that this was fitted on.

        Raises:
            InputError: they are not.
        """
        if n_classes != len(self.names):
            raise InputError(
                f"the calibration knows {len(self.names)} classes, the detections have {n_classes}",
                remedy="calibrate on detections of the same classes",
            )

    def describe(self) -> list[str]:
        """Sentences on what it does."""
        parts = [p.describe() for p in (self.classes, self.confidence, self.spread) if p is not None]
        if self.intervals is not None:
            parts.append(f"intervals by split-conformal prediction, per {self.intervals.scope}")
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        parts = {"spread": self.spread, "classes": self.classes, "confidence": self.confidence}
        return {
            "names": list(self.names),
            "spread_of": self.spread_of,
            "iou": self.iou,
            "min_score": self.min_score,
            "about": self.about,
            "intervals": None if self.intervals is None else self.intervals.state(),
            **{n: None if p is None else {"kind": p.kind, **p.state()} for n, p in parts.items()},
        }

    def save(self, path: str | Path) -> None:
        """Write it as JSON.

        Raises:
            InputError: the file can't be written.
        """
        files.write(path, KIND, self.to_dict(), {}, "json")


def load_detection_calibration(path: str | Path) -> DetectionCalibration:
    """Read a calibration that :meth:`DetectionCalibration.save` wrote.

    Raises:
        InputError: missing, damaged, or a calibrator of masks.
    """
    header, _ = files.read(path)
    if header.get("kind") != KIND:
        raise InputError(
            f"holds '{header.get('kind')}', which calibrates masks, not boxes",
            path=path,
            remedy="name a file of 'dubio calibrate --boxes'",
        )
    try:
        return DetectionCalibration(
            tuple(str(n) for n in header["names"]),
            _restored(_SPREADS, header["spread"]),
            _restored(_CLASSES, header["classes"]),
            _restored(_CONFIDENCE, header["confidence"]),
            None if header["intervals"] is None else ConformalIntervals.restore(header["intervals"]),
            header["spread_of"],
            float(header["iou"]),
            float(header["min_score"]),
            dict(header["about"]),
        )
    except DubioError:
        raise
    except Exception as error:  # damaged files fail in many ways
        raise InputError("is damaged", path=path, remedy="calibrate again") from error


def _restored(kinds: Mapping[str, Any], data: Mapping[str, Any] | None) -> Any:
    return None if data is None else kinds[data["kind"]].restore(data)


def _shared_out(prediction: DetPrediction, total: Floats) -> dict[str, Floats]:
    """The calibrated variance, split as the stated ones were."""
    al, ep = prediction.box_aleatoric, prediction.box_epistemic
    if ep is None:
        return {"box_aleatoric": total}
    if al is None:
        return {"box_epistemic": total}
    whole = al + ep
    share = np.divide(al, whole, out=np.ones_like(al), where=whole > 0)
    return {"box_aleatoric": total * share, "box_epistemic": total * (1 - share)}
