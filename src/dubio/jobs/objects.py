"""Unknown objects as components: are they found as wholes, by each score?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import Sample
from dubio.data.domains import read_item
from dubio.engine.map import Progress, map_ordered, silent
from dubio.jobs.examine import Examination, Variant, predictions_of
from dubio.reliability.components import ComponentState
from dubio.reliability.confidence_state import unit_score
from dubio.reliability.state import ReliabilityState
from dubio.uncertainty.pixel import pixel_scores

# Predicted components below this are noise: 100 pixels of a 2048x1024 image, as in the audit.
_SMALL = 100 / (2048 * 1024)


def unknown_objects(
    examination: Examination, totals: Mapping[str, ReliabilityState], progress: Progress = silent
) -> dict[str, dict[str, dict[str, float]]]:
    """Component-wise metrics of every variant and score (Chan et al., NeurIPS Datasets 2021).

    The threshold of a score is that of the best F1 over the domain's pixels: an upper bound of what a
    threshold from elsewhere would give.

    Args:
        examination: the model on the domain; its images are predicted once more.
        totals: sums of the domain by variant.
        progress: wraps iterables to show progress.

    Returns:
        For each variant and score ``threshold``, ``siou``, ``ppv`` and ``mean_f1``; nothing for variants
        without pixels of unknown classes.
    """
    thresholds = {name: _thresholds(total) for name, total in totals.items()}
    variants = [v for v in examination.variants if thresholds.get(v.name)]
    if not variants:
        return {}
    states: dict[tuple[str, str], ComponentState] = {}
    samples = examination.domain.dataset.samples

    def one(sample: Sample) -> dict[tuple[str, str], ComponentState]:
        return _of_image(examination, sample, variants, thresholds)

    parts = map_ordered(one, samples, workers=examination.workers)
    for found in progress(parts, len(samples), f"unknown objects of {examination.domain.name}"):
        for key, state in found.items():
            if key in states:
                states[key].merge(state)
            else:
                states[key] = state
    return {
        v.name: {
            score: {"threshold": thresholds[v.name][score], **states[v.name, score].compute()}
            for score in thresholds[v.name]
            if (v.name, score) in states
        }
        for v in variants
    }


def _thresholds(total: ReliabilityState) -> dict[str, float]:
    found = {}
    for name, ranking in total.rankings.items():
        unknowns = ranking.unknowns()
        complete = int(ranking.counts[:2].sum()) == total.pixels
        if unknowns.n_positive and unknowns.n_negative and complete:
            found[name] = unknowns.best_f1()[0]
    return found


def _of_image(
    examination: Examination,
    sample: Sample,
    variants: list[Variant],
    thresholds: Mapping[str, Mapping[str, float]],
) -> dict[tuple[str, str], ComponentState]:
    found = {}
    try:
        item = read_item(examination.domain, sample, with_image=sample.image is not None)
        said = list(predictions_of(examination.source, item, variants))
    except InputError:
        return {}  # named when it was examined
    size = item.label.size
    unknown = item.unknown if item.unknown is not None else np.zeros(item.label.shape, np.bool_)
    void = (item.label >= len(examination.domain.dataset.space)) & ~unknown
    for variant, prediction, own in said:
        scores = pixel_scores(prediction)
        values: dict[str, npt.NDArray[np.float32]] = {}
        for name in examination.scores:
            if scores.score(name) is not None:
                unit = name not in ("max_logit", "energy")
                channels = 0 if prediction.scores is None else len(prediction.scores)
                value = unit_score(scores, name, channels) if unit else scores.score(name)
                values[name] = np.asarray(value, np.float32)
        values |= examination.further(item, prediction, own)
        for name, threshold in thresholds[variant.name].items():
            if name in values:
                state = ComponentState(min_predicted=round(size * _SMALL))
                state.update(values[name] >= threshold, unknown, void)
                found[variant.name, name] = state
    return found
