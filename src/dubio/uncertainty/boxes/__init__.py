"""Localisation uncertainty of boxes: from what a detector's head predicts to the corners of the box."""

from __future__ import annotations

from dubio.uncertainty.boxes.bins import DistributionCoder
from dubio.uncertainty.boxes.centre import SigmoidCoder
from dubio.uncertainty.boxes.compare import compare_decodings
from dubio.uncertainty.boxes.decoded import DecodedBoxes
from dubio.uncertainty.boxes.deltas import DeltaCoder
from dubio.uncertainty.boxes.methods import METHODS
from dubio.uncertainty.boxes.sides import DistanceCoder

__all__ = [
    "METHODS",
    "DecodedBoxes",
    "DeltaCoder",
    "DistanceCoder",
    "DistributionCoder",
    "SigmoidCoder",
    "compare_decodings",
]
