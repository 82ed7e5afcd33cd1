"""Labelled boxes and detections, in the formats in which they are kept; one small file per format.

Written here because datumaro, the library that covers most of these formats, drags in some twenty packages
(OpenCV and lxml among them), holds pandas back at version 2, and by its developers' own measurement
(pull request 641) took 57 s for COCO's annotations of 2014, one object per box.
"""

from __future__ import annotations

from dubio.data.boxes.formats import LAYOUTS, open_boxes, write_boxes
from dubio.data.boxes.frames import (
    detections_to_pandas,
    from_detections,
    labels_from_detections,
    to_pandas,
)
from dubio.data.boxes.pictures import size_of
from dubio.data.boxes.results import BoxPredictions, open_detections
from dubio.data.boxes.write_results import write_coco_results, write_yolo_results

__all__ = [
    "LAYOUTS",
    "BoxPredictions",
    "detections_to_pandas",
    "from_detections",
    "labels_from_detections",
    "open_boxes",
    "open_detections",
    "size_of",
    "to_pandas",
    "write_boxes",
    "write_coco_results",
    "write_yolo_results",
]
