"""``dubio calibrate --boxes`` and ``dubio predict --detector --calibrator``, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dubio
from dubio.cli.main import main
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.data.boxes.parquet import write_parquet

SPACE = LabelSpace("two", (LabelClass(1, "cat", (1, 1, 1)), LabelClass(2, "dog", (2, 2, 2))))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def world(folder: Path, *, images: int = 30, spread: bool = True, scores: bool = True) -> tuple[Path, Path]:
    """Labels, and detections that are too sure of their class and three times too unsure of their corners."""
    rng = np.random.default_rng(0)
    labels, seen, samples = {}, {}, []
    for k in range(images):
        name = f"p{k:03d}"
        low, side = rng.uniform(0, 400, (8, 2)), rng.uniform(20, 150, (8, 2))
        boxes = np.concatenate([low, low + side], 1)
        true = rng.integers(0, 2, 8)
        labels[name] = BoxLabels(boxes[:6], true[:6])
        sigma = rng.uniform(1, 4, (8, 4))
        z = rng.normal(0, 2, 8) + np.where(true == 1, 2, -2)
        p = 1 / (1 + np.exp(-3 * z))
        seen[name] = DetPrediction(
            boxes + sigma * rng.normal(size=(8, 4)), rng.uniform(0.2, 1, 8), (p > 0.5).astype(int), 2,
            class_scores=np.stack([1 - p, p], 1) if scores else None, kind="softmax" if scores else None,
            box_aleatoric=(3 * sigma) ** 2 if spread else None, image_id=name,
        )  # fmt: skip
        samples.append(BoxSample(name, width=600, height=600, file_name=f"{name}.jpg"))
    dataset = BoxDataset("toy", SPACE, tuple(samples), labels)
    folder.mkdir(parents=True, exist_ok=True)
    dubio.write_boxes(dataset, folder / "labels.json", "coco")
    write_parquet(seen, SPACE, folder / "boxes.parquet")
    return folder / "labels.json", folder / "boxes.parquet"


def test_end_to_end(tmp_path: Path) -> None:
    labels, seen = world(tmp_path)
    found = run("calibrate", "--boxes", labels, "--detections", seen, "--out", tmp_path / "cal", "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    corners = data["corners"]["figures"]
    assert corners["as it is"]["ece"] > 0.2
    assert corners[data["corners"]["chosen"]]["ece"] < 0.05
    assert data["classes"]["figures"]["temperature"]["nll"] < data["classes"]["figures"]["as it is"]["nll"]
    low, high = data["corners"]["intervals"]["as it is"]["ece"]
    assert low <= corners["as it is"]["ece"] <= high
    assert len(data["sentences"]) == 3
    mine = dubio.load_detection_calibration(tmp_path / "cal" / "calibration.json")
    assert mine.names == ("cat", "dog")
    assert (tmp_path / "cal" / "report.html").is_file()
    words = run("calibrate", "--boxes", labels, "--detections", seen, "--out", tmp_path / "cal").output
    assert "rel_iso_perclscoo" in words
    assert "calibration error" in words


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    labels, seen = world(tmp_path, spread=False, scores=False)
    found = run("calibrate", "--boxes", labels, "--detections", seen, "--out", tmp_path / "cal", "--json")
    assert found.exit_code == 0, found.output
    assert "no scores of all classes" in found.output
    start = found.output.index("{")
    data = json.loads(found.output[start:])
    assert data["corners"]["chosen"] == "adaptive-score"
    assert "left_out" in data["classes"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "vector"), "has no use with --boxes"),
        (("--spread", "guess"), "no calibration of corners 'guess'"),
        (("--classes", "magic"), "no calibration of classes 'magic'"),
        (("--min-score", "1"), "no detection with a score"),
    ],
)
def test_bad_options(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    labels, seen = world(tmp_path, images=3)
    found = run("calibrate", "--boxes", labels, "--detections", seen, "--out", tmp_path / "o", *arguments)
    assert found.exit_code == 2
    assert said in found.output


def test_missing_input(tmp_path: Path) -> None:
    labels, _ = world(tmp_path, images=3)
    found = run("calibrate", "--boxes", labels, "--out", tmp_path / "o")
    assert (found.exit_code, "give --detections" in found.output) == (2, True)
    found = run("calibrate", "--detections", labels, "--out", tmp_path / "o")
    assert (found.exit_code, "goes with --boxes" in found.output) == (2, True)


def test_defect_11_no_image_is_judged_by_what_it_taught() -> None:
    """Sigmas that the labels alone could teach: a method that remembers boxes does no better than chance."""
    from dubio.calibration.boxes.crossfit import cross_fit_spread, image_parts
    from dubio.calibration.boxes.rows import BoxRows
    from dubio.uncertainty.boxes.residuals import ResidualLaw

    class Memory:
        law = ResidualLaw()

        def fit(self, rows: BoxRows) -> Memory:
            self.known = {tuple(b): np.abs(r) for b, r in zip(rows.boxes.tolist(), rows.truth, strict=True)}
            return self

        def sigma(self, rows: BoxRows) -> np.ndarray:
            return np.array([self.known.get(tuple(b), np.full(4, 7.0)) for b in rows.boxes.tolist()])

    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.random((40, 2)), 2 + rng.random((40, 2))], 1)
    rows = BoxRows(
        boxes, None, np.zeros(40, int), np.ones(40), np.ones((40, 2)), 1, rng.normal(size=(40, 4)),
        np.repeat(np.arange(10), 4), tuple(f"i{k}" for k in range(10)),
    )  # fmt: skip
    found = cross_fit_spread(rows, image_parts(rows.names, 5, 0), Memory)
    assert (found.sigma == 7.0).all()
