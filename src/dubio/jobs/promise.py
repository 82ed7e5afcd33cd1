"""Masks that miss no more of a class than was promised: chosen on calibration images, checked on others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dubio.calibration.risk import RiskControl
from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.data.domains import Domain, Item, read_item
from dubio.jobs.candidates import Candidate, judged
from dubio.jobs.examine import Variant, predictions_of
from dubio.jobs.extract import plain_name
from dubio.jobs.fitting import CalibrateOptions

if TYPE_CHECKING:
    from dubio.jobs.measure import Work


def promise(
    candidate: Candidate,
    fit: Sequence[Domain],
    test: Sequence[Domain],
    variant: Variant,
    options: CalibrateOptions,
    work: Work,
) -> list[str]:
    """Choose a threshold for each class that is asked for, and say what masks miss in every domain.

    Args:
        candidate: the model.
        fit: domains to choose on; altered copies of their images don't count, since the promise is about
            images drawn anew.
        test: domains to check on.
        variant: whose probabilities are thresholded; nothing that was fitted on ``fit``, or the promise
            fails.
        options: with the classes and their levels.
        work: the run.

    Returns:
        A sentence per class with the threshold, and one per class and domain with what is missed there.

    Raises:
        InputError: no such class, or a level outside 0 … 1.
    """
    if not options.risks:
        return []
    space = fit[0].dataset.space
    wanted = {name: (space.index_of(name), level) for name, level in options.risks}
    controls = {
        name: RiskControl("miss_rate", level, options.confidence) for name, (_, level) in wanted.items()
    }
    for domain in fit:
        for item, prediction in _each(candidate, domain, variant, work, "choosing thresholds on"):
            for control in controls.values():
                control.update(probabilities(prediction), item.label)
    sentences = []
    for name, control in controls.items():
        control.fit().save(work.run.path / "calibrators" / f"risk-{plain_name(name)}.npz")
        index, level = wanted[name]
        sentences.append(_threshold(name, control, index, level, options.confidence, variant.name))
    promised = {name: c for name, c in controls.items() if wanted[name][0] not in c.reasons_}
    for domain in test if promised else ():
        if domain.dataset.space.names != space.names:
            sentences.append(f"{domain.name} has other classes: the thresholds say nothing there.")
            continue
        missed = _missed(candidate, domain, variant, work, promised, wanted)
        sentences += [_found(name, domain.name, losses, wanted[name][1]) for name, losses in missed.items()]
    return sentences


def _missed(
    candidate: Candidate,
    domain: Domain,
    variant: Variant,
    work: Work,
    controls: dict[str, RiskControl],
    wanted: dict[str, tuple[int, float]],
) -> dict[str, list[float]]:
    losses: dict[str, list[float]] = {name: [] for name in controls}
    for item, prediction in _each(candidate, domain, variant, work, "checking thresholds on"):
        p = probabilities(prediction)
        for name, control in controls.items():
            index = wanted[name][0]
            real = item.label == index
            if real.any():
                losses[name].append(float((p[index][real] < control.threshold_[index]).mean()))
    return losses


def _each(
    candidate: Candidate, domain: Domain, variant: Variant, work: Work, text: str
) -> Iterable[tuple[Item, SegPrediction]]:
    source = candidate.source(domain)
    seen = judged(source, domain)
    for sample in work.progress(seen.dataset.samples, len(seen), f"{text} {domain.name}"):
        try:
            item = read_item(seen, sample, with_image=sample.image is not None)
            yield item, next(iter(predictions_of(source, item, [variant])))[1]
        except InputError as error:
            work.leave_out(domain, sample.image_id, str(error))


def probabilities(prediction: SegPrediction) -> npt.NDArray[np.float32]:
    """Class probabilities ``(C, H, W)`` of a prediction; a channel without a class is left away."""
    scores = np.asarray(prediction.scores, np.float32)
    if prediction.kind == "logits":
        scores = np.exp(scores - scores.max(axis=0))
        scores /= scores.sum(axis=0)
    return scores[: prediction.n_classes]


def _threshold(
    name: str, control: RiskControl, index: int, level: float, confidence: float | None, model: str
) -> str:
    sure = "on average over images" if confidence is None else f"with confidence {confidence:g}"
    reason = control.reasons_.get(index)
    if reason is not None:
        return f"{name}: no threshold can promise to miss at most {level:g} {sure}: {reason}."
    threshold = float(control.threshold_[index])
    return (
        f"{name}: the pixels to which {model} gives at least {threshold:.3g} miss at most {level:g} of it "
        f"{sure}, for images like those that it was chosen on."
    )


def _found(name: str, domain: str, losses: list[float], level: float) -> str:
    if not losses:
        return f"{name} does not occur in {domain}."
    mean = float(np.mean(losses))
    # twice the standard error: chance alone explains that much
    slack = 2 * float(np.std(losses)) / np.sqrt(len(losses))
    kept = "as promised" if mean <= level else "more than promised"
    if level < mean <= level + slack:
        kept = "no clear breach of the promise"
    return f"{name} in {domain}: {mean:.3f} of it is missed ({len(losses)} images), {kept}."
