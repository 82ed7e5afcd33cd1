"""Cross-fitting of detectors: every image is searched by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dubio
from dubio.core.boxes import BoxDataset, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import fingerprint, read_json, write_json
from dubio.core.run import Run
from dubio.core.seeds import derive_seed
from dubio.data.images import read_image
from dubio.models.det.base import DetModel
from dubio.models.det.outputs import BoxOutputs
from dubio.models.det.torch.load import load_torch_detector
from dubio.models.det.train.fit import train_detector
from dubio.models.det.train.options import DetTrainOptions, deal, pictured, split_off, subset
from dubio.models.smp import WEIGHTS
from dubio.models.train.callbacks import Reporter
from dubio.uncertainty.boxes.suppress import Suppression


@dataclass(frozen=True)
class DetCrossFit:
    """The end of a cross-fitting run.

    Attributes:
        folder: holds ``boxes.parquet`` and ``detections.json`` of the held-out detections.
        dataset: the images that were searched.
        detections: number of detections.
        bad: image ids that couldn't be used, with the reason.
        unjudged: folds whose validation images have no box: they kept the last weights.
    """

    folder: Path
    dataset: BoxDataset
    detections: int
    bad: dict[str, str]
    unjudged: tuple[int, ...] = ()


def cross_fit_detectors(
    dataset: BoxDataset,
    options: DetTrainOptions,
    folds: int,
    run: Run,
    *,
    group: str | None = None,
    samples: int = 10,
    suppression: Suppression | None = None,
    device: str = "auto",
    reporter: Callable[[int], Reporter] | None = None,
) -> DetCrossFit | None:
    """Train one detector per fold on the other folds, and search each image by the one that never saw it.

    The epoch is chosen on a validation part of the training folds, never on the held-out fold.
    Finished folds and finished images are kept when the run is repeated.

    Args:
        dataset: images with boxes; those without a picture are left out.
        options: how the detectors are trained.
        folds: number of folds.
        run: the run folder; the networks go to ``folds/N/``, detections as those of ``dubio predict``.
        group: a domain tag whose equal values stay in one fold.
        samples: dropout masks of the detections.
        suppression: how double detections are removed.
        device: device for the detections.
        reporter: gives a reporter for a fold.

    Returns:
        What was found; ``None`` in processes that only help with training.

    Raises:
        InputError: too few images.
    """
    pictures = pictured(dataset)
    fold_of = deal(pictures.samples, folds, options.seed, group=group)
    depends = {
        "recipe": options.recipe(),
        "folds": [folds, group],
        "files": fingerprint([s.image for s in pictures]),
        "labels": _label_key(pictures),
        "space": pictures.space.to_dict(),
        "samples": samples,
        "suppression": repr(suppression),
        "dubio": dubio.__version__,
    }
    outputs = BoxOutputs(run, depends, pictures.space)
    bad: dict[str, str] = {}
    helper = False
    for fold in range(folds):
        rest = subset(pictures, lambda s, f=fold: fold_of[s.image_id] != f)
        folder = _train_fold(rest, options, fold, run, reporter)
        helper = helper or folder is None
        if folder is not None:
            model = load_torch_detector(folder, samples=samples, suppression=suppression, device=device)
            inside = [s for s in pictures if fold_of[s.image_id] == fold]
            bad |= dict(_search(inside, model, outputs))
    if helper:
        return None
    write_json(run.path / "quarantine.json", [{"image_id": k, "fault": v} for k, v in sorted(bad.items())])
    write_json(run.path / "folds.json", dict(sorted(fold_of.items())))
    good = subset(pictures, lambda s: s.image_id not in bad)
    if not len(good):
        raise InputError(f"no image could be used, the first: {next(iter(bad.values()))}", path=run.path)
    detections, _ = outputs.merge(good)
    unjudged = tuple(
        fold
        for fold in range(folds)
        if read_json(run.path / "folds" / str(fold) / "metrics.json")["ap"] is None
    )
    return DetCrossFit(run.path, good, detections, bad, unjudged)


def _label_key(dataset: BoxDataset) -> str:
    """Changes whenever a box of the data set does."""
    import hashlib

    found = hashlib.sha256()
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        for part in (labels.boxes, labels.classes, labels.ignore, labels.crowd, labels.difficult):
            found.update(part.tobytes())
        found.update(sample.image_id.encode())
    return found.hexdigest()[:16]


def training_key(dataset: BoxDataset, options: DetTrainOptions) -> dict[str, Any]:
    """Plain data on which a training run depends."""
    return {
        "recipe": options.recipe(),
        "files": fingerprint([s.image for s in dataset]),
        "labels": _label_key(dataset),
        "space": dataset.space.to_dict(),
    }


def _train_fold(
    rest: BoxDataset,
    options: DetTrainOptions,
    fold: int,
    run: Run,
    reporter: Callable[[int], Reporter] | None,
) -> Path | None:
    """Train one fold's network unless it is there; ``None`` in processes that only help."""
    seeded = replace(options, seed=derive_seed(options.seed, f"fold {fold}") % 2**31)
    train, val = split_off(rest, options.val_fraction, options.seed)
    part = run.part(f"fold{fold}", {**training_key(rest, options), "fold": fold})
    folder, done = run.path / "folds" / str(fold), part / "done.json"
    if done.is_file() and read_json(done) == fingerprint([folder / WEIGHTS]):
        return folder
    told = None if reporter is None else reporter(fold)
    result = train_detector(train, val, seeded, folder, work=part, reporter=told)
    if not result.is_main:
        return None
    write_json(done, fingerprint([folder / WEIGHTS]))
    return folder


def _search(samples: list[BoxSample], model: DetModel, outputs: BoxOutputs) -> Iterator[tuple[str, str]]:
    """Search images that aren't finished; yields those that can't be used, with the reason."""
    for sample in samples:
        try:
            if outputs.done(sample):
                continue
            assert sample.image is not None
            image = read_image(sample.image)
            (found,) = model.detect([image], [sample.image_id])
            outputs.write(sample, found, (image.shape[0], image.shape[1]))
        except InputError as error:
            yield sample.image_id, str(error)
