"""``dubio benchmark`` from end to end, as a user calls it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from dubio import read_truth, score
from dubio.cli.benchmark import parse_kinds
from dubio.cli.main import main
from dubio.errors.findings import from_table

from ..toy import write_toy


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def good(*args):
    result = call(*args)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    write_toy(root, 16, errors=False)
    return root


def plant_args(toy, out, *more):
    return (
        "benchmark", "plant", "--labels", toy / "labels", "--label-space", toy / "toy.toml", "--out", out,
        "--rate", "0.15", "--kinds", "drop=2,swap=1", *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted(toy):
    return toy / "truth", good(*plant_args(toy, toy / "truth", "--json"))


@pytest.fixture(scope="module")
def run(toy, planted):
    truth = planted[0]
    good(
        "audit", "--labels", truth / "labels", "--images", toy / "images", "--scores", toy / "scores",
        "--label-space", truth / "space.json", "--encoding", "ids", "--out", toy / "run", "--folds", "3",
        "--copies", "4",
    )  # fmt: skip
    return toy / "run"


def test_plant_writes_a_truth_and_says_what_to_do_next(toy, planted, tmp_path):
    truth, result = planted
    data = json.loads(result.stdout)
    known = read_truth(truth)
    assert data["errors"] == len(known.errors) > 5
    assert set(data["by_kind"]) == {"drop", "swap"}
    assert data["encoding"] == "ids"
    text = good(*plant_args(toy, tmp_path / "t")).output
    assert f"--labels {tmp_path / 't/labels'}" in text.replace("\n", "")
    assert "Planted errors" in text
    assert "truth.json" in text


def test_score_of_an_audit(run, planted, tmp_path):
    result = good("benchmark", "score", run, "--truth", planted[0], "--out", tmp_path / "s", "--json")
    data = json.loads(result.stdout)
    stored = json.loads((tmp_path / "s/score.json").read_text())
    assert {k: v for k, v in data.items() if k != "written"} == stored
    truth = read_truth(planted[0])
    found = from_table(pq.read_table(run / "findings.parquet"))
    assert stored == score(found, truth).to_dict()
    assert stored["ap"]["low"] <= stored["ap"]["value"] <= stored["ap"]["high"]
    assert stored["recall"]["value"] > 0.6, "an audit of clean scenes finds most boxes that were dropped"
    by_chance = len(truth.errors) / len(found) * stored["recall"]["value"]
    assert stored["ap"]["value"] > by_chance
    with (tmp_path / "s/curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["probability"]) for r in rows] == sorted({f.probability for f in found}, reverse=True)
    assert float(rows[-1]["recall"]) == pytest.approx(stored["recall"]["value"])
    assert json.loads((tmp_path / "s/run.json").read_text())["status"] == "done"


def test_tables_for_the_eye(run, planted):
    text = good("benchmark", "score", run, "--truth", planted[0], "--draws", "20").output
    for words in ("average precision", "findings to read", "By kind of error", "drop", "written: nothing"):
        assert words in text


def test_lists_from_elsewhere(run, planted, tmp_path):
    table = pq.read_table(run / "findings.parquet")
    short = tmp_path / "short.parquet"
    pq.write_table(table.select(["image_id", "probability", "runs", "height", "width"]), short)
    one = json.loads(good("benchmark", "score", run, "--truth", planted[0], "--json").stdout)
    two = json.loads(good("benchmark", "score", "--findings", short, "--truth", planted[0], "--json").stdout)
    assert one["ap"] == two["ap"]
    assert one["points"] == two["points"]
    bare = tmp_path / "bare.parquet"
    pq.write_table(table.select(["image_id", "probability"]), bare)
    result = call("benchmark", "score", "--findings", bare, "--truth", planted[0])
    assert result.exit_code == 2
    assert "has no column 'runs'" in result.output


def test_image_names_may_differ_by_what_all_share(run, planted, tmp_path):
    table = pq.read_table(run / "findings.parquet")
    names = [f"{name}_leftImg8bit" for name in table["image_id"].to_pylist()]
    other = table.set_column(table.column_names.index("image_id"), "image_id", [names])
    pq.write_table(other, tmp_path / "other.parquet")
    args = ("--truth", planted[0], "--json", "--draws", "0")
    one = json.loads(good("benchmark", "score", run, *args).stdout)
    two = good("benchmark", "score", "--findings", tmp_path / "other.parquet", *args)
    assert json.loads(two.stdout)["ap"] == one["ap"]
    assert "_leftImg8bit" in two.stderr


def test_images_that_were_not_audited_do_not_count(toy, planted, tmp_path):
    scores = tmp_path / "scores"
    scores.mkdir()
    for path in sorted((toy / "scores").glob("*.npy"))[:8]:
        (scores / path.name).write_bytes(path.read_bytes())
    truth = planted[0]
    good(
        "audit", "--labels", truth / "labels", "--scores", scores, "--label-space", truth / "space.json",
        "--out", tmp_path / "r", "--folds", "2", "--copies", "2",
    )  # fmt: skip
    args = ("benchmark", "score", tmp_path / "r", "--truth", truth, "--json", "--draws", "0")
    result = good(*args)
    data = json.loads(result.stdout)
    assert data["images"] == 8
    assert "8 of 16 images" in result.stderr
    every = json.loads(good(*args, "--all-images").stdout)
    assert every["images"] == 16
    assert every["errors"] == len(read_truth(truth).errors) > data["errors"]


def test_published_files_there_and_back(run, planted, tmp_path):
    out = tmp_path / "p"
    good("benchmark", "score", run, "--truth", planted[0], "--published-out", out)
    names = sorted(p.name for p in (out / "label_errors").iterdir())
    assert names == [f"{name}_label_errors.png" for name in sorted(read_truth(planted[0]).image_ids)]
    old = (
        "benchmark", "score", "--proposals", out / "benchmark_proposals", "--label-errors",
        out / "label_errors", "--class-ids", "1,2",
    )  # fmt: skip
    data = json.loads(good(*old, "--json", "--out", tmp_path / "s").stdout)
    assert data == json.loads((tmp_path / "s/score.json").read_text())
    assert data["images"] == 16
    published = data["published"]
    assert published["recall"] > 0.5
    assert published["f1"] == pytest.approx(
        2 * published["tp"] / (2 * published["tp"] + published["fp"] + published["fn"])
    )
    assert np.sum(list(published["tp_fp_fn_by_class"].values()), axis=0).tolist() == published["tp_fp_fn"]
    text = good(*old).output
    assert "by the published rule" in text
    assert "average precision" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("score", "{run}"), "no truth is given"),
        (("score", "--truth", "{truth}"), "give either the run folder"),
        (("score", "{truth}", "--truth", "{truth}"), "not of an audit"),
        (("score", "nowhere", "--truth", "{truth}"), "no run folder"),
        (("score", "{run}", "--truth", "{run}"), "no truth folder"),
        (("score", "--proposals", "{run}", "--class-ids", "1"), "old results need"),
        (("score", "--proposals", "a", "--label-errors", "b", "--class-ids", "car"), "no class ids"),
        (("score", "{run}", "--truth", "{truth}", "--out", "{run}"), "is a run of 'dubio audit'"),
        (("plant", "--out", "x"), "give either --labels or --data"),
        (("plant", "--labels", "{truth}/labels", "--out", "x", "--kinds", "drop=much"), "kind with a weight"),
        (("plant", "--labels", "{truth}/labels", "--out", "x", "--kinds", "melt"), "unknown kind"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(run, planted, args, message):
    result = call("benchmark", *[a.format(run=run, truth=planted[0]) for a in args])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.strip().splitlines()[-1].startswith("dubio: ")
    assert "Traceback" not in result.output


def test_findings_on_other_labels_are_refused(run, toy, planted, tmp_path):
    table = pq.read_table(run / "findings.parquet")
    table = table.set_column(table.column_names.index("height"), "height", [[9] * table.num_rows])
    pq.write_table(table, tmp_path / "f.parquet")
    result = call("benchmark", "score", "--findings", tmp_path / "f.parquet", "--truth", planted[0])
    assert result.exit_code == 2
    assert "in the truth it has 72 x 96" in result.output.replace("\n", " ")


def test_kinds_with_weights():
    assert parse_kinds("drop=3,swap") == {"drop": 3, "swap": 1}
    assert parse_kinds(None) is None
