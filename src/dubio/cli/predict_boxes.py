"""``dubio predict --detector``: run a detector over images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.cli.boxopts import waiting
from dubio.cli.console import Screen
from dubio.cli.detopts import open_calibration, open_detector
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.calibration.boxes.bundle import DetectionCalibration
    from dubio.core.boxes import BoxDataset
    from dubio.jobs.predict_boxes import BoxSummary
    from dubio.models.det.base import DetModel
    from dubio.models.det.source import DetectionSource

_SHOWN = 5


def predict_boxes(options: dict[str, Any]) -> None:
    """Run the detector that the options describe, and say what came out."""
    screen = Screen(as_json=options["as_json"])
    model = open_detector(options)
    with waiting(options, "reading the data"):
        from dubio.core.run import Run
        from dubio.jobs.predict_boxes import PredictBoxesJob
        from dubio.models.det.source import DetectionSource

        dataset = _open_data(options, model)
    source = DetectionSource(model, dataset.space, class_map=options["class_map"])
    calibration = _calibration(options, source)
    screen.detected(source.describe())
    screen.detected([] if calibration is None else [f"calibrated: {x}" for x in calibration.describe()])
    screen.detected(dataset.notes)
    if options["boxes"] is None:
        screen.detected([f"data: {len(dataset)} images, no labels"])
    given = {k: v for k, v in options.items() if k not in ("out", "as_json")}
    # another name than that of segmentation: neither's tables may stand among the other's
    run = Run(options["out"], "predict --detector", given)
    job = PredictBoxesJob(
        source,
        dataset,
        run,
        labelled=options["boxes"] is not None,
        calibration=calibration,
        batch_size=options["batch_size"] or 4,
        workers=options["workers"],
        strict=options["strict"],
    )
    if len(job.samples) < len(dataset):
        screen.warn(f"{len(dataset) - len(job.samples)} images have labels but no picture: left out")
    for _ in screen.progress(job.work(), len(job.samples), "detecting"):
        pass
    _show(screen, job.finish(), options)


def _calibration(options: dict[str, Any], source: DetectionSource) -> DetectionCalibration | None:
    if options["calibrator"] is None:
        return None
    from dubio.jobs.calibration_fit import check_calibration

    found = open_calibration(options["calibrator"])
    check_calibration(found, source)
    return found


def _open_data(options: dict[str, Any], model: DetModel) -> BoxDataset:
    from dubio.data.boxes import open_boxes
    from dubio.data.spaces import load_space
    from dubio.jobs.predict_boxes import open_images

    space = load_space(options["label_space"]) if options["label_space"] else None
    if options["boxes"] is not None:
        strict = options["strict"]
        return open_boxes(options["boxes"], options["layout"], options["images"], space=space, strict=strict)
    if options["images"] is None:
        raise InputError("give --images or --boxes", remedy="they name the pictures")
    if options["layout"] is not None:
        raise InputError("--layout says what --boxes are, and none are given", remedy="leave it away")
    return open_images(options["images"], space or model.space)


def _show(screen: Screen, summary: BoxSummary, options: dict[str, Any]) -> None:
    out: Path = options["out"]
    rows: list[tuple[str, object]] = [("images", summary.images)]
    if summary.resumed:
        rows.append(("of these from an earlier run", summary.resumed))
    rows += [
        ("detections", summary.detections),
        ("images without detections", summary.bare),
        ("images that couldn't be used", len(summary.bad)),
    ]
    data: dict[str, Any] = {
        "out": str(out),
        "images": summary.images,
        "resumed": summary.resumed,
        "detections": summary.detections,
        "bare": summary.bare,
        "quarantined": [{"image_id": o.sample.image_id, "fault": o.fault} for o in summary.bad],
        "ap": None,
        "ap50": None,
    }
    if summary.precision is not None:
        found = {"ap": summary.precision.ap, "ap50": summary.precision.ap50}
        data |= {name: None if math.isnan(value) else value for name, value in found.items()}
        words = f"scores from {options['score']:g}"
        rows.append((f"AP against the labels ({words})", found["ap"]))
        rows.append((f"AP at IoU 0.5 ({words})", found["ap50"]))
    if summary.damaged:
        screen.warn(f"{summary.damaged} images were predicted again: files of an earlier run were damaged")
    for outcome in summary.bad[:_SHOWN]:
        screen.warn(outcome.fault)
    if len(summary.bad) > _SHOWN:
        screen.warn(f"{len(summary.bad) - _SHOWN} more in {out / 'quarantine.json'}")
    screen.table("detections", ("what", "value"), rows)
    screen.result(f"written to {out}: boxes.parquet, detections.json, images.json", data)
