"""``dubio audit`` from end to end, as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from dubio.cli.main import main
from dubio.errors.findings import from_table
from dubio.errors.score import score_list

from ..toy import write_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    return root, write_toy(root)


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def options(root, out, *more):
    return (
        "audit", "--labels", root / "labels", "--images", root / "images", "--scores", root / "scores",
        "--label-space", root / "toy.toml", "--out", out, "--folds", "3", "--copies", "4", *more,
    )  # fmt: skip


def findings_of(out):
    return from_table(pq.read_table(out / "findings.parquet"))


@pytest.fixture(scope="module")
def run(toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    result = call(*options(toy[0], out, "--json"))
    assert result.exit_code == 0, result.output
    return out, result


def test_finds_the_missing_boxes(run, toy):
    out, _ = run
    score = score_list(findings_of(out), toy[1])
    assert score.n_errors == 12
    assert score.recall >= 0.5
    assert score.recall_all >= 0.75


def test_leaves_a_report_with_pictures(run):
    out, _ = run
    findings = findings_of(out)
    assert (out / "report.html").stat().st_size > 1000
    for finding in findings:
        assert finding.picture is not None
        with Image.open(out / finding.picture) as picture:
            assert picture.height >= 200
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == 24
    assert [c["name"] for c in summary["classes"]] == ["ground", "box", "wall"]
    assert json.loads((out / "run.json").read_text())["status"] == "done"
    assert pq.read_table(out / "regions.parquet").num_rows > 100


def test_json_is_one_object_on_standard_output(run):
    data = json.loads(run[1].stdout)
    assert data["findings"] == len(findings_of(run[0]))
    assert data["report"].endswith("report.html")


def test_says_what_it_detected(toy, tmp_path):
    result = call(*options(toy[0], tmp_path / "r", "--max-findings", "5"))
    text = result.output
    assert "ground, box, wall" in text
    assert "logits" in text
    assert "chw" in text.lower() or "(C, H, W)" in text
    assert "report" in text


def test_same_input_same_findings_whatever_the_workers(run, toy, tmp_path):
    call(*options(toy[0], tmp_path / "r", "--workers", "1"))
    one, two = findings_of(run[0]), findings_of(tmp_path / "r")
    assert [(f.image_id, f.x0, f.y0, f.probability) for f in one] == [
        (f.image_id, f.x0, f.y0, f.probability) for f in two
    ]


def test_a_finished_part_is_not_done_again(toy, tmp_path):
    out = tmp_path / "r"
    call(*options(toy[0], out))
    shards = {p: p.stat().st_mtime_ns for p in out.glob("parts/*/*.npz")}
    before = findings_of(out)
    call(*options(toy[0], out, "--max-findings", "3"))
    assert {p: p.stat().st_mtime_ns for p in out.glob("parts/*/*.npz")} == shards
    assert [f.reason for f in findings_of(out)] == [f.reason for f in before[:3]]
    call(*options(toy[0], out, "--min-size", "30"))
    assert not set(out.glob("parts/*/*.npz")) & set(shards), "another option makes another part"


def test_a_killed_run_goes_on_where_it_was(run, toy, tmp_path):
    out = tmp_path / "r"
    command = [sys.executable, "-m", "dubio", *map(str, options(toy[0], out, "--workers", "1"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 60
    while not list(out.glob("parts/*/*.npz")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert call(*options(toy[0], out)).exit_code == 0
    assert [f.reason for f in findings_of(out)] == [f.reason for f in findings_of(run[0])]


def test_published_method(toy, tmp_path):
    out = tmp_path / "meta"
    result = call(*options(toy[0], out, "--method", "meta"))
    assert result.exit_code == 0, result.output
    findings = findings_of(out)
    assert findings
    assert {f.kind for f in findings} <= {"missing", "wrong_class", "spurious", "outline"}
    quality = json.loads((out / "summary.json").read_text())["quality"]
    assert quality["title"].startswith("Meta classification")
    assert quality["baselines"]["mean entropy"]["auroc"] is not None


def test_label_maps_alone_work(toy, tmp_path):
    root, truth = toy
    maps = tmp_path / "pred"
    maps.mkdir()
    for path in sorted((root / "scores").glob("*.npy")):
        seg = np.load(path).argmax(0).astype(np.uint8)
        Image.fromarray(seg).save(maps / f"{path.stem}.png")
    result = call(
        "audit", "--labels", root / "labels", "--predictions", maps, "--label-space", root / "toy.toml",
        "--out", tmp_path / "r", "--copies", "4", "--folds", "3",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert score_list(findings_of(tmp_path / "r"), truth).recall_all > 0.5


def test_bad_images_are_left_out_and_counted(toy, tmp_path):
    root = tmp_path / "data"
    write_toy(root, 8)
    bad = root / "labels/im_003.a.png"
    bad.write_bytes(bad.read_bytes()[:40])
    result = call(*options(root, tmp_path / "r", "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["quarantined"] == 1
    assert "im_003.a" in json.loads((tmp_path / "r/quarantine.json").read_text())
    strict = call(*options(root, tmp_path / "s", "--strict"))
    assert strict.exit_code == 2
    assert "im_003.a.png" in strict.output


def test_few_images_fall_back_and_say_so(tmp_path):
    root = tmp_path / "data"
    write_toy(root, 2)
    result = call(*options(root, tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "too little to learn from" in result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--scores", "nowhere"), "nowhere"),
        (("--classes", "tree"), "no class 'tree'"),
        (("--kinds", "odd"), "unknown kind 'odd'"),
        (("--label-space", "nowhere.toml"), "nowhere.toml"),
        (("--predictions", "also"), "give one of"),
    ],
)
def test_bad_options_get_one_sentence_and_status_2(toy, tmp_path, change, message):
    result = call(*options(toy[0], tmp_path / "r"), *change)
    assert result.exit_code == 2
    last = result.output.strip().splitlines()[-1]
    assert message in result.output
    assert last.startswith("dubio: ")
    assert "Traceback" not in result.output


def test_exit_status_1_on_request(toy, tmp_path):
    sure = call(*options(toy[0], tmp_path / "r", "--fail-over", "0", "--error-rate", "0.2"))
    assert sure.exit_code == 1, sure.output


def test_foreign_folders_are_refused(toy, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    result = call(*options(toy[0], tmp_path / "mine"))
    assert result.exit_code == 2
    assert (tmp_path / "mine/thesis.txt").read_text() == "precious"
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_camvid_scores_of_a_real_network(shared, tmp_path):
    """The 34 images with score files at a quarter of the labels' size."""
    out = tmp_path / "r"
    result = call(
        "audit", "--data", shared / "data/camvid", "--split", "val", "--scores",
        shared / "data/camvid/scores_espnet/val", "--out", out, "--copies", "2", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)["summary"]
    assert summary["images"] == 34
    assert summary["pixel_agreement"] == pytest.approx(0.927, abs=0.01)
    quality = summary["quality"]
    assert quality["ap"] > max(b["ap"] for b in quality["baselines"].values())
