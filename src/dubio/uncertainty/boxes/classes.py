"""How undecided a detector is about the class of a box: entropies and their parts.

Natural logarithms throughout, but for the published entropy.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import special

from dubio.core.boxes import BoxScoreKind, DetPrediction, Floats
from dubio.core.errors import InputError

_PUBLISHED_FLOOR = 1e-7


def probabilities(logits: npt.NDArray[np.floating], kind: BoxScoreKind) -> Floats:
    """Probabilities of logits, over the last axis.

    Args:
        logits: ``(..., C)``.
        kind: ``"softmax"`` or ``"sigmoid"``: the function that the network was trained with.

    Raises:
        InputError: another kind.

    >>> probabilities(np.array([[0.0, 0.0]]), "softmax").tolist()
    [[0.5, 0.5]]
    """
    if kind == "softmax":
        return np.asarray(special.softmax(np.asarray(logits, np.float64), axis=-1))
    _check(kind)
    return np.asarray(special.expit(np.asarray(logits, np.float64)))


def class_entropy(scores: npt.NDArray[np.floating], kind: BoxScoreKind) -> Floats:
    """Entropy of the class of each box, nats.

    Softmax: of the C classes and the background, which has what the row lacks to 1; at most log(C + 1).
    Sigmoid: the sum over classes of the entropies of "is it this class?", at most C log 2; the classes
    are separate questions there.

    Args:
        scores: ``(..., C)`` probabilities.
        kind: ``"softmax"`` or ``"sigmoid"``.

    Returns:
        ``(...)`` float64.

    Raises:
        InputError: logits, which say nothing until it is known what they are logits of.

    >>> class_entropy(np.array([[0.25, 0.25], [1, 0]]), "softmax").round(4).tolist()
    [1.0397, 0.0]
    >>> class_entropy(np.array([[0.5, 1]]), "sigmoid").round(4).tolist()
    [0.6931]
    """
    _check(kind)
    p = np.clip(np.asarray(scores, np.float64), 0, 1)
    if kind == "sigmoid":
        return np.asarray((special.entr(p) + special.entr(1 - p)).sum(-1))
    # rounding may carry a sum just above 1
    rest = np.clip(1 - p.sum(-1), 0, 1)
    return np.asarray(special.entr(p).sum(-1) + special.entr(rest))


def expected_entropy(samples: Iterable[npt.NDArray[np.floating]], kind: BoxScoreKind) -> Floats:
    """Mean of :func:`class_entropy` over samples of the model.

    Args:
        samples: T arrays ``(N, C)`` of probabilities, or one ``(T, N, C)``.
        kind: ``"softmax"`` or ``"sigmoid"``.

    Raises:
        InputError: logits, or no samples.
    """
    found = [class_entropy(sample, kind) for sample in samples]
    if not found:
        raise InputError("there are no samples to average over")
    return np.asarray(np.mean(found, axis=0))


def mutual_information(prediction: DetPrediction) -> Floats:
    """How much of the doubt about the class is the model's own ignorance, ``(N,)`` nats.

    Entropy of the mean less mean of the entropies: Houlsby et al., *Bayesian Active Learning for
    Classification and Preference Learning* (2011). 0 where all samples of the model agree.

    Raises:
        InputError: the prediction has no class scores or no expected entropy, as of a single sample.
    """
    if prediction.class_scores is None or prediction.kind is None or prediction.expected_entropy is None:
        raise InputError(
            "mutual information needs class scores and their expected entropy",
            remedy="predict with several samples",
        )
    entropy = class_entropy(prediction.class_scores, prediction.kind)
    # never negative but by rounding
    return np.maximum(entropy - prediction.expected_entropy, 0)


def published_entropy(scores: npt.NDArray[np.floating], kind: BoxScoreKind) -> Floats:
    """Entropy as in Kassem Sbeyti et al. (UAI 2024), ``(N,)`` bits, 0 to log2 C; for comparison.

    A softmax over the logits of the classes, also where each class has its own sigmoid; no background.

    Args:
        scores: ``(N, C)``: logits, or probabilities that are turned back into them.
        kind: what they are.

    >>> published_entropy(np.zeros((1, 8)), "logits").tolist()
    [3.0]
    """
    z = np.asarray(scores, np.float64)
    if kind != "logits":
        p = np.clip(z, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)
        z = special.logit(p) if kind == "sigmoid" else np.log(p)
    p = special.softmax(z, axis=-1)
    return np.asarray(-(p * np.log2(np.maximum(p, _PUBLISHED_FLOOR))).sum(-1))


def _check(kind: str) -> None:
    if kind not in ("softmax", "sigmoid"):
        raise InputError(
            f"class scores are {kind}, not probabilities", remedy="turn them into softmax or sigmoid first"
        )
