"""dubio turns the uncertainty of segmentation and detection models into decisions about labels."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> module; loaded at first use, so that ``import dubio`` stays light
_PUBLIC: dict[str, str] = {
    # records
    "Dataset": "dubio.core.records",
    "DubioError": "dubio.core.errors",
    "Encoding": "dubio.core.labelspace",
    "InputError": "dubio.core.errors",
    "LabelClass": "dubio.core.labelspace",
    "LabelSpace": "dubio.core.labelspace",
    "PredictionSource": "dubio.core.records",
    "Sample": "dubio.core.records",
    "SegPrediction": "dubio.core.records",
    # boxes
    "BoxDataset": "dubio.core.boxes",
    "BoxLabels": "dubio.core.boxes",
    "BoxSample": "dubio.core.boxes",
    "DetPrediction": "dubio.core.boxes",
    "open_boxes": "dubio.data.boxes",
    "open_detections": "dubio.data.boxes",
    "write_boxes": "dubio.data.boxes",
    "DetectionCalibration": "dubio.calibration.boxes.bundle",
    "average_precision": "dubio.reliability.boxes.average_precision",
    "calibrate_boxes": "dubio.jobs.calibrate_boxes",
    "load_detection_calibration": "dubio.calibration.boxes.bundle",
    "load_detector": "dubio.models.det.load",
    "match_boxes": "dubio.regions.boxes.matching",
    "suppress": "dubio.uncertainty.boxes.suppress",
    # data in
    "ClassMap": "dubio.data.classmap",
    "load_class_map": "dubio.data.classmap",
    "load_space": "dubio.data.spaces",
    "open_dataset": "dubio.data.layouts",
    "open_folders": "dubio.data.folders",
    "open_predictions": "dubio.data.predictions",
    "read_image": "dubio.data.images",
    "read_mask": "dubio.data.masks",
    "write_mask": "dubio.data.masks",
    # models
    "ModelSource": "dubio.models.source",
    "load_model": "dubio.models.load",
    # regions
    "MetaClassifier": "dubio.regions.meta",
    "MetaRegressor": "dubio.regions.meta",
    "extract": "dubio.regions.extract",
    "feature_matrix": "dubio.regions.schema",
    # label errors
    "AuditOptions": "dubio.errors.audit",
    "ConfidentLearning": "dubio.errors.confident",
    "apply_verdicts": "dubio.errors.verdicts",
    "audit": "dubio.jobs.audit",
    "export_run": "dubio.jobs.handover",
    "import_verdicts": "dubio.jobs.verdicts",
    "pixel_issues": "dubio.errors.confident",
    "plant": "dubio.errors.plant",
    "PlantOptions": "dubio.errors.bench.planting",
    "plant_dataset": "dubio.errors.bench.planting",
    "read_truth": "dubio.errors.bench.truth",
    "score": "dubio.errors.bench.scoring",
    "read_verdicts": "dubio.errors.verdicts",
    "score_list": "dubio.errors.score",
    "Truth": "dubio.errors.bench.truth",
    # reliability
    "Domain": "dubio.data.domains",
    "FileCandidate": "dubio.jobs.candidates",
    "NetworkCandidate": "dubio.jobs.candidates",
    "Ranking": "dubio.reliability.ranking",
    "ReliabilityOptions": "dubio.jobs.reliability",
    "ReliabilityState": "dubio.reliability.state",
    "calibration_error": "dubio.reliability.confidence",
    "load_corruption": "dubio.data.corrupt",
    "measure_reliability": "dubio.jobs.reliability",
    "parse_corruptions": "dubio.data.corrupt",
    "pixel_scores": "dubio.uncertainty.pixel",
    "published_split": "dubio.data.protocols",
    # calibration
    "AdaptiveTemperature": "dubio.calibration.adaptive",
    "CalibrateOptions": "dubio.jobs.fitting",
    "ClasswiseTemperature": "dubio.calibration.classwise",
    "ClusteredTemperature": "dubio.calibration.clustered",
    "DirichletCalibration": "dubio.calibration.dirichlet",
    "IsotonicCalibration": "dubio.calibration.isotonic",
    "LocalTemperature": "dubio.calibration.local",
    "LogitSample": "dubio.data.logits",
    "RiskControl": "dubio.calibration.risk",
    "TemperatureScaling": "dubio.calibration.temperature",
    "VectorScaling": "dubio.calibration.vector",
    "calibrate": "dubio.jobs.calibrate",
    "load_calibrator": "dubio.calibration.files",
    "read_samples": "dubio.data.logits",
}
# names that differ from those in their module: ``dubio.reliability`` is the package
_OTHER_NAMES = {"measure_reliability": "reliability"}
__all__ = [  # noqa: PLE0604 - the names are computed
    "__version__",
    *sorted(_PUBLIC),
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dubio' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), _OTHER_NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
