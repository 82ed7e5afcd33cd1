"""``dubio audit`` from end to end, as a user calls it."""

from __future__ import annotations

import json
import os
import shutil
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


def test_images_have_a_score_and_a_mirrored_label_comes_first(toy, run, tmp_path):
    table = pq.read_table(run[0] / "images.parquet").to_pylist()
    assert [r["image_id"] for r in table] == [
        r["image_id"] for r in sorted(table, key=lambda r: (-r["score"], r["image_id"]))
    ]
    assert sum(r["picture"] is not None for r in table) == 12
    assert all((run[0] / r["picture"]).is_file() for r in table if r["picture"])
    shutil.copytree(toy[0], tmp_path / "toy")
    path = sorted((tmp_path / "toy" / "labels").iterdir())[4]
    with Image.open(path) as label:
        mirrored = np.asarray(label)[:, ::-1]
    Image.fromarray(mirrored).save(path)
    result = call(*options(tmp_path / "toy", tmp_path / "run"))
    assert result.exit_code == 0, result.output
    first = pq.read_table(tmp_path / "run" / "images.parquet").to_pylist()[0]
    assert first["image_id"] == path.stem
    assert first["fault"] > 0.5
    assert "look wrong as a whole" in result.output
    assert "Whole images" in (tmp_path / "run" / "report.html").read_text()


def test_verdicts_teach_the_next_audit(toy, run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run[0], out)
    before = findings_of(out)
    judged = [
        {
            "finding": f.finding, "image_id": f.image_id, "x0": f.x0, "y0": f.y0, "x1": f.x1, "y1": f.y1,
            "kind": f.kind, "verdict": "rejected" if f.finding % 3 == 0 else "accepted",
            "time": "2026-01-31T12:00:00Z",
        }
        for f in before[:9]
    ]  # fmt: skip
    saved = tmp_path / "verdicts.json"
    saved.write_text(json.dumps({"format": 1, "run": "", "verdicts": judged}))
    assert call("import", out, saved).exit_code == 0
    again = call(*options(toy[0], tmp_path / "next", "--reviewed", out, "--json"))
    assert again.exit_code == 0, again.output
    after = {(f.image_id, f.x0, f.y0, f.x1, f.y1): f for f in findings_of(tmp_path / "next")}
    for f in before[:9]:
        now = after.get((f.image_id, f.x0, f.y0, f.x1, f.y1))
        if f.finding % 3 == 0:
            assert now is None
        else:
            assert now.verdict == "accepted"
    summary = json.loads((tmp_path / "next" / "summary.json").read_text())
    assert (summary["found_wrong"], summary["found_fine"]) == (6, 3)
    # in the same folder the verdicts stay, and are used only when asked for
    assert call(*options(toy[0], out)).exit_code == 0
    assert sum(f.verdict is not None for f in findings_of(out)) == 9
    # once more with them: what is no longer listed still counts
    for _ in range(2):
        assert call(*options(toy[0], out, "--reviewed", out)).exit_code == 0
        summary = json.loads((out / "summary.json").read_text())
        assert (summary["found_wrong"], summary["found_fine"]) == (6, 3)


def test_reviewed_needs_verdicts(toy, run, tmp_path):
    result = call(*options(toy[0], tmp_path / "next", "--reviewed", run[0]))
    assert result.exit_code == 2
    assert "dubio import" in result.output
    assert not (tmp_path / "next").exists()
