"""Segments of masks, as the finder must know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.feature_names import FEATURES
from dubio.errors.traits import Floats, Score, Traits, WholeTraits
from dubio.errors.whole_image import FAULTS
from dubio.errors.whole_image import FEATURES as WHOLE

# A place of this audit is the one that was reviewed if they overlap this much (IoU).
SAME = 0.5
LOOKS = {
    "unlabelled": "most objects look unlabelled",
    "shifted": "the label looks shifted against its image",
    "mirrored": "the label looks like that of another or a mirrored image",
    "renamed": "classes look exchanged",
}


def _of(name: str, sign: float = 1.0, offset: float = 0.0) -> Score:
    k = FEATURES.index(name)

    def score(x: Floats) -> Floats:
        return np.asarray(offset + sign * x[:, k], np.float64)

    return score


def _context(works: Sequence[Any]) -> Any:
    from dubio.errors.context import class_context

    return class_context(list(works))


def _differs(x: Floats) -> str:
    return f"model and label differ on {100 * x[WHOLE.index('disagree')]:.0f} % of the pixels"


def find_same(work: Any, runs: npt.NDArray[np.int32], box: npt.NDArray[Any]) -> int | None:
    """The candidate that overlaps a region (runs of the flattened image) most, if it does so enough."""
    places = work.places
    if not len(runs) or not len(places.size):
        return None
    flat = np.zeros(work.shape[0] * work.shape[1], np.int32)
    for start, length in runs:
        flat[start : start + length] = 1
    total = np.concatenate([[0], np.cumsum(flat)])
    shared = total[places.runs[:, 0] + places.runs[:, 1]] - total[places.runs[:, 0]]
    inside = np.concatenate([[0], np.cumsum(shared)])
    both = inside[places.first[1:]] - inside[places.first[:-1]]
    iou = both / np.maximum(places.size + int(total[-1]) - both, 1)
    best = int(iou.argmax())
    return best if iou[best] >= SAME else None


def row_of(work: Any, finding: Any) -> int | None:
    """The candidate that a finding was made of."""
    places = work.places
    same = (places.box == np.array([finding.x0, finding.y0, finding.x1, finding.y1])).all(1)
    same &= places.size == finding.size
    same &= places.x[:, FEATURES.index("given")] == finding.given_index
    same &= places.x[:, FEATURES.index("proposed")] == finding.proposed_index
    return int(np.flatnonzero(same)[0]) if same.any() else None


MASKS = Traits(
    features=FEATURES,
    free=_of("p_given", -1.0, 1.0),
    free_words="one minus the mean probability of the given label",
    baselines={
        "1 - probability of the label": _of("p_given", -1.0, 1.0),
        "certainty (1 - entropy)": _of("entropy", -1.0, 1.0),
        "size": _of("log_size"),
    },
    key=("source", "given", "proposed", "log_size", "aspect", "fill", "row", "thickness"),
    find_same=find_same,
    row_of=row_of,
    whole=WholeTraits(
        features=WHOLE,
        faults={name: LOOKS[name] for name in FAULTS},
        slips=("label speck", "label specks"),
        disagreement=_differs,
    ),
    context=_context,
)
