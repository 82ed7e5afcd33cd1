"""``dubio benchmark`` on boxes: plant, audit, score."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import dubio

from .pets import N, Pets, call, write_pets


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Pets:
    made = write_pets(tmp_path_factory.mktemp("pets"))
    dubio.write_boxes(made.clean, made.root / "clean.json", "coco")
    return made


@pytest.fixture(scope="module")
def truth(pets: Pets) -> Path:
    out = pets.root / "truth"
    result = call("benchmark", "plant", "--boxes", pets.root / "clean.json", "--out", out, "--rate", "0.2")
    assert result.exit_code == 0, result.output
    assert "errors in" in result.output
    assert "dubio benchmark score run --truth" in result.output
    return out


@pytest.fixture(scope="module")
def run(pets: Pets, truth: Path) -> Path:
    out = pets.root / "run"
    result = call(
        "audit", "--boxes", truth / "labels.json", "--detections", pets.root / "seen.parquet", "--out", out,
        "--folds", "2", "--copies", "20",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def test_plant_then_audit_then_score(run: Path, truth: Path, tmp_path: Path) -> None:
    result = call(
        "benchmark", "score", run, "--truth", truth, "--draws", "20", "--out", tmp_path / "score", "--json"
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    planted = pq.read_table(truth / "errors.parquet").num_rows
    assert data["errors"] == planted > 8
    # the detector of the miniature is nearly perfect
    assert data["ap"]["value"] > 0.6
    saved = json.loads((tmp_path / "score" / "score.json").read_text())
    assert saved["ap"] == data["ap"]
    curve = (tmp_path / "score" / "curve.csv").read_text().splitlines()
    assert "precision" in curve[0]
    assert len(curve) > 2


def test_a_list_of_another_tool_is_scored(run: Path, truth: Path, tmp_path: Path) -> None:
    errors = pq.read_table(truth / "errors.parquet").to_pylist()
    rows = [(e["image_id"], *(e["given_box"] or e["true_box"]), e["called"], 0.9) for e in errors]
    path = tmp_path / "list.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "x0", "y0", "x1", "y1", "kind", "score"), *rows])
    result = call("benchmark", "score", "--findings", path, "--truth", truth, "--draws", "0", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["ap"]["value"] == pytest.approx(1)
    table = run / "findings.parquet"
    ours = call("benchmark", "score", "--findings", table, "--truth", truth, "--draws", "0", "--json")
    whole = call("benchmark", "score", run, "--truth", truth, "--draws", "0", "--json")
    assert json.loads(ours.stdout)["ap"] == json.loads(whole.stdout)["ap"]


def test_kinds_rate_burst_and_images(pets: Pets, tmp_path: Path) -> None:
    plain = ("benchmark", "plant", "--boxes", pets.root / "clean.json", "--json")
    result = call(
        *plain, "--out", tmp_path / "some", "--rate", "0.3", "--kinds", "drop=3,swap=1", "--images", "12"
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert set(data["by_kind"]) <= {"drop", "swap"}
    assert data["images"] == 12
    burst = json.loads(call(*plain, "--out", tmp_path / "burst", "--rate", "0.01", "--burst", "0.2").stdout)
    lost = Counter(e["image_id"] for e in pq.read_table(tmp_path / "burst" / "errors.parquet").to_pylist())
    assert burst["errors"] > 0
    assert max(lost.values()) >= 2


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo"])
def test_labels_with_errors_can_be_read_in_each_format(pets: Pets, tmp_path: Path, layout: str) -> None:
    result = call(
        "benchmark", "plant", "--boxes", pets.root / "clean.json", "--out", tmp_path / "truth", "--write-as",
        layout, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    labels = Path(json.loads(result.stdout)["labels"])
    back = dubio.open_boxes(labels, layout, pets.root / "photos")
    assert len(back) == N


def test_the_same_seed_plants_the_same(pets: Pets, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        seed = "1" if name == "c" else "0"
        out = tmp_path / name
        assert (
            call(
                "benchmark", "plant", "--boxes", pets.root / "clean.json", "--out", out, "--seed", seed
            ).exit_code
            == 0
        )
    a, b, c = (pq.read_table(tmp_path / name / "errors.parquet") for name in "abc")
    assert a.equals(b)
    assert not a.equals(c)


def test_what_does_not_fit_is_refused(pets: Pets, run: Path, truth: Path, tmp_path: Path) -> None:
    clean = pets.root / "clean.json"
    cases = [
        (("plant", "--boxes", clean, "--out", truth), "is not empty"),
        (("plant", "--boxes", clean, "--out", tmp_path / "x", "--min-size", "9"), "--min-size has no use"),
        (("plant", "--boxes", clean, "--out", tmp_path / "x", "--kinds", "erode=1"), "erode"),
        (("plant", "--labels", tmp_path, "--out", tmp_path / "x", "--burst", "0.1"), "goes with --boxes"),
        (("score", "--truth", truth), "give either an audit's run folder or --findings"),
        (("score", tmp_path / "none", "--truth", truth), "is no audit"),
        (("score", run, "--truth", run), "truth"),
        (("score", run, "--truth", truth, "--all-images"), "--all-images"),
    ]
    for arguments, words in cases:
        result = call("benchmark", *arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert words in result.output, arguments
        assert "Traceback" not in result.output
