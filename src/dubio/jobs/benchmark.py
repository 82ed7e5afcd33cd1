"""Scoring jobs: an audit's run or another list against a truth folder, and old published results."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_json, write_text
from dubio.core.labelspace import IndexMap
from dubio.core.run import Run
from dubio.engine.map import Progress
from dubio.errors.bench.lists import from_published, names_in_truth, read_findings
from dubio.errors.bench.matching import MATCH_IOU
from dubio.errors.bench.published import best_point, published_auc, published_curve
from dubio.errors.bench.published_files import Written, open_published, write_published
from dubio.errors.bench.result import Score, plain
from dubio.errors.bench.scoring import score
from dubio.errors.bench.truth import Truth, read_truth
from dubio.errors.findings import Finding


@dataclass(frozen=True)
class Opened:
    """A list and the truth that it is to be held against.

    Attributes:
        findings: the list, with the truth's image ids.
        truth: the truth of the images that count.
        notes: sentences for the user.
    """

    findings: list[Finding]
    truth: Truth
    notes: tuple[str, ...]


def open_list(
    truth_folder: Path, *, run: Path | None = None, findings: Path | None = None, all_images: bool = False
) -> Opened:
    """Open a list and its truth.

    Images that the run did not audit (no prediction, or unusable) can't be held against its finder: they
    don't count, unless ``all_images``.

    Args:
        truth_folder: made by ``dubio benchmark plant``.
        run: run folder of an audit.
        findings: or a Parquet file (see :func:`dubio.errors.bench.lists.read_findings`).
        all_images: count the errors of all images of the truth.

    Raises:
        InputError: not exactly one of ``run`` and ``findings``, or one that can't be used.
    """
    if (run is None) == (findings is None):
        raise InputError("give either the run folder of an audit or a file of findings")
    truth = read_truth(truth_folder)
    notes = [f"truth: {len(truth.errors)} errors in {len(truth.by_image)} of {len(truth.shapes)} images"]
    audited: set[str] = set()
    if run is not None:
        _check_run(run)
        audited = _audited(run)
        listed = read_findings(run / "findings.parquet")
    else:
        listed = read_findings(Path(str(findings)))
    names, said = names_in_truth(audited | {f.image_id for f in listed}, truth)
    notes += [said] * bool(said)
    listed = [replace(f, image_id=names[f.image_id]) for f in listed]
    seen = [name for name in truth.image_ids if name in {names[a] for a in audited}]
    if audited and not seen:
        raise InputError("has audited none of the truth's images", path=run)
    if audited and not all_images and len(seen) < len(truth.shapes):
        notes.append(
            f"{len(seen)} of {len(truth.shapes)} images of the truth were audited; the others don't count"
        )
        truth = truth.only(seen)
    return Opened(listed, truth, tuple(notes))


def _check_run(run: Path) -> None:
    if not (run / "run.json").is_file():
        raise InputError("is no run folder (it has no run.json)", path=run)
    record = read_json(run / "run.json")
    if record.get("command") != "audit":
        raise InputError(f"is a run of 'dubio {record.get('command')}', not of an audit", path=run)
    if record.get("status") != "done":
        raise InputError(
            "is an audit that has not ended", path=run, remedy="call the same audit again to finish it"
        )


def _audited(run: Path) -> set[str]:
    """Images that were audited: those of the image table, in older runs of the region table."""
    for path in (run / "images.parquet", run / "regions.parquet"):
        if path.is_file() and "image_id" in pq.read_schema(path).names:
            names = pq.read_table(path, columns=["image_id"])["image_id"].unique().to_pylist()
            return {str(name) for name in names}
    return set()


def score_list_file(
    opened: Opened,
    out: Path | None,
    *,
    origin: dict[str, Any],
    match_iou: float = MATCH_IOU,
    draws: int = 1000,
    seed: int = 0,
    workers: int | None = None,
) -> Score:
    """Score an opened list; with ``out``, write ``score.json`` and ``curve.csv`` into that run folder.

    Raises:
        InputError: findings that don't fit the truth, or a folder that holds something else.
    """
    # Claimed first: a foreign folder is refused before any work.
    run = None if out is None else Run(out, "benchmark score", origin)
    found = score(opened.findings, opened.truth, match_iou=match_iou, draws=draws, seed=seed, workers=workers)
    if run is not None:
        _write(run, found)
    return found


def _write(run: Run, found: Score) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(found.curve)
    writer.writerows(["" if np.isnan(v) else v for v in row] for row in found.curve_rows())
    write_text(run.path / "curve.csv", table.getvalue())
    write_json(run.path / "score.json", found.to_dict())
    run.finish(average_precision=found.ap.value)


def write_published_files(
    out: Path,
    opened: Opened,
    *,
    run: Path | None = None,
    min_size: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write the published tool's files of an opened list (see ``write_published``).

    The predictions come from the audit's run, if it still has its parts.

    Raises:
        InputError: the folder holds something else.
    """
    target = Run(out, "benchmark published files", {"truth": opened.truth.folder, "run": run})
    done = write_published(
        out, opened.truth, opened.findings, predicted=_predictions(run), min_size=min_size,
        workers=workers, progress=progress,
    )  # fmt: skip
    target.finish(**asdict(done))
    return done


def _predictions(run: Path | None) -> Callable[[str], IndexMap | None]:
    """Predicted classes by image id, from the shards of an audit."""
    from functools import lru_cache

    from dubio.errors.store import load_work

    shards = [] if run is None else sorted(run.glob("parts/images-*/*.npz"))
    place = {work.image_id: shard for shard in shards for work in load_work(shard)}

    @lru_cache(maxsize=2)  # images come in the order of the shards, nearly
    def maps(shard: Path) -> dict[str, IndexMap]:
        return {work.image_id: work.pred for work in load_work(shard, maps=True)}

    return lambda image_id: maps(place[image_id]).get(image_id) if image_id in place else None


def score_published(
    proposals: Path,
    errors: Path,
    classes: Sequence[int],
    *,
    match_iou: float = MATCH_IOU,
    draws: int = 1000,
    seed: int = 0,
    out: Path | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Score old results: by the published rule, and properly.

    Args:
        proposals: folder of ``NAME_proposals.png``.
        errors: folder of ``NAME_label_errors.png``.
        classes: class ids to count.
        match_iou: overlap from which an error is found: adjusted IoU by the published rule, IoU in ours.
        draws: bootstrap draws of ours.
        seed: their seed.
        out: run folder for ``score.json``, ``None``: nothing is written.
        workers: images at once.

    Returns:
        Plain data: ``images``, ``published`` (the best point, ``auc``, the pooled and the class counts at
        every threshold) and ``score`` (ours, see :meth:`Score.to_dict`).

    Raises:
        InputError: files that can't be read or paired, or no classes.
    """
    if not classes:
        raise InputError("there are no class ids to count", remedy="give --class-ids, such as 6,7,11")
    folders = open_published(proposals, errors)
    run = None if out is None else Run(out, "benchmark score", {"proposals": proposals, "errors": errors})
    curve = published_curve(
        folders.errors(), folders.proposals(), classes, match_iou=match_iou, workers=workers
    )
    findings, truth = from_published(folders, classes)
    ours = score(findings, truth, match_iou=match_iou, draws=draws, seed=seed, workers=workers)
    by_class = {
        str(c): np.stack([curve.tp[:, k], curve.fp[:, k], curve.fn[:, k]], 1).tolist()
        for k, c in enumerate(curve.classes)
    }
    data = {
        "images": len(folders.names),
        "published": {
            **plain(best_point(curve)),
            "auc": published_auc(curve),
            "thresholds": curve.thresholds.tolist(),
            "tp_fp_fn": curve.pooled.tolist(),
            "tp_fp_fn_by_class": by_class,
        },
        "score": ours.to_dict(),
    }
    if run is not None:
        write_json(run.path / "score.json", data)
        run.finish(average_precision=ours.ap.value)
    return data
