"""Cross-fitting: every image is predicted by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, read_json, write_json
from dubio.core.records import Dataset, Sample
from dubio.core.run import Run
from dubio.core.seeds import derive_seed
from dubio.models.load import load_model
from dubio.models.outputs import write_half
from dubio.models.smp import WEIGHTS
from dubio.models.source import ModelSource
from dubio.models.tally import Tally
from dubio.models.train.callbacks import Reporter
from dubio.models.train.fit import train_segmenter
from dubio.models.train.options import TrainOptions, assign_folds, labelled, split_off, subset


@dataclass(frozen=True)
class CrossFit:
    """The end of a cross-fitting run.

    Attributes:
        scores: folder of held-out scores, float16 ``(C, H, W)`` logits, ``ID.npy``.
        images: number of images with scores.
        tally: match of the held-out predictions with the labels.
        bad: image ids that couldn't be used, with the reason.
    """

    scores: Path
    images: int
    tally: Tally
    bad: dict[str, str]


def cross_fit(
    dataset: Dataset,
    options: TrainOptions,
    folds: int,
    run: Run,
    *,
    group: str | None = None,
    device: str = "auto",
    reporter: Callable[[int], Reporter] | None = None,
) -> CrossFit:
    """Train one network per fold on the other folds, and score each image by the one that never saw it.

    The epoch is chosen on a validation part of the training folds, never on the held-out fold.
    Finished folds and finished images are kept when the run is repeated.

    Args:
        dataset: the samples; those without labels are scored too, but nothing is learned from them.
        options: how the networks are trained.
        folds: number of folds.
        run: the run folder; scores go to ``scores/``, the networks to ``folds/N/``.
        group: a domain tag whose equal values stay in one fold.
        device: device for the predictions.
        reporter: gives a reporter for a fold.

    Raises:
        InputError: too few images.
    """
    pictures = subset(dataset, lambda s: s.image is not None)
    fold_of = assign_folds(pictures.samples, folds, options.seed, group=group)
    total, bad, count = Tally.empty(len(dataset.space)), dict[str, str](), 0
    for fold in range(folds):
        inside = [s for s in pictures if fold_of[s.image_id] == fold]
        rest = labelled(subset(pictures, lambda s, f=fold: fold_of[s.image_id] != f))
        folder = _train_fold(rest, options, fold, folds, run, reporter)
        if folder is None:
            continue
        source = ModelSource(load_model(folder, device=device), dataset.space)
        for sample, tally, fault in _score(inside, pictures, source, run):
            if fault:
                bad[sample.image_id] = fault
                continue
            count += 1
            if tally is not None:
                total.add(tally)
    write_json(run.path / "quarantine.json", [{"image_id": k, "fault": v} for k, v in sorted(bad.items())])
    write_json(run.path / "folds.json", dict(sorted(fold_of.items())))
    return CrossFit(run.path / "scores", count, total, bad)


def _train_fold(
    rest: Dataset,
    options: TrainOptions,
    fold: int,
    folds: int,
    run: Run,
    reporter: Callable[[int], Reporter] | None,
) -> Path | None:
    """Train one fold's network unless it is there; ``None`` in processes that only help."""
    seeded = replace(options, seed=derive_seed(options.seed, f"fold {fold}") % 2**31)
    train, val = split_off(rest, options.val_fraction, options.seed)
    files = fingerprint([p for s in rest for p in (s.image, s.label)])
    depends = {
        "recipe": options.recipe(),
        "fold": fold,
        "folds": folds,
        "files": files,
        "space": rest.space.to_dict(),
    }
    part = run.part(f"fold{fold}", depends)
    folder, done = run.path / "folds" / str(fold), part / "done.json"
    if done.is_file() and read_json(done) == fingerprint([folder / WEIGHTS]):
        return folder
    told = None if reporter is None else reporter(fold)
    result = train_segmenter(train, val, seeded, folder, work=part, reporter=told)
    if not result.is_main:
        return None
    write_json(done, fingerprint([folder / WEIGHTS]))
    return folder


def _score(
    samples: list[Sample], dataset: Dataset, source: ModelSource, run: Run
) -> Iterator[tuple[Sample, Tally | None, str]]:
    import numpy as np

    from dubio.data.images import read_image
    from dubio.data.masks import read_mask

    key = source.key()
    for sample in samples:
        path = run.path / "scores" / f"{sample.image_id}.npy"
        mark = digest([key, fingerprint([sample.image, sample.label])])
        done = run.part("scored", {}) / f"{sample.image_id}.{mark}"
        try:
            if ".." in Path(sample.image_id).parts or sample.image is None:
                raise InputError(f"the image id '{sample.image_id}' points out of the run folder")
            label = None
            if sample.label is not None:
                label = read_mask(sample.label, dataset.space, dataset.encoding)
            if not (done.is_file() and path.is_file()):
                size: Any = None if label is None else label.shape
                prediction = source.predict([sample.image_id], [read_image(sample.image)], [size])[0]
                write_half(path, prediction.scores)
                done.parent.mkdir(parents=True, exist_ok=True)
                done.touch()
        except InputError as error:
            yield sample, None, str(error)
            continue
        if label is None:
            yield sample, None, ""
            continue
        best = np.asarray(np.load(path, mmap_mode="r").argmax(axis=0), dataset.space.dtype)
        yield sample, Tally.of(best, label, len(dataset.space)), ""
