"""Mask classification networks of transformers as per-pixel class probabilities.

Mask2Former and its kin (Cheng et al., NeurIPS 2021; CVPR 2022) score queries: a class distribution and a mask
each. The usual class map, the sum over queries of class probability times mask, does not sum to one at a
pixel and has no logits; taken as probabilities, scores above one fall out of every calibration bin. Here it
is divided by its sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCE = "mask classification: class scores of a pixel are divided by their sum"
_FAMILIES = ("eomt", "eomt_dinov3", "mask2former", "maskformer")
# a pixel that no query claims: all classes alike
_TINY = 1e-8


def is_mask_classification(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of such a network."""
    return config.get("model_type") in _FAMILIES


def class_probabilities(output: Any) -> Any:
    """Class probabilities ``(B, C, h, w)`` of a network's output; they sum to one at each pixel.

    Args:
        output: with ``class_queries_logits`` ``(B, Q, C + 1)``, the last of no object, and
            ``masks_queries_logits`` ``(B, Q, h, w)``.
    """
    import torch

    # half precision rounds sums over a hundred queries
    classes = output.class_queries_logits.float().softmax(dim=-1)[..., :-1]
    masks = output.masks_queries_logits.float().sigmoid()
    scores = torch.einsum("bqc,bqhw->bchw", classes, masks) + _TINY
    return scores / scores.sum(dim=1, keepdim=True)
