"""What a format can't hold of a data set, in sentences."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from dubio.core.boxes import BoxDataset

_WORDS = {
    "ids": "names of boxes",
    "crowd": "crowd flags",
    "difficult": "difficult flags",
    "occlusion": "occlusion",
    "truncation": "truncation",
    "distance": "distances",
    "area": "areas of outlines",
    "ignore": "ignored regions",
    "split": "splits",
    "domain": "domain tags",
}


def lost(dataset: BoxDataset, holds: Collection[str], name: str) -> list[str]:
    """Say what of a data set is lost in a format.

    Args:
        dataset: the data set.
        holds: what the format can hold (keys of the table above).
        name: name of the format.

    Returns:
        One sentence, or none if nothing is lost.
    """
    there = {
        "split": any(s.split for s in dataset),
        "domain": any(s.domain for s in dataset),
    }
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        there["ids"] = there.get("ids", False) or labels.ids is not None
        there["ignore"] = there.get("ignore", False) or len(labels.ignore) > 0
        for key in ("crowd", "difficult"):
            there[key] = there.get(key, False) or bool(getattr(labels, key).any())
        for key in ("occlusion", "truncation", "distance", "area"):
            values = getattr(labels, key)
            there[key] = there.get(key, False) or (values is not None and not bool(np.isnan(values).all()))
    gone = [words for key, words in _WORDS.items() if there.get(key) and key not in holds]
    return [f"{name} can't hold {', '.join(gone)}: left out"] if gone else []
