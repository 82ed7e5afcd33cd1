"""Truth folders: copies of a data set's label masks with errors planted into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, read_json, write_json
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.core.run import Run
from dubio.core.seeds import derive_seed, rng_for
from dubio.data.masks import read_mask, write_mask
from dubio.engine.map import Progress, map_ordered
from dubio.errors.bench.folder import error_row, save_map, write_truth
from dubio.errors.bench.truth import Truth, TruthError, error_of
from dubio.errors.plant import Kind, Planted, plant

_PURPOSE = "benchmark"


@dataclass(frozen=True)
class PlantOptions:
    """What to plant.

    Args:
        rate: expected errors per eligible label region.
        kinds: kind -> weight; ``None``: all alike.
        min_size: pixels that an error changes at least; ``None``: 250 on a 2048x1024 image, the
            published size, in proportion elsewhere (see :func:`default_error_size`).
        max_share: regions that cover more of the image are not touched.
        seed: seed; the errors of an image depend on it and on the image id alone.
        images: so many images, drawn by the seed; ``None``: all.
        unknown: what to do with label values outside the label space.
    """

    rate: float = 0.05
    kinds: Mapping[Kind, float] | None = None
    min_size: int | None = None
    max_share: float = 0.1
    seed: int = 0
    images: int | None = None
    unknown: Literal["error", "void"] = "error"


def default_error_size(shape: tuple[int, int]) -> int:
    """250 pixels on a 2048x1024 image, as published; in proportion elsewhere, but at least 30.

    >>> default_error_size((1024, 2048)), default_error_size((360, 480))
    (250, 30)
    """
    return max(30, round(250 * shape[0] * shape[1] / (1024 * 2048)))


def plant_dataset(
    dataset: Dataset,
    out: str | Path,
    options: PlantOptions | None = None,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> Truth:
    """Write a truth folder: the labels with errors, and where the errors are.

    The masks keep the data set's encoding where it can store every class (else class ids are written,
    see :func:`stored_as`). Void is never changed nor written. A stopped run in the folder goes on.

    Args:
        dataset: labelled images; those without a label are skipped.
        out: the truth folder (see :mod:`dubio.errors.bench.truth`).
        options: see :class:`PlantOptions`.
        workers: images at once; default: all processors. The result does not depend on it.
        strict: raise at the first mask that can't be used, in place of leaving it out.
        progress: wraps iterables to show progress.

    Returns:
        The truth. Images whose mask can't be used are left out and named in ``left_out``.

    Raises:
        InputError: no labels, bad options, more than 65535 errors in an image, or a folder that holds
            something else, a truth of other labels or options included.
    """
    options = options or PlantOptions()
    _check(options)
    samples = _chosen(dataset, options)
    encoding = stored_as(dataset.space, dataset.encoding)
    depends = _depends(dataset, samples, options, encoding)
    _refuse_other(Path(out), depends)
    run = Run(out, "benchmark plant", {"data": dataset.root, "set": dataset.name, **asdict(options)})
    run.keep_apart(s.label for s in samples)
    notes = run.part("planted", depends)

    def job(sample: Sample) -> dict[str, Any]:
        note = notes / f"{sample.image_id}.json"
        if note.exists():
            return dict(read_json(note))
        try:
            done = _plant_one(sample, dataset, encoding, options, run.path)
        except InputError as error:
            if strict:
                raise
            return {"image_id": sample.image_id, "fault": str(error)}
        write_json(note, done)  # last: what has a note is whole
        return done

    done: Iterator[dict[str, Any]] = map_ordered(job, samples, workers=workers)
    records = list(done if progress is None else progress(done, len(samples), "planting"))
    truth = _gather(records, dataset.space, encoding, run.path)
    if not truth.shapes:
        raise InputError(f"no label could be used ({records[0]['fault']})", path=dataset.root)
    origin = {"options": asdict(options), "seed": options.seed}
    write_truth(truth, origin | {"source": depends["labels"], "dubio": depends["dubio"]})
    run.finish(images=len(truth.shapes), errors=len(truth.errors), left_out=len(truth.left_out))
    return truth


def stored_as(space: LabelSpace, encoding: str | None) -> str | None:
    """The encoding itself if it can store every class so that it is read back equal, else class ids.

    Encodings of instances, or those in which a class has no value of its own, can only be read.
    """
    from dubio.data.encodings import RGB, with_nonzero, written_colors

    if encoding is None:
        return None
    full = with_nonzero(space)
    if encoding == RGB:
        return RGB if None not in written_colors(full)[: len(space)] else None
    indices = np.arange(len(space))
    try:
        same = np.array_equal(full.encode(full.decode(indices, encoding), encoding), indices)
    except InputError:
        same = False
    return encoding if same else None


def _check(options: PlantOptions) -> None:
    # Of an image without room nothing is asked but whether the options are sound.
    nothing = np.zeros((1, 1), np.uint8)
    plant(nothing, 1, np.random.default_rng(0), rate=options.rate, kinds=options.kinds)
    if not 0 < options.max_share <= 1:
        raise InputError(f"largest share {options.max_share} is not above 0 and at most 1")
    if options.min_size is not None and options.min_size < 1:
        raise InputError(f"smallest error of {options.min_size} pixels", remedy="give at least 1")
    if options.images is not None and options.images < 1:
        raise InputError(f"{options.images} images can't get errors", remedy="give at least 1")


def _chosen(dataset: Dataset, options: PlantOptions) -> list[Sample]:
    samples = [s for s in dataset if s.label is not None]
    if not samples:
        raise InputError("has no labels", path=dataset.root, remedy="name a folder with label masks")
    if options.images is not None:
        order = sorted(samples, key=lambda s: derive_seed(options.seed, s.image_id, "benchmark images"))
        samples = sorted(order[: options.images], key=lambda s: s.image_id)
    return samples


def _depends(
    dataset: Dataset, samples: list[Sample], options: PlantOptions, encoding: str | None
) -> dict[str, Any]:
    import dubio

    return {
        "dubio": dubio.__version__,
        "space": dataset.space.to_dict(),
        "read_as": dataset.encoding,
        "encoding": encoding,
        "labels": fingerprint(s.label for s in samples),
        "options": asdict(options),
    }


def _refuse_other(out: Path, depends: dict[str, Any]) -> None:
    """A truth that audits refer to is never changed under them."""
    # Run itself judges folders of something else.
    kept = {p.name for p in (out / "parts").glob("planted-*")}
    if kept and kept != {f"planted-{digest(depends)}"}:
        raise InputError(
            "holds a truth made from other labels or with other options",
            path=out,
            remedy="choose another folder, or remove this one",
        )


def _plant_one(
    sample: Sample, dataset: Dataset, encoding: str | None, options: PlantOptions, root: Path
) -> dict[str, Any]:
    if sample.label is None:
        raise InputError("has no label")
    space = dataset.space
    label = read_mask(sample.label, space, dataset.encoding, unknown=options.unknown)
    shape = (int(label.shape[0]), int(label.shape[1]))
    min_size = options.min_size if options.min_size is not None else default_error_size(shape)
    planted = plant(
        label, len(space), rng_for(options.seed, sample.image_id, _PURPOSE),
        rate=options.rate, kinds=options.kinds, min_size=min_size, max_share=options.max_share,
    )  # fmt: skip
    errors = described(sample.image_id, label, planted)
    name = f"{sample.image_id}.png"
    if errors:
        save_map(root / "truth" / name, planted.truth)
        write_mask(root / "clean" / name, label, space, encoding)
    write_mask(root / "labels" / name, planted.label, space, encoding)
    rows = [error_row(e, space) for e in errors]
    return {"image_id": sample.image_id, "shape": list(shape), "errors": rows}


def described(image_id: str, label: IndexMap, planted: Planted) -> tuple[TruthError, ...]:
    """The planted errors with the classes that most of their pixels had before and have now."""
    found = []
    for number, error in enumerate(planted.errors, start=1):
        x0, y0, x1, y1 = error.box
        window = (slice(y0, y1), slice(x0, x1))
        changed = planted.truth[window] == number
        before = int(np.bincount(label[window][changed]).argmax())
        after = int(np.bincount(planted.label[window][changed]).argmax())
        found.append(TruthError(image_id, number, error.kind, before, after, error.size, error.box))
    return tuple(found)


def _gather(records: list[dict[str, Any]], space: LabelSpace, encoding: str | None, root: Path) -> Truth:
    good = [r for r in records if "fault" not in r]
    return Truth(
        space,
        {r["image_id"]: (r["shape"][0], r["shape"][1]) for r in good},
        tuple(error_of(row) for r in good for row in r["errors"]),
        encoding,
        root,
        left_out={r["image_id"]: r["fault"] for r in records if "fault" in r},
    )
