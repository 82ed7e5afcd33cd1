"""The audit: from a data set and predictions to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.errors import InputError
from dubio.core.files import fingerprint, read_json, write_json
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import Dataset, PredictionSource, Sample
from dubio.core.run import Run
from dubio.data.images import read_image
from dubio.data.masks import read_mask
from dubio.engine.map import Progress, chunked, map_ordered
from dubio.errors.candidates import default_min_size
from dubio.errors.examine import Lesson, examine, learn_rows
from dubio.errors.feature_names import FEATURES
from dubio.errors.store import ImageWork, is_whole, load_work, notes_path, save_work
from dubio.errors.view import View, make_view
from dubio.errors.whole_image import FEATURES as WHOLE_FEATURES
from dubio.errors.whole_image import measure_whole
from dubio.regions.extract import components, extract

# Images per shard: a killed audit loses at most the work on one shard.
_SHARD = 16
# Planted errors that the finder wants to see among its candidates, over all images.
_ENOUGH = 4000
_MOST_COPIES = 8
# Rows to learn from, about: more don't help, but take time.
_MOST_ROWS = 150_000


@dataclass(frozen=True)
class AuditOptions:
    """Options of an audit.

    Args:
        method: ``planted``: the finder that learns from errors it plants; ``meta``: the published
            meta classifier (Rottmann and Reese, 2023).
        classes: class indices to search; ``None``: all.
        kinds: kinds of findings; ``None``: all.
        min_size: smallest region in pixels; ``None``: 100 on a 2048x1024 image, in proportion.
        max_findings: length of the list; 500 is about two hours of reviewing.
        min_probability: leave out less probable findings.
        error_rate: share of label regions assumed wrong; ``None``: estimated.
        folds: parts for cross-fitting by image.
        copies: planted copies per image; ``None``: as many as give about 4000 planted errors.
        plant_rate: planted errors per eligible label region.
        unknown: what to do with label values outside the label space.
        use_images: use the picture for features (edges, colours) where there is one.
        reviewed: run folders of earlier audits whose verdicts are used (see ``dubio import``).
        seed: seed.
    """

    method: Literal["planted", "meta"] = "planted"
    classes: tuple[int, ...] | None = None
    kinds: tuple[str, ...] | None = None
    min_size: int | None = None
    max_findings: int = 500
    min_probability: float = 0.0
    error_rate: float | None = None
    folds: int = 5
    copies: int | None = None
    plant_rate: float = 0.06
    unknown: Literal["error", "void"] = "error"
    use_images: bool = True
    reviewed: tuple[str, ...] = ()
    seed: int = 0


@dataclass
class Collected:
    """What the pass over the images left: their work (maps on disk), tables, and what went wrong.

    Attributes:
        works: results per image, in the order of the data set.
        shards: the shard of each image.
        tables: paths of the region tables.
        quarantine: image id -> why it was left out.
        skipped: number of images without a label or without a prediction.
    """

    works: list[ImageWork]
    shards: list[Path]
    tables: list[Path]
    quarantine: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


def collect(
    dataset: Dataset,
    source: PredictionSource,
    run: Run,
    options: AuditOptions,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Examine all labelled images; finished shards of an earlier, stopped run are taken over.

    Args:
        dataset: the labelled images.
        source: what the model says.
        run: the run folder.
        options: the options.
        workers: images at once; default: all processors.
        strict: raise at the first image that can't be used, in place of leaving it out.
        progress: wraps the images to show progress.
        say: called with sentences for the user.

    Raises:
        InputError: no image has a label and a prediction; the run folder lies among the labels; or, with
            ``strict``, a bad image.
    """
    samples = [s for s in dataset if s.label is not None]
    if not samples:
        raise InputError("has no labels", path=dataset.root, remedy="name a folder with label masks")
    run.keep_apart(s.label for s in samples)
    # Faults of an earlier run, perhaps mended since.
    (run.path / "quarantine.json").unlink(missing_ok=True)
    copies = _copies(options, len(samples))
    rows = int(np.clip(_MOST_ROWS // max(copies * len(samples), 1), 40, 600))
    lesson = Lesson(copies=copies, rate=options.plant_rate, seed=options.seed, max_rows=rows)
    folder = run.part("images", _depends(dataset, source, samples, options, lesson))
    uncovered = tuple(getattr(getattr(source, "class_map", None), "uncovered", ()))
    found = Collected([], [], [])

    def job(sample: Sample) -> Outcome:
        try:
            return _examine_sample(sample, dataset, source, options, lesson, uncovered)
        except InputError as error:
            named = InputError(error.fault, path=error.path or sample.label, remedy=error.remedy)
            if strict:
                raise named from error
            return str(named)

    def each() -> Iterator[Sample]:
        for number, chunk in enumerate(chunked(samples, _SHARD)):
            shard = folder / f"{number:05d}.npz"
            if shard.exists() and is_whole(shard):
                yield from chunk
            else:
                if shard.exists():
                    say(f"{shard.name} of an earlier run is damaged; its images are examined again")
                yield from _fill_shard(shard, chunk, map_ordered(job, chunk, workers=workers))
            _take(shard, found, len(chunk))

    steps = each()
    for _ in steps if progress is None else progress(steps, len(samples), "examining"):
        pass
    if not found.works:
        if not found.quarantine:
            raise InputError("no image could be audited: no prediction fits any label", path=dataset.root)
        faults = list(found.quarantine.values())
        write_json(run.path / "quarantine.json", found.quarantine)
        raise InputError(
            f"no image could be audited; {len(faults)} can't be used, the first: {faults[0]}",
            remedy=f"all are listed in {run.path / 'quarantine.json'}",
        )
    return found


def _copies(options: AuditOptions, n_images: int) -> int:
    if options.method != "planted":
        return 0
    if options.copies is not None:
        return options.copies
    # About four planted errors end up among the candidates of one copy.
    return int(np.clip(round(_ENOUGH / (4 * n_images)), 1, _MOST_COPIES))


def _depends(
    dataset: Dataset, source: PredictionSource, samples: list[Sample], options: AuditOptions, lesson: Lesson
) -> dict[str, Any]:
    import dubio

    return {
        "dubio": dubio.__version__,
        "features": (FEATURES, WHOLE_FEATURES),
        "space": dataset.space.to_dict(),
        "encoding": dataset.encoding,
        "labels": fingerprint(s.label for s in samples),
        "images": fingerprint(s.image for s in samples) if options.use_images else None,
        "source": source.key(),
        "min_size": options.min_size,
        "unknown": options.unknown,
        "lesson": vars(lesson),
    }


def _examine_sample(
    sample: Sample,
    dataset: Dataset,
    source: PredictionSource,
    options: AuditOptions,
    lesson: Lesson,
    uncovered: tuple[int, ...],
) -> tuple[ImageWork, pa.Table] | None:
    space = dataset.space
    if sample.label is None:
        return None
    label = read_mask(sample.label, space, dataset.encoding, unknown=options.unknown)
    shape = (int(label.shape[0]), int(label.shape[1]))
    prediction = source.read(sample, shape)
    if prediction is None:
        return None
    # The model knows nothing of these classes: it can't testify against their labels.
    for index in uncovered:
        label = np.where(label == index, space.void_index, label).astype(label.dtype)
    image = read_image(sample.image) if options.use_images and sample.image is not None else None
    prediction = replace(prediction, image_id=sample.image_id)
    table = extract(prediction, label, space=space, image_id=sample.image_id).table
    view = make_view(prediction, space, image)
    min_size = options.min_size if options.min_size is not None else default_min_size(shape)
    places = examine(view, label, min_size=min_size)
    planting = learn_rows(view, label, sample.image_id, lesson, min_size=min_size)
    confusion, p_sum, regions = _statistics(view, label, space, min_size)
    whole = measure_whole(
        view, label, sample.image_id, min_size=min_size, seed=lesson.seed, speck=min_size,
        faults=lesson.copies > 0,
    )  # fmt: skip
    work = ImageWork(sample.image_id, shape, places, planting, confusion, p_sum, regions, view.pred, whole)
    return work, table


def _statistics(
    view: View, label: IndexMap, space: LabelSpace, min_size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    c = len(space)
    cells = label.ravel().astype(np.int64) * (c + 1) + view.pred.ravel()
    confusion = np.bincount(cells, minlength=(c + 1) ** 2).reshape(c + 1, c + 1)[:c]
    p_sum = np.bincount(label.ravel(), weights=view.probability_of(label).ravel(), minlength=c + 1)[:c]
    ids, n = components(label, c)
    size = np.bincount(ids.ravel(), minlength=n + 1)
    classes = np.zeros(n + 1, np.int64)
    classes[ids.ravel()] = label.ravel()
    kept = classes[1:][size[1:] >= min_size]
    regions = np.bincount(kept, minlength=c + 1)[:c].astype(np.int64)
    return confusion.astype(np.int64), p_sum.astype(np.float64), regions


Outcome = tuple[ImageWork, pa.Table] | str | None


def _fill_shard(shard: Path, chunk: Sequence[Sample], results: Iterator[Outcome]) -> Iterator[Sample]:
    works: list[ImageWork] = []
    tables: list[pa.Table] = []
    notes: dict[str, str] = {}
    for sample, result in zip(chunk, results, strict=True):
        if isinstance(result, str):
            notes[sample.image_id] = result
        elif result is not None:
            works.append(result[0])
            tables.append(result[1])
        yield sample
    if notes:
        write_json(notes_path(shard), notes)
    else:
        notes_path(shard).unlink(missing_ok=True)
    save_work(shard, works, tables)


def _take(shard: Path, found: Collected, chunk: int) -> None:
    works = load_work(shard)
    bad = notes_path(shard)
    notes = read_json(bad) if bad.exists() else {}
    found.works.extend(works)
    found.shards.extend([shard] * len(works))
    if works:
        found.tables.append(shard.with_suffix(".parquet"))
    found.quarantine.update(notes)
    found.skipped += chunk - len(works) - len(notes)
