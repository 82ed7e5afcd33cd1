"""The pictures of an audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.labelspace import IndexMap
from dubio.core.records import Dataset, Sample
from dubio.core.run import Run
from dubio.data.images import fit_image, read_image
from dubio.data.masks import read_mask
from dubio.engine.map import Progress, map_ordered
from dubio.errors.audit import Collected
from dubio.errors.findings import Finding
from dubio.errors.store import load_work
from dubio.report.pictures import save_strip, strip, whole

# The page shows so many images; the table has all.
SHOWN_IMAGES = 12


def drop_old(folder: Path) -> None:
    """Remove the pictures of an earlier run: their numbers stand for other findings now."""
    for path in folder.glob("*.jpg"):
        path.unlink()


def draw_findings(
    findings: list[Finding],
    kept: Collected,
    dataset: Dataset,
    run: Run,
    workers: int | None,
    progress: Progress | None,
) -> list[Finding]:
    """A picture per finding; returns the findings with the pictures' paths."""
    by_image: dict[str, list[Finding]] = {}
    for finding in findings:
        by_image.setdefault(finding.image_id, []).append(finding)
    samples = {s.image_id: s for s in dataset}
    shard_of = {w.image_id: s for w, s in zip(kept.works, kept.shards, strict=True)}
    shards = sorted({shard_of[name] for name in by_image})

    def job(shard: Path) -> list[tuple[int, str]]:
        return [
            made
            for work in load_work(shard, maps=True)
            if work.image_id in by_image
            for made in _draw(samples[work.image_id], dataset, work.pred, by_image[work.image_id], run.path)
        ]

    done = map_ordered(job, shards, workers=workers)
    steps = done if progress is None else progress(done, len(shards), "drawing")
    picture = {number: path for part in steps for number, path in part}
    return [replace(f, picture=picture.get(f.finding)) for f in findings]


def draw_images(
    table: pa.Table, kept: Collected, dataset: Dataset, run: Run, workers: int | None
) -> pa.Table:
    """A picture of each of the most suspect images; returns the table with the pictures' paths."""
    samples = {s.image_id: s for s in dataset}
    shard_of = {w.image_id: s for w, s in zip(kept.works, kept.shards, strict=True)}
    names = table.column("image_id").to_pylist()
    first = names[:SHOWN_IMAGES]
    # a shard is read once for all its images
    shards = sorted({shard_of[name] for name in first})

    def job(shard: Path) -> dict[str, str]:
        wanted = {name: rank for rank, name in enumerate(first, start=1) if shard_of[name] == shard}
        made = {}
        for work in load_work(shard, maps=True):
            if work.image_id in wanted:
                path = f"pictures/image-{wanted[work.image_id]:03d}.jpg"
                label, image = _layers(samples[work.image_id], dataset)
                save_strip(whole(dataset.space, image, label, work.pred), run.path / path)
                made[work.image_id] = path
        return made

    done = map_ordered(job, shards, workers=workers)
    path_of = {name: path for made in done for name, path in made.items()}
    paths = [path_of.get(name) for name in names]
    return table.append_column("picture", pa.array(paths, pa.string()))


def _layers(sample: Sample, dataset: Dataset) -> tuple[IndexMap, npt.NDArray[np.uint8] | None]:
    """Label and picture of a sample, of one size."""
    assert sample.label is not None
    label = read_mask(sample.label, dataset.space, dataset.encoding, unknown="void")
    if sample.image is None:
        return label, None
    return label, fit_image(read_image(sample.image), (int(label.shape[0]), int(label.shape[1])))


def _draw(
    sample: Sample, dataset: Dataset, pred: IndexMap, findings: list[Finding], root: Path
) -> list[tuple[int, str]]:
    label, image = _layers(sample, dataset)
    made = []
    for finding in findings:
        name = f"pictures/{finding.finding:05d}.jpg"
        save_strip(strip(finding, dataset.space, image, label, pred), root / name)
        made.append((finding.finding, name))
    return made
