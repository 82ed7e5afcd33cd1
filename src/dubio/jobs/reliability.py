"""How far models can be trusted, and where: several models on several domains, as a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from dubio.core.errors import InputError
from dubio.core.run import Run
from dubio.data.domains import Domain
from dubio.engine.map import Progress, silent
from dubio.jobs.candidates import Candidate, check_names
from dubio.jobs.detectors import Detectors
from dubio.jobs.examine import Variant
from dubio.jobs.measure import ReliabilityOptions, ReliabilityResult, Work

# Detectors learn on halves of the source.
_LEAST = 10
__all__ = ["ReliabilityOptions", "ReliabilityResult", "reliability"]


def reliability(
    domains: Sequence[Domain],
    candidates: Sequence[Candidate],
    out: str | Path,
    options: ReliabilityOptions | None = None,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> ReliabilityResult:
    """Measure accuracy, calibration, misclassification and OOD detection of models over domains.

    Args:
        domains: the first is the source, with which the others are compared.
        candidates: the models.
        out: run folder; a stopped run in it goes on.
        options: see :class:`ReliabilityOptions`.
        workers: images at once; default: all processors. The result does not depend on it.
        strict: raise at the first image that can't be used.
        progress: wraps iterables to show progress: ``progress(items, total, text)``.
        say: called with sentences for the user.

    Returns:
        The result; on disk ``summary.json``, ``images.parquet``, ``pictures/`` and ``report.html``.

    Raises:
        InputError: nothing can be measured, two domains or models have one name, or the folder belongs to
            something else.
    """
    options = options or ReliabilityOptions()
    if not domains or not candidates:
        raise InputError("there are no domains or no models", remedy="give at least one of each")
    check_names("domains", [d.name for d in domains])
    check_names("models", [c.name for c in candidates])
    run = Run(
        out,
        "reliability",
        {"data": [d.describe() for d in domains], "models": [c.name for c in candidates], **asdict(options)},
    )
    run.keep_apart(s.label for d in domains for s in d.dataset)
    if options.features and len(domains[0]) < _LEAST:
        say(f"'{domains[0].name}' has fewer than {_LEAST} images to learn features from: without --features")
    work = Work(run, options, workers, strict, progress, say)
    for candidate in candidates:
        detectors = learn(candidate, domains[0], options, workers, progress)
        for domain in domains:
            work.examine(candidate, domain, (Variant(candidate.name),), detectors)
    models = [{"name": c.name, "of": None, "lines": c.describe()} for c in candidates]
    return work.finish(domains, models, command="reliability")


def learn(
    candidate: Candidate,
    source: Domain,
    options: ReliabilityOptions,
    workers: int | None,
    progress: Progress,
) -> Detectors | None:
    """Detectors that learn on the source domain, if any are asked for."""
    if not (options.learned or options.features) or len(source) < _LEAST:
        return None
    return Detectors(
        candidate, source, features=options.features, layer=options.layer, seed=options.seed,
        workers=workers, progress=progress,
    )  # fmt: skip
