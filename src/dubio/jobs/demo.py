"""The demonstration: scenes, planted errors, audit, report, and how many errors were found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dubio.core.files import write_json
from dubio.core.records import Dataset
from dubio.core.run import Run
from dubio.core.seeds import rng_for
from dubio.data.masks import read_mask, write_mask
from dubio.data.scenes.write import write_scenes
from dubio.engine.map import Progress, silent
from dubio.errors.audit import AuditOptions
from dubio.errors.choose import choose
from dubio.errors.feature_names import FEATURES
from dubio.errors.finder import rank_by
from dubio.errors.findings import Finding
from dubio.errors.plant import Kind, PlantedError, plant
from dubio.errors.score import ListScore, score_list
from dubio.jobs.audit import AuditResult, audit
from dubio.jobs.demo_boxes import BoxDemo, demo_boxes

# Unlike what the finder teaches itself with: other weights, other rate, larger errors.
_KINDS: dict[Kind, float] = {"drop": 4, "swap": 3, "spurious": 2, "shift": 1}
_MIN_ERROR = 80
N_SCENES = 60


@dataclass
class DemoResult:
    """The audits of the demonstration with their scores and the baselines'."""

    audit: AuditResult
    n_scenes: int
    errors: dict[str, tuple[PlantedError, ...]]
    score: ListScore
    baselines: dict[str, ListScore]
    boxes: BoxDemo


def demo(
    out: str | Path,
    *,
    n_scenes: int = N_SCENES,
    rate: float = 0.06,
    seed: int = 7,
    workers: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> DemoResult:
    """Render street scenes, plant label errors, find them with the networks that come with dubio.

    Args:
        out: folder; gets ``data/`` (images, labels with errors, truth), ``audit/`` (the run on masks) and
            ``audit-boxes/`` (the run on boxes).
        n_scenes: number of scenes.
        rate: planted errors per eligible label region.
        seed: seed of scenes and errors.
        workers: scenes at once; default: all processors.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.

    Returns:
        The audit, and how many of the planted errors its list finds, beside simple rankings of the same
        candidates.
    """
    from dubio.engine.map import cpu_count
    from dubio.models.load import load_model
    from dubio.models.source import ModelSource

    root = Path(out)
    # Claims the folder (or refuses a foreign one) before anything is written.
    run = Run(root, "demo", {"scenes": n_scenes, "rate": rate, "seed": seed})
    say(f"rendering {n_scenes} street scenes with exact labels")
    data = root / "data"
    clean = write_scenes(data, n_scenes, seed=seed, workers=workers or cpu_count())
    given, truth, errors = _plant(clean, data, rate, seed)
    n_errors = sum(len(e) for e in errors.values())
    say(f"planted {n_errors} label errors; what follows does not know where")
    network = Path(str(resources.files("dubio") / "demo" / "model.onnx"))
    source = ModelSource(load_model(network), given.space)
    found = audit(
        given,
        source,
        root / "audit",
        AuditOptions(seed=seed, copies=4),
        workers=workers,
        progress=progress,
        say=say,
    )
    rank = {
        "1 - probability of the label": _baseline(found, given, "p_given"),
        "entropy of the prediction": _baseline(found, given, "entropy"),
    }
    score = score_list(found.findings, truth)
    baselines = {name: score_list(listed, truth) for name, listed in rank.items()}
    _write_truth(data, errors)
    say("and now boxes: the same scenes, a detector, other errors")
    boxes = demo_boxes(
        data, root / "audit-boxes", seed=seed, workers=workers, progress=progress or silent, say=say
    )
    run.finish(
        planted=n_errors,
        score=_plain(score),
        baselines={name: _plain(s) for name, s in baselines.items()},
        boxes_planted=len(boxes.truth.errors),
        boxes_average_precision=boxes.score.ap.value,
    )
    return DemoResult(found, n_scenes, errors, score, baselines, boxes)


def _plant(
    clean: Dataset, data: Path, rate: float, seed: int
) -> tuple[Dataset, dict[str, npt.NDArray[np.int32]], dict[str, tuple[PlantedError, ...]]]:
    """Write the labels with errors beside the exact ones."""
    truth, errors, samples = {}, {}, []
    for sample in clean:
        if sample.label is None:
            continue
        label = read_mask(sample.label, clean.space)
        rng = rng_for(seed, sample.image_id, "demo")
        planted = plant(label, len(clean.space), rng, rate=rate, kinds=_KINDS, min_size=_MIN_ERROR)
        place = data / "labels_with_errors" / f"{sample.image_id}.png"
        write_mask(place, planted.label, clean.space)
        truth[sample.image_id], errors[sample.image_id] = planted.truth, planted.errors
        samples.append(replace(sample, label=place))
    name = "demo: synthetic street scenes"
    return replace(clean, name=name, samples=tuple(samples), root=data), truth, errors


def _baseline(found: AuditResult, dataset: Dataset, name: str) -> list[Finding]:
    """The same candidates ranked by one feature: low probability of the label, or high entropy."""
    position = FEATURES.index(name)
    sign = -1 if name == "p_given" else 1
    ranked = rank_by(found.works, lambda x: sign * x[:, position] + (sign < 0))
    return choose(found.works, ranked, dataset.space, max_findings=len(found.findings))


def _write_truth(data: Path, errors: dict[str, tuple[PlantedError, ...]]) -> None:
    write_json(data / "truth.json", {name: [asdict(e) for e in found] for name, found in errors.items()})


def _plain(score: ListScore) -> dict[str, float | int]:
    return {k: v for k, v in asdict(score).items() if k != "hits"}
