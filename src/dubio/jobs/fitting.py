"""The calibrators by name, fitted and kept in a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dubio
from dubio.calibration.adaptive import AdaptiveTemperature
from dubio.calibration.base import Calibrator
from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.clustered import ClusteredTemperature
from dubio.calibration.dirichlet import DirichletCalibration
from dubio.calibration.files import load_calibrator
from dubio.calibration.isotonic import IsotonicCalibration
from dubio.calibration.local import LocalTemperature
from dubio.calibration.maps import MapItem
from dubio.calibration.probabilities import ProbabilityCalibrator
from dubio.calibration.temperature import TemperatureScaling
from dubio.calibration.vector import VectorScaling
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint
from dubio.core.records import PredictionSource, Sample
from dubio.core.run import Run
from dubio.data.domains import Domain, read_item
from dubio.data.logits import LogitSample, log_scores
from dubio.jobs.candidates import Candidate, judged, raw_scores
from dubio.jobs.extract import PIXELS

if TYPE_CHECKING:
    from dubio.engine.map import Progress


DEFAULT = ("temperature", "vector", "classwise", "clustered", "isotonic")


@dataclass(frozen=True)
class CalibrateOptions:
    """How calibrators are fitted.

    Args:
        methods: names from :data:`METHODS`.
        pixels: sampled per image to fit on; 20000 as published.
        clusters: of images, for the clustered temperatures; 8 as published.
        corruptions: corruptions under which the calibration images are seen as well (see
            :func:`dubio.data.corrupt.parse_corruptions`); to be judged fairly, others than those of the test.
        augment: copies of every calibration image with random colours and brightness (the published
            augmentation); 0: none.
        risks: classes with the share of each that masks may miss (see
            :class:`dubio.calibration.risk.RiskControl`).
        confidence: of that promise; ``None``: it holds on average.
        seed: seed of everything random.

    Raises:
        InputError: an unknown method, or a number out of range.
    """

    methods: tuple[str, ...] = DEFAULT
    pixels: int = PIXELS
    clusters: int = 8
    corruptions: tuple[str, ...] = ()
    augment: int = 0
    risks: tuple[tuple[str, float], ...] = ()
    confidence: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        strange = [m for m in self.methods if m not in METHODS]
        if strange:
            raise InputError(f"there is no method '{strange[0]}'", remedy=f"choose from {', '.join(METHODS)}")
        if self.pixels == 0 or self.pixels < -1:
            raise InputError(
                f"nothing can be fitted on {self.pixels} pixels", remedy="give a number, or -1: all"
            )
        names = [name for name, _ in self.risks]
        for name, level in self.risks:
            if not 0 < level < 1:
                raise InputError(
                    f"{level:g} of '{name}' is no share that masks may miss",
                    remedy="give one between 0 and 1",
                )
            if names.count(name) > 1:
                raise InputError(f"'{name}' has several levels of risk", remedy="give one")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise InputError(f"{self.confidence:g} is no confidence", remedy="give one between 0 and 1")


Maker = Callable[[CalibrateOptions], Calibrator]
METHODS: dict[str, tuple[str, Maker]] = {
    "temperature": ("one temperature, by NLL", lambda o: TemperatureScaling()),
    "temperature-ece": ("one temperature, by ECE as published", lambda o: TemperatureScaling("ece")),
    "vector": ("scale and bias per channel", lambda o: VectorScaling()),
    "classwise": ("a temperature per predicted class", lambda o: ClasswiseTemperature()),
    "clustered": (
        "a temperature per cluster of images",
        lambda o: ClusteredTemperature(n_clusters=o.clusters, seed=o.seed),
    ),
    "clustered-soft": (
        "a mixture of the clusters' temperatures",
        lambda o: ClusteredTemperature(n_clusters=o.clusters, assignment="soft", seed=o.seed),
    ),
    "clustered-gmm": (
        "a temperature per component of a Gaussian mixture of images",
        lambda o: ClusteredTemperature(n_clusters=o.clusters, method="gmm", seed=o.seed),
    ),
    "clustered-class": (
        "a temperature per cluster of images and predicted class",
        lambda o: ClusteredTemperature(n_clusters=o.clusters, per_class=True, seed=o.seed),
    ),
    "adaptive": ("a temperature per image from its logits as a whole", lambda o: AdaptiveTemperature()),
    "isotonic": ("a monotone curve per class", lambda o: IsotonicCalibration()),
    "top-label": (
        "a monotone curve of the winner's confidence",
        lambda o: IsotonicCalibration(top_label=True),
    ),
    "dirichlet": ("multinomial regression on log probabilities", lambda o: DirichletCalibration()),
    "local": (
        "a temperature per pixel from logits and image (torch)",
        lambda o: LocalTemperature(seed=o.seed),
    ),
    "local-logits": (
        "a temperature per pixel from logits alone (torch)",
        lambda o: LocalTemperature(image_branch=False, seed=o.seed),
    ),
}  # fmt: skip


def fit_all(
    candidate: Candidate,
    domains: Sequence[Domain],
    sample: LogitSample,
    options: CalibrateOptions,
    run: Run,
    progress: Progress,
) -> dict[str, Calibrator]:
    """Fit every method that is asked for; what an earlier run fitted on the same images is read again.

    Raises:
        InputError: a method can't be fitted.
    """
    key = _key(candidate, domains, options)
    found: dict[str, Calibrator] = {}
    for name in progress(options.methods, len(options.methods), "fitting"):
        made = METHODS[name][1](options)
        path = run.part("calibrator", [key, name, made.get_params()]) / f"{name}{_SUFFIX[made.storage]}"
        fitted = _kept(path)
        if fitted is None:
            if isinstance(made, LocalTemperature):
                _fit_local(made, candidate, domains, sample)
            else:
                made.fit(sample)
            if isinstance(made, ProbabilityCalibrator):
                made.name_classes(domains[0].dataset.space.names)
            made.save(path)
            fitted = made
        fitted.save(run.path / "calibrators" / path.name)
        found[name] = fitted
    return found


_SUFFIX = {"json": ".json", "npz": ".npz", "safetensors": ".safetensors"}


def places_of(run: Run, calibrators: dict[str, Calibrator]) -> dict[str, Path]:
    """Where the calibrators of a run are saved."""
    return {n: run.path / "calibrators" / f"{n}{_SUFFIX[c.storage]}" for n, c in calibrators.items()}


def _kept(path: Path) -> Calibrator | None:
    if not path.is_file():
        return None
    try:
        return load_calibrator(path)
    except InputError:
        return None  # damaged: fitted again


def _key(candidate: Candidate, domains: Sequence[Domain], options: CalibrateOptions) -> str:
    return digest(
        {
            "domains": [[d.key(), candidate.source(d).key()] for d in domains],
            "files": [fingerprint(p for s in d.dataset for p in (s.image, s.label)) for d in domains],
            "pixels": options.pixels,
            "seed": options.seed,
            "dubio": dubio.__version__,
        }
    )


def _fit_local(
    made: LocalTemperature, candidate: Candidate, domains: Sequence[Domain], sample: LogitSample
) -> None:
    """Train on whole maps, which the model gives image by image."""
    items: list[Callable[[], MapItem]] = []
    names: list[str] = []
    known = set(sample.image_ids)
    for domain in domains:
        source = candidate.source(domain)
        seen = judged(source, domain)
        for each in domain.dataset:
            name = f"{domain.name}/{each.image_id}"
            if name in known:
                items.append(_reader(source, seen, each))
                names.append(name)
    made.fit_maps(items, n_classes=sample.n_classes, pairs=sample.pairs, ids=names)


def _reader(source: PredictionSource, domain: Domain, sample: Sample) -> Callable[[], MapItem]:
    def read() -> MapItem:
        item = read_item(domain, sample, with_image=sample.image is not None)
        raw = raw_scores(source, item)
        if raw is None:
            raise InputError(f"there is no prediction of '{sample.image_id}'")
        from dubio.data.images import fit_image

        size = (int(item.label.shape[0]), int(item.label.shape[1]))
        image = None if item.image is None else fit_image(item.image, size)
        return MapItem(log_scores(raw.scores, raw.kind), item.label, image)

    return read
