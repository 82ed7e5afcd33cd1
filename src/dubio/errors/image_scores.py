"""A score per image: whole-image faults first, then images whose regions hold errors, then slips.

The table ``images.parquet`` (format 1), most suspect image first:

===================  ==================================================================
``image_id``         image
``score``            what the rows are ordered by, 0 … 1; no probability. From 0.5 on the label looks like one
                     with a fault of the whole (of boxes: ``fault`` is 0.2 or more); below, it is half the
                     probability that a region or a slip of a few pixels is wrong
``fault``            fault probability: that the label is wrong as a whole; null if nothing was learned
``fault_kind``       what it looks like: ``unlabelled``, ``shifted``, ``mirrored``, ``renamed``; of boxes also
                     ``class_unlabelled``
``expected_errors``  expected number of wrong regions
``disagree``         share of pixels where model and label differ
``doubt``            one minus the mean probability of the label
``shift_y shift_x``  pixels by which the label would have to move to fit best
``specks``           label components of a few pixels; ``speck_pixels`` their pixels
``findings``         findings of the list that lie in it
``reason``           the reason in words
``picture``          path of the picture below the run folder, of the first dozen
===================  ==================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.errors.finder import Found
from dubio.errors.findings import Finding
from dubio.errors.image_faults import LIKE, SHOWN_FAULT, find_faults
from dubio.errors.traits import Work, traits_of

__all__ = ["FORMAT", "SHOWN_FAULT", "ImageScores", "image_table", "reason", "score_images"]

Floats = npt.NDArray[np.float64]
FORMAT = 1
# A slip of a few pixels makes a label wrong, but not worth a look before a region does: k specks count
# as an error of probability _SPECK * k / (k + _SPECKS).
_SPECK, _SPECKS = 0.3, 3.0


@dataclass(frozen=True)
class ImageScores:
    """Scores of all images, in the order of the works.

    Attributes:
        score: ``(n,)`` order: 0.5 … 1 faults of the whole, below half the probability of another error.
        fault: ``(n,)`` probability of a whole-image fault; NaN if nothing was learned.
        kind: ``(n,)`` position in the faults of the fault that it looks most like.
        expected: ``(n,)`` expected number of wrong regions; NaN where probabilities aren't calibrated.
        quality: AUROC and average precision on planted faults in unseen images, and the expected number of
            labels with real ones; empty if not learned.
    """

    score: Floats
    fault: Floats
    kind: npt.NDArray[np.int64]
    expected: Floats
    quality: dict[str, float]


def score_images(works: Sequence[Work], found: Found, *, folds: int = 5, seed: int = 0) -> ImageScores:
    """Score the labels of whole images.

    Each image's fault probability comes from a classifier that learned from faulty copies of the other
    images' labels; its regions' probabilities come from the finder. An image is suspect by either.

    Args:
        works: the images' measures.
        found: the finder's places.
        folds: parts for cross-fitting.
        seed: seed.
    """
    n = len(works)
    faults = find_faults(works, folds, seed)
    clean, expected = np.zeros(n), np.zeros(n)
    p = np.clip(np.nan_to_num(found.probability), 0, 0.999)
    np.add.at(clean, found.image, np.log1p(-p))
    np.add.at(expected, found.image, p)
    specks = np.array([w.whole.specks[0] for w in works], np.float64)
    slip = _SPECK * specks / (specks + _SPECKS)
    other = 1 - np.exp(clean) * (1 - slip)
    score = np.where(faults.first, LIKE + (1 - LIKE) * faults.like, LIKE * other)
    if found.evidence is None:
        # nothing is calibrated: the mean doubt ranks images, as the label-free ranking does regions
        doubt = traits_of(works).whole.features.index("doubt")
        score = np.array([np.nan_to_num(w.whole.x[doubt]) for w in works])
        expected = np.full(n, np.nan)
    return ImageScores(score, faults.probability, faults.kind, expected, faults.quality)


def image_table(works: Sequence[Work], scores: ImageScores, findings: Sequence[Finding]) -> pa.Table:
    """The table of images (see the module), most suspect first; ties by image id."""
    listed = Counter(f.image_id for f in findings)
    order = sorted(range(len(works)), key=lambda i: (-scores.score[i], works[i].image_id))
    rows: list[dict[str, Any]] = []
    known = traits_of(works).whole
    faults, disagree, doubt = list(known.faults), *map(known.features.index, ("disagree", "doubt"))
    for i in order:
        work = works[i]
        fault, expected = float(scores.fault[i]), float(scores.expected[i])
        rows.append(
            {
                "image_id": work.image_id,
                "score": float(scores.score[i]),
                "fault": fault if np.isfinite(fault) else None,
                "fault_kind": faults[int(scores.kind[i])] if np.isfinite(fault) else None,
                "expected_errors": expected if np.isfinite(expected) else None,
                "disagree": float(work.whole.x[disagree]),
                "doubt": float(work.whole.x[doubt]),
                "shift_y": work.whole.shift[0],
                "shift_x": work.whole.shift[1],
                "specks": work.whole.specks[0],
                "speck_pixels": work.whole.specks[1],
                "findings": listed[work.image_id],
                "reason": reason(work, fault, int(scores.kind[i]), expected),
            }
        )
    kept = pa.schema(
        [
            ("image_id", pa.string()),
            ("score", pa.float64()),
            ("fault", pa.float64()),
            ("fault_kind", pa.string()),
            ("expected_errors", pa.float64()),
            ("disagree", pa.float64()),
            ("doubt", pa.float64()),
            *((name, pa.int32()) for name in ("shift_y", "shift_x", "specks", "speck_pixels", "findings")),
            ("reason", pa.string()),
        ],
        metadata={b"dubio.format": str(FORMAT).encode()},
    )
    return pa.Table.from_pylist(rows, schema=kept)


def reason(work: Work, fault: float, kind: int, expected: float) -> str:
    """Why an image is suspect, in words."""
    known = work.traits.whole
    words = []
    if fault >= SHOWN_FAULT:
        name, looks = list(known.faults.items())[kind]
        words.append(looks if name != "shifted" else _moved(work, looks))
    if words and known.extent is not None:
        words.append(known.extent(work.whole.x))
    elif expected >= 0.05:
        words.append(f"about {expected:.1f} wrong {known.noun} expected")
    elif not words:
        words.append(known.disagreement(work.whole.x))
    count, pixels = work.whole.specks
    if count:
        words.append(f"{count} {known.slips[count > 1]} of {pixels} pixels in all")
    text = "; ".join(words)
    return text[0].upper() + text[1:] + "."


def _moved(work: Work, otherwise: str) -> str:
    y, x = work.whole.shift
    if not (y or x):
        return otherwise
    ways = [f"{abs(x)} px {'right' if x > 0 else 'left'}"] * bool(x)
    ways += [f"{abs(y)} px {'down' if y > 0 else 'up'}"] * bool(y)
    return f"the label looks shifted: it would fit best moved {' and '.join(ways)}"
