"""The run folder of an audit of boxes, from Python."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.errors.boxes.audit import BoxAuditOptions
from dubio.handover.audit_run import open_run
from dubio.jobs.audit_boxes import BoxAuditResult, audit_boxes

SPACE = LabelSpace("two", (LabelClass(1, "cat", (200, 60, 40)), LabelClass(2, "dog", (40, 90, 200))))
QUICK = BoxAuditOptions(folds=2, copies=10, max_findings=20)


def scenes(n: int = 30, boxes: int = 8) -> tuple[BoxDataset, dict[str, DetPrediction]]:
    """Images with boxes that are right but for an image without most of its labels."""
    rng = np.random.default_rng(2)
    samples, labels, seen = [], {}, {}
    for k in range(n):
        name = f"s{k:02d}"
        grid = np.array([(x, y) for x in (10, 110, 210, 310) for y in (10, 110)], float)[:boxes]
        corner = grid + rng.uniform(0, 15, grid.shape)
        place = np.concatenate([corner, corner + rng.uniform(40, 70, corner.shape)], 1)
        classes = rng.integers(0, 2, len(place))
        kept = slice(0, 1) if k == 7 else slice(0, None)
        samples.append(BoxSample(name, width=420, height=220, file_name=f"{name}.png"))
        labels[name] = BoxLabels(place[kept], classes[kept])
        scores = np.eye(2)[classes] * rng.uniform(0.75, 0.95, (len(place), 1)) + 0.02
        seen[name] = DetPrediction(
            place + rng.normal(0, 1, place.shape), scores.max(1), classes, 2, class_scores=scores,
            kind="sigmoid", image_id=name,
        )  # fmt: skip
    return BoxDataset("scenes", SPACE, tuple(samples), labels), seen


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> BoxAuditResult:
    return audit_boxes(*scenes(), tmp_path_factory.mktemp("runs") / "run", QUICK)


def strip(result: BoxAuditResult) -> list[tuple[Any, ...]]:
    return [
        (f.image_id, f.kind, f.label, f.given_box, f.proposed_box, f.probability) for f in result.findings
    ]


def test_the_folder_holds_what_the_result_says(done: BoxAuditResult) -> None:
    opened = open_run(done.path)
    assert [f.finding for f in opened.findings] == [f.finding for f in done.findings]
    assert opened.boxes is not None
    assert len(opened.boxes) == 30
    assert done.report.is_file()
    summary = json.loads((done.path / "summary.json").read_text())
    assert summary["regions"] == sum(len(v) for v in scenes()[0].labels.values())
    regions = pq.read_table(done.path / "regions.parquet")
    assert set(regions.column("source").to_pylist()) == {"label", "prediction"}


def test_an_unlabelled_image_says_what_is_seen_there(done: BoxAuditResult) -> None:
    assert done.images is not None
    worst = done.images.to_pylist()[0]
    assert worst["image_id"] == "s07"
    assert worst["fault_kind"] in ("unlabelled", "class_unlabelled")
    assert re.search(
        r"about \d unlabelled objects seen\. (1 of them is|(\d|All) of them are) (cat|dog)\.", worst["reason"]
    )
    others = done.images.to_pylist()[1:]
    assert not any("of them are" in row["reason"] for row in others if (row["fault"] or 0) < 0.2)
    assert "unlabelled objects seen" in done.report.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_order_and_workers_change_nothing(done: BoxAuditResult, tmp_path: Path, workers: int) -> None:
    dataset, seen = scenes()
    mixed = replace(dataset, samples=dataset.samples[::-1], labels=dict(reversed(dataset.labels.items())))
    again = audit_boxes(mixed, dict(reversed(seen.items())), tmp_path / "run", QUICK, workers=workers)
    assert strip(again) == strip(done)


def test_images_that_have_nothing_are_normal(tmp_path: Path) -> None:
    dataset, seen = scenes(14)
    bare = {**dataset.labels, "s00": BoxLabels(np.zeros((0, 4)), np.zeros(0, np.int64))}
    seen["s01"] = DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), 2, image_id="s01")
    del seen["s02"]
    said: list[str] = []
    done = audit_boxes(replace(dataset, labels=bare), seen, tmp_path / "run", QUICK, say=said.append)
    assert (done.summary.images, done.summary.skipped) == (13, 1)
    assert any(
        "nothing is detected in 1 of the images with labelled boxes (first 's01')" in words for words in said
    )
    assert "s02" not in {f.image_id for f in done.findings}
    assert {f.kind for f in done.findings if f.image_id == "s00"} <= {"missing"}


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    dataset, _ = scenes(3)
    none = {k: BoxLabels(np.zeros((0, 4)), np.zeros(0, np.int64)) for k in dataset.labels}
    with pytest.raises(InputError, match="neither labelled boxes nor detections"):
        audit_boxes(replace(dataset, labels=none), {}, tmp_path / "run")
    assert not (tmp_path / "run" / "findings.parquet").exists()


def test_ranking_without_learning(tmp_path: Path) -> None:
    done = audit_boxes(*scenes(14), tmp_path / "run", replace(QUICK, learn=False))
    assert done.findings
    assert done.summary.expected is None
    assert done.summary.quality is None


def test_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match="is no dubio run"):
        audit_boxes(*scenes(3), tmp_path / "run", QUICK)
    assert (tmp_path / "run" / "diary.txt").read_text() == "mine"
