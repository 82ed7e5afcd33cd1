"""Spoilt files of boxes and detections: one sentence, or a record set aside and gone on."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ..jobs.helpers import answer, complaint, run_cli
from .conftest import leftovers
from .detection import FILES, QUICK, labels_with, on, refused, spoilt, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("boxes"))


@pytest.mark.parametrize("fault", FILES)
def test_spoilt_files_are_named(world, tmp_path, fault):
    labels, seen, out = world / "labels.json", world / "seen", tmp_path / "run"
    bad = spoilt(labels, tmp_path / "labels.json", FILES[fault])
    assert str(bad) in refused(*on("validate", bad, seen, out))
    assert str(bad) in refused("benchmark", "plant", "--boxes", bad, "--out", out)
    for name, command in (("boxes.parquet", "calibrate"), ("detections.json", "audit")):
        bad = spoilt(seen / name, tmp_path / name, FILES[fault])
        assert str(bad) in refused(*on(command, labels, bad, out))
    bad = spoilt(world / "net.onnx", tmp_path / "net.onnx", FILES[fault])
    given = ("--detector", bad, "--boxes", labels, "--images", world / "images", "--out", out)
    for command in ("predict", "validate", "decodings"):
        assert str(bad) in refused(command, *given)
    assert not out.exists()
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("command", QUICK)
def test_what_is_of_another_kind_is_refused(world, tmp_path, command):
    """Labels given as detections counted as no detection at all, and so did any folder without text."""
    labels, seen = world / "labels.json", world / "seen"
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange/other.txt").write_text("0 0.5 0.5 1 1 0.9\n")
    for no_detections in (labels, world / "images", tmp_path / "empty", tmp_path / "strange", world / "none"):
        assert str(no_detections) in refused(*on(command, labels, no_detections, tmp_path / "run"))
    results = [seen / name for name in ("detections.json", "boxes.parquet")]
    for no_labels in (seen, *results, world / "images", world / "none"):
        assert str(no_labels) in refused(*on(command, no_labels, seen, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def _with(table, name, values):
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(values))


def _put(name, value):
    def change(table):
        at, field = table.schema.get_field_index(name), table.schema.field(name)
        values = [value, *table.column(name).to_pylist()[1:]]
        return table.set_column(at, pa.field(name, field.type), pa.array(values, field.type))

    return change


def _note(key, value):
    return lambda table: table.replace_schema_metadata({**table.schema.metadata, key: value})


TABLES = {
    "without scores": (lambda t: t.drop_columns(["score"]), "no column 'score'"),
    "without all classes": (lambda t: t.drop_columns(["class_scores"]), "no column 'class_scores'"),
    "text as scores": (lambda t: _with(t, "score", ["high"] * len(t)), "'score' is of another type"),
    "names as classes": (lambda t: _with(t, "class", ["cow"] * len(t)), "'class' is of another type"),
    "damaged space": (_note(b"dubio.space", b"{"), "damaged label space"),
    "no space": (_note(b"dubio.space", b"[1]"), "damaged label space"),
    "unknown kind": (_note(b"dubio.class_scores", b"magic"), "softmax, sigmoid or logits"),
    "a later format": (_note(b"dubio.format", b"9"), "format 1"),
    "of another program": (lambda t: t.replace_schema_metadata(None), "format 1"),
    "other images": (lambda t: _with(t, "image_id", ["elsewhere"] * len(t)), "no detection of any image"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_detections_that_mean_nothing(world, tmp_path, case):
    change, words = TABLES[case]
    path = tmp_path / "boxes.parquet"
    pq.write_table(change(pq.read_table(world / "seen/boxes.parquet")), path)
    sentence = refused(*on("calibrate", world / "labels.json", path, tmp_path / "run"))
    assert str(path) in sentence
    assert words in sentence


ROWS = {
    "class beyond the last": ("class", 99),
    "class below the first": ("class", -1),
    "no class": ("class", None),
    "no image": ("image_id", None),
    "corner not a number": ("x0", float("nan")),
    "infinite": ("x1", float("inf")),
    "wider than any picture": ("x1", 1e300),
    "turned over": ("x1", -5.0),
    "negative score": ("score", -0.5),
    "score above one": ("score", 1.5),
    "score not a number": ("score", float("nan")),
    "no score": ("score", None),
    "negative variance": ("al_x0", -1.0),
    "variance not a number": ("al_y1", float("nan")),
    "infinite variance": ("al_x1", float("inf")),
    "class scores not a number": ("class_scores", [float("nan")] * 2),
    "logits as probabilities": ("class_scores", [5.0, -6.0]),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_left_out_and_the_rest_goes_on(world, tmp_path, case):
    """A class of -1 was read as the last class, one of 99 ended in an error of an index."""
    name, value = ROWS[case]
    path = tmp_path / "boxes.parquet"
    table = pq.read_table(world / "seen/boxes.parquet")
    pq.write_table(_put(name, value)(table), path)
    found = run_cli(*on("validate", world / "labels.json", path, tmp_path / "run", "--json"))
    assert found.exit_code == 0, found.output
    counts = json.loads(found.stdout)["counts"]
    assert (counts["found"], counts["missed"], counts["false"]) == (17, 1, 0)
    assert f"{table.num_rows - 1} detections of 12 images" in found.stderr
    strict = run_cli(*on("validate", world / "labels.json", path, tmp_path / "strict", "--strict"))
    if case == "no image":  # no fault: the set may be a part
        assert "1 detections are of images" in found.stderr
        assert strict.exit_code == 0
        return
    assert "1 records are left out of boxes.parquet (first: detection 1 of '" in found.stderr
    assert strict.exit_code == 2
    assert "detection 1 of '" in strict.stderr
    assert str(path) in strict.stderr


def test_a_table_of_bad_rows_only_is_refused(world, tmp_path):
    path = tmp_path / "boxes.parquet"
    table = pq.read_table(world / "seen/boxes.parquet")
    pq.write_table(_with(table, "al_x0", [float("nan")] * len(table)), path)
    sentence = refused(*on("calibrate", world / "labels.json", path, tmp_path / "run"))
    assert "detections can be used (first: detection 1 of '" in sentence
    assert "box_aleatoric nan" in sentence


def test_bad_detections_of_coco_are_left_out_and_strict_stops(world, tmp_path):
    good = json.loads((world / "seen/detections.json").read_text())
    changes = (
        {"score": -1}, {"score": "x"}, {"score": float("nan")}, {"category_id": 99}, {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, -3, 3]}, {"bbox": [0, 0, 1e300, 1e300]}, {"bbox": None}, {"image_id": None},
    )  # fmt: skip
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps([{**good[0], **change}, *good[1:]]))
        out = tmp_path / f"run{number}"
        found = answer(*on("validate", world / "labels.json", path, out))
        assert (found["counts"]["found"], found["counts"]["missed"]) == (17, 1), change
        if "image_id" not in change:  # detections of other images are no fault: the set may be a part
            sentence = refused(*on("validate", world / "labels.json", path, out, "--strict"))
            assert str(path) in sentence
    for extra, words in (({"box_aleatoric": [1]}, "4 numbers"), ({"class_scores": ["a", "b"]}, "2 numbers")):
        path.write_text(json.dumps([{**d, **extra} for d in good]))
        assert words in refused(*on("validate", world / "labels.json", path, tmp_path / "extra"))
    path.write_text(json.dumps([None, 5, []]))
    assert "holds no detections" in refused(*on("audit", world / "labels.json", path, tmp_path / "none"))


def _first(**change):
    return lambda data: data["annotations"][0].update(change)


LABELS = {
    "no area": (_first(bbox=[1, 1, 0, 0]), 1),
    "turned over": (_first(bbox=[5, 5, -3, 4]), 0),
    "not a number": (_first(bbox=[float("nan"), 5, 3, 4]), 0),
    "infinite": (_first(bbox=[0, 0, float("inf"), 4]), 0),
    "wider than any picture": (_first(bbox=[0, 0, 1e15, 1e15]), 0),
    "wider than numbers go": (_first(bbox=[0, 0, 1e300, 1e300]), 0),
    "outside": (_first(bbox=[-500, -500, 5, 4]), 1),
    "unknown class": (_first(category_id=77), 0),
    "three numbers": (_first(bbox=[1, 2, 3]), 0),
    "id of another": (_first(id=2), 1),
}


@pytest.mark.parametrize("case", LABELS)
def test_odd_boxes_among_the_labels(world, tmp_path, case):
    """A box wider than any picture ended audit and plant in errors of pyarrow and of JSON."""
    change, kept = LABELS[case]
    path = labels_with(world, tmp_path / "labels.json", change)
    found = answer(*on("validate", path, world / "seen", tmp_path / "val"))
    assert sum(found["counts"][k] for k in ("found", "missed", "wrong_class")) == 17 + kept
    audited = run_cli(*on("audit", path, world / "seen", tmp_path / "aud"))
    assert audited.exit_code == 0, audited.output
    planted = run_cli("benchmark", "plant", "--boxes", path, "--out", tmp_path / "truth", "--rate", 0.5)
    assert planted.exit_code == 0, planted.output
    if not kept:
        assert "1 records are left out" in audited.stderr
        assert str(path) in refused(*on("audit", path, world / "seen", tmp_path / "strict", "--strict"))


def test_labels_that_leave_nothing(world, tmp_path):
    seen, out = world / "seen", tmp_path / "run"

    def nothing(data):
        data["annotations"] = []

    def other_names(data):
        data["categories"] = [{"id": 1, "name": "Kuh 牛"}, {"id": 2, "name": "ñandú"}]

    path = labels_with(world, tmp_path / "bare.json", nothing)
    assert "no labelled box" in refused(*on("validate", path, seen, out))
    assert "nothing could be calibrated" in refused(*on("calibrate", path, seen, out))
    planted = run_cli("benchmark", "plant", "--boxes", path, "--out", tmp_path / "truth")
    assert planted.exit_code == 0, planted.output
    assert "no error was planted" in planted.stderr
    path = labels_with(world, tmp_path / "other.json", other_names)
    for command in QUICK:
        sentence = refused(*on(command, path, seen, out))
        assert "cow, hen" in sentence
        assert "牛" in sentence
    path = labels_with(world, tmp_path / "none.json", lambda data: data.update(images=[]))
    assert "holds no images" in refused(*on("audit", path, seen, out))


def test_truth_and_lists_that_can_not_be_scored(world, tmp_path):
    truth = tmp_path / "truth"
    planted = run_cli("benchmark", "plant", "--boxes", world / "labels.json", "--out", truth, "--rate", 0.5)
    assert planted.exit_code == 0, planted.output
    good = tmp_path / "list.csv"
    good.write_text("image_id,x0,y0,x1,y1,kind,score\np01,0,0,8,8,missing,0.5\n")
    score = ("benchmark", "score", "--draws", 0)
    assert run_cli(*score, "--findings", good, "--truth", truth).exit_code == 0
    for name in ("errors.parquet", "truth.json"):
        for fault in ("truncated", "empty", "text", "dangling link"):
            other = shutil.copytree(truth, tmp_path / f"{fault} {name}")
            FILES[fault](other / name)
            assert str(other) in complaint(*score, "--findings", good, "--truth", other), (name, fault)
    for number, text in enumerate(
        (
            "", "image_id,x0\np01,1\n", "image_id,x0,y0,x1,y1,kind,score\np01,a,0,8,8,missing,0.5\n",
            "image_id,x0,y0,x1,y1,kind,score\np01,0,0,8,8,missing,nan\n",
            "image_id,x0,y0,x1,y1,kind,score\np01,0,0,8\n",
        )
    ):  # fmt: skip
        path = tmp_path / f"{number}.csv"
        path.write_text(text)
        assert str(path) in complaint(*score, "--findings", path, "--truth", truth)
    assert str(tmp_path / "no") in complaint(*score, "--findings", good, "--truth", tmp_path / "no")
    assert "no.csv" in complaint(*score, "--findings", tmp_path / "no.csv", "--truth", truth)
