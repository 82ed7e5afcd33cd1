"""Fit calibrators on some images and judge them on others: before and after, in every domain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.records import Sample
from dubio.core.run import Run
from dubio.data.domains import Domain, corrupted
from dubio.data.logits import LogitSample, join_samples, read_sample
from dubio.engine.map import Progress, silent
from dubio.jobs.candidates import Candidate, check_names
from dubio.jobs.examine import Variant
from dubio.jobs.extract import Extraction
from dubio.jobs.fitting import CalibrateOptions, fit_all, places_of
from dubio.jobs.measure import ReliabilityOptions, ReliabilityResult, Work
from dubio.jobs.promise import promise
from dubio.models.base import Network
from dubio.models.features import FeatureExtractor
from dubio.models.source import ModelSource
from dubio.reliability.verdict import judge

if TYPE_CHECKING:
    from dubio.calibration.base import Calibrator


@dataclass
class CalibrateResult:
    """Fitted calibrators, and what they do in every domain.

    Attributes:
        calibrators: by name.
        files: where they are saved, by name.
        measured: figures, as of :func:`dubio.jobs.reliability.reliability`; the models are the candidate and
            its calibrated variants.
        sentences: where a calibrator helps, and where it makes things worse.
    """

    calibrators: dict[str, Calibrator]
    files: dict[str, Path]
    measured: ReliabilityResult
    sentences: list[str] = field(default_factory=list)


def calibrate(
    candidate: Candidate,
    fit: Sequence[Domain],
    test: Sequence[Domain],
    out: str | Path,
    options: CalibrateOptions | None = None,
    measure: ReliabilityOptions | None = None,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> CalibrateResult:
    """Fit calibrators and compare the model before and after, on images that they have not seen.

    Args:
        candidate: the model, not calibrated.
        fit: domains to fit on.
        test: domains to judge on; the first is the source, with which the others are compared.
        out: run folder; a stopped run in it goes on.
        options: see :class:`CalibrateOptions`.
        measure: see :class:`dubio.jobs.reliability.ReliabilityOptions`.
        workers: images at once.
        strict: raise at the first image that can't be used.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.

    Returns:
        The result; on disk ``calibrators/``, the sampled logits below ``logits/``, and what
        :func:`dubio.jobs.reliability.reliability` writes.

    Raises:
        InputError: an image is in both fit and test, two domains or models have one name, nothing can be
            fitted, or the folder belongs to something else.
        MissingExtraError: a method needs torch, which isn't installed.
    """
    options = options or CalibrateOptions()
    measure = replace(measure or ReliabilityOptions(seed=options.seed), learned=False, features=False)
    if candidate.calibrator is not None:
        raise InputError("the model is calibrated already", remedy="calibrate the model itself")
    check_apart(fit, test)
    _check_classes(fit)
    check_names("domains", [d.name for d in (*fit, *test)])
    check_names("models", [candidate.name, *dict.fromkeys(options.methods)])
    for name, _ in options.risks:
        fit[0].dataset.space.index_of(name)  # refuses strange ones now, not after the work
    if any(m.startswith("local") for m in options.methods) and find_spec("torch") is None:
        raise MissingExtraError("local temperature scaling", "torch")
    described = {"fit": [d.describe() for d in fit], "test": [d.describe() for d in test]}
    run = Run(
        out,
        "calibrate",
        {"model": candidate.name, **described, **asdict(options), "measure": asdict(measure)},
    )
    run.keep_apart(s.label for d in (*fit, *test) for s in d.dataset)
    work = Work(run, measure, workers, strict, progress, say)
    grown = [*fit, *augmented(fit, options)]
    _drop_old(run.path, len(grown))
    sample = _sample(candidate, grown, options, work)
    calibrators = fit_all(candidate, grown, sample, options, run, progress)
    variants = (Variant(candidate.name), *(Variant(name, c) for name, c in calibrators.items()))
    for domain in test:
        same = domain.dataset.space.names == fit[0].dataset.space.names
        usable = tuple(v for v in variants if same or _serves_all(v))
        if len(usable) < len(variants):
            names = ", ".join(v.name for v in variants if v not in usable)
            say(f"'{domain.name}' has other classes than the calibration images: without {names}")
        work.examine(candidate, domain, usable, None)
    models = [{"name": candidate.name, "of": None, "lines": candidate.describe()}]
    models += [{"name": n, "of": candidate.name, "lines": c.describe()} for n, c in calibrators.items()]
    in_source = {c["model"] for c in work.cells if c["domain"] == test[0].name}
    judged = [name for name in calibrators if name in in_source]
    sentences = judge(work.cells, candidate.name, judged, [d.name for d in test])
    fitted_on = [f"fitted on {d.describe()}" for d in grown]
    # of the model as it is: a calibrator has seen the labels of the very images that thresholds need
    promised = promise(candidate, fit, test, variants[0], options, work)
    measured = work.finish(
        test, models, command="calibrate", headline=sentences[0],
        guarantees=[*promised, *sentences[1:], *fitted_on],
    )  # fmt: skip
    sentences += promised
    return CalibrateResult(calibrators, places_of(run, calibrators), measured, sentences)


def _serves_all(variant: Variant) -> bool:
    """Whether a calibrator acts before the class map, so that it serves any label space."""
    return variant.calibrator is None or variant.calibrator.stage == "logits"


def augmented(fit: Sequence[Domain], options: CalibrateOptions) -> list[Domain]:
    """Copies of the calibration domains: corrupted, or with changed colours and brightness."""
    from dubio.data.altered import Copied
    from dubio.data.corrupt import Augmentation, parse_corruptions

    found: list[Domain] = []
    for text in options.corruptions:
        for domain in fit:
            found += corrupted(domain, parse_corruptions(text), seed=options.seed)
    if not options.augment:
        return found
    made = Augmentation(options.augment)
    return found + [
        replace(d, name=f"{d.name} copy {n + 1}", corruption=Copied(made, n), of=d.name, seed=options.seed)
        for d in fit
        for n in range(options.augment)
    ]


def check_apart(fit: Iterable[Domain], test: Iterable[Domain]) -> None:
    """Make sure that no image is both fitted on and judged.

    Raises:
        InputError: one is, or there is nothing to fit on or to judge.
    """
    fitted = {place: d.name for d in fit for s in d.dataset for place in _places(s)}
    tested = [(d.name, s) for d in test for s in d.dataset]
    if not fitted or not tested:
        raise InputError("calibration needs images to fit on and others to judge by")
    for name, sample in tested:
        other = next((fitted[place] for place in _places(sample) if place in fitted), None)
        if other is not None:
            raise InputError(
                f"'{sample.image_id}' is in '{other}', which is fitted on, and in '{name}', which is judged",
                remedy="give parts without common images",
            )


def _drop_old(folder: Path, domains: int) -> None:
    """Remove calibrators and samples of an earlier run in the folder: they may be of other images."""
    shutil.rmtree(folder / "calibrators", ignore_errors=True)
    for path in (folder / "logits").glob("[0-9]*"):
        if path.name.isdecimal() and int(path.name) >= domains:
            shutil.rmtree(path, ignore_errors=True)


def _places(sample: Sample) -> list[str]:
    """Where image and label really lie: links and detours lead to the same image."""
    return [os.path.realpath(place) for place in (sample.image, sample.label) if place is not None]


def _check_classes(fit: Sequence[Domain]) -> None:
    """One label space for all that is fitted on: pixels of the same number have to be of the same class."""
    first = fit[0]
    for domain in fit[1:]:
        if domain.dataset.space.names != first.dataset.space.names:
            raise InputError(
                f"'{domain.name}' has other classes than '{first.name}', so that no calibrator fits both",
                remedy="fit on one of them, or on data sets of one label space",
            )


def split_in_two(domain: Domain, *, blocks: int = 10) -> tuple[Domain, Domain]:
    """Part a domain into a calibration and a test half of alternate runs of neighbouring images.

    Images next to each other by name are often next to each other in time; they stay together.

    Raises:
        InputError: there are fewer than two images.
    """
    samples = sorted(domain.dataset, key=lambda s: s.image_id)
    if len(samples) < 2:
        raise InputError(f"'{domain.name}' has one image", remedy="give more, or a second data set")
    blocks = min(blocks, len(samples))
    halves: tuple[list[Any], list[Any]] = ([], [])
    for n, sample in enumerate(samples):
        halves[n * blocks // len(samples) % 2].append(sample)
    names = (f"{domain.name} calibration", f"{domain.name} test")
    whole = domain.of or domain.name  # whose scores are read
    first, second = (
        replace(domain, name=name, of=whole, dataset=replace(domain.dataset, samples=tuple(half)))
        for name, half in zip(names, halves, strict=True)
    )
    return first, second


def _has_features(candidate: Candidate, domain: Domain, say: Callable[[str], None]) -> bool:
    """Whether the network's own features can be had; without them clusters are made of the logits."""
    source = candidate.source(domain)
    if not isinstance(source, ModelSource) or not isinstance(source.model, Network):
        return False
    try:
        FeatureExtractor(source.model)
    except (MissingExtraError, InputError) as error:
        say(f"clusters are made of the logits instead of the network's features: {error}")
        return False
    return True


def _sample(
    candidate: Candidate, domains: Sequence[Domain], options: CalibrateOptions, work: Work
) -> LogitSample:
    """Sampled logits of all domains that are fitted on."""
    found = []
    wants_features = any("clustered" in m for m in options.methods) and _has_features(
        candidate, domains[0], work.say
    )
    for number, domain in enumerate(domains):
        extraction = Extraction(
            candidate, domain, work.run.path / "logits" / f"{number:02d}", pixels=options.pixels,
            seed=options.seed, features=wants_features, workers=work.workers, strict=work.strict,
        )  # fmt: skip
        for done in work.progress(extraction.work(), len(domain), f"sampling {domain.name}"):
            if done.fault:
                work.leave_out(domain, done.sample.image_id, done.fault)
            elif done.path is not None:
                sample = read_sample(done.path)
                found.append(replace(sample, image_ids=(f"{domain.name}/{sample.image_ids[0]}",)))
    if not found:
        first = next(iter(work.quarantine.values()), "there are no images")
        raise InputError(f"there is nothing to fit on; the first fault: {first}")
    return join_samples(found)
