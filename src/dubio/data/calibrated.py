"""Predictions from files with a calibrator between the files and the class map."""

from __future__ import annotations

from typing import Any

from dubio.core.errors import InputError
from dubio.core.records import RawScores, Sample, ScoreCalibrator, SegPrediction
from dubio.data.images import read_image
from dubio.data.predictions import FilePredictions
from dubio.data.relabel import to_prediction


class CalibratedFiles:
    """Score files seen through a calibrator; a ``PredictionSource``.

    Args:
        files: the score files.
        calibrator: fitted on scores of the same model.

    Raises:
        InputError: the files are label maps, or the calibrator wants a network's features.
    """

    def __init__(self, files: FilePredictions, calibrator: ScoreCalibrator) -> None:
        if files.scores is None:
            raise InputError("label maps without scores can't be calibrated", remedy="give class scores")
        if "features" in calibrator.needs:
            raise InputError(
                "the calibrator wants features of the network, which score files don't have",
                remedy="give the model itself with --model, or fit a calibrator without features",
            )
        self.files, self.calibrator = files, calibrator

    def describe(self) -> list[str]:
        """Sentences on the files and the calibrator."""
        return [*self.files.describe(), *(f"calibrated: {line}" for line in self.calibrator.describe())]

    def key(self) -> Any:
        """Plain data that changes with the files or the calibrator."""
        return {"files": self.files.key(), "calibrator": self.calibrator.key()}

    def read_raw(self, sample: Sample, size: tuple[int, int] | None = None) -> RawScores | None:
        """The scores of the file, not calibrated."""
        return self.files.read_raw(sample, size)

    def read(self, sample: Sample, size: tuple[int, int] | None = None) -> SegPrediction | None:
        """The calibrated prediction of one sample; ``None`` if there is no file.

        Raises:
            InputError: the file can't be used, or the calibrator needs an image that isn't there.
        """
        raw = self.files.read_raw(sample, size)
        if raw is None:
            return None
        image = None
        if "image" in self.calibrator.needs:
            if sample.image is None:
                raise InputError(
                    f"the calibrator wants the image of '{sample.image_id}'", remedy="give --images"
                )
            image = read_image(sample.image)
        return to_prediction(raw, calibrator=self.calibrator, image=image, image_id=sample.image_id)
