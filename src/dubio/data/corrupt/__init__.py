"""Corruptions of images: the 15 of ImageNet-C, its extras, and the operations of a published comparison.

Written here from the published parameters, because no kept library fits the core: torch-uncertainty's and
kornia's need torch, imagecorruptions no longer imports, albumentations is frozen or AGPL.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019; de Jorge et al., "Reliability in Semantic Segmentation: Are We on the Right Track?", CVPR 2023.
"""

from __future__ import annotations

from dubio.data.corrupt.chain import Augmentation, Chain, parse_chain
from dubio.data.corrupt.corruption import (
    FAMILIES,
    Corruption,
    corruption_names,
    load_corruption,
    parse_corruptions,
)

__all__ = [
    "FAMILIES",
    "Augmentation",
    "Chain",
    "Corruption",
    "corruption_names",
    "load_corruption",
    "parse_chain",
    "parse_corruptions",
]
