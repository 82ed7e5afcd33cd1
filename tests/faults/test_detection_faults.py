"""What a user gives the commands on boxes that nobody wished for: one sentence, or set aside and gone on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ..jobs.helpers import answer, complaint, run_cli
from ..jobs.validate_world import SIDE, squares, squares_detector
from . import makers
from .conftest import assert_plain, leftovers

QUICK = {
    "validate": ("--replicates", 0, "--pictures", 1),
    "calibrate": ("--replicates", 0, "--no-compare"),
    "audit": ("--folds", 2, "--copies", 1, "--max-findings", 3),
}
FILES = {
    **makers.COMMON,
    "pickle": makers.bare_pickle,
    "picture": lambda path: Image.new("L", (4, 4)).save(path, "PNG"),
    "dangling link": makers.dangling_link,
    "link to itself": makers.link_to_itself,
}
BAD = ("truncated", "header_only", "empty", "text", "huge_png")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twelve pictures of squares, their labels, a detector and what it finds: ``labels.json``, ``seen``."""
    root = squares(tmp_path_factory.mktemp("boxes"))
    squares_detector(root / "net.onnx")
    found = predict(root, root / "seen", "--boxes", root / "labels.json")
    assert found.exit_code == 0, found.stderr
    return root


def predict(root, out, *more, images="images", net="net.onnx"):
    return run_cli("predict", "--detector", root / net, "--images", root / images, *more, "--out", out)


def on(command, labels, seen, out, *more):
    """The arguments of a command on boxes, with quick options."""
    return (command, "--boxes", labels, "--detections", seen, *QUICK[command], *more, "--out", out)


def refused(*args):
    """The sentence of a refusal, which is plain."""
    sentence = complaint(*args)
    assert_plain(sentence)
    return sentence


def spoilt(path, place, fault):
    shutil.copy(path, place)
    fault(place)
    return place


def labels_with(world, place, change):
    """Write the labels, changed: ``change`` gets the data of the COCO file."""
    data = json.loads((world / "labels.json").read_text())
    change(data)
    place.write_text(json.dumps(data))
    return place


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
    "negative variance": (_put("al_x0", -1.0), "out of their range"),
    "variance not a number": (_put("al_y1", float("nan")), "aren't finite"),
    "scores not a number": (_put("class_scores", [float("nan")] * 2), "aren't finite"),
    "logits as probabilities": (_put("class_scores", [5.0, -6.0]), "from 0 to 1"),
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
    assert "1 records are left out" in found.stderr or "1 detections are of images" in found.stderr


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


@pytest.mark.parametrize("lead", ["../../", "/etc/"])
def test_file_names_that_lead_elsewhere(world, tmp_path, lead):
    def change(data):
        data["images"][3]["file_name"] = f"{lead}p03.png"

    path = labels_with(world, tmp_path / "labels.json", change)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    deep = tmp_path / "a/b/truth"
    done = run_cli("benchmark", "plant", "--boxes", path, "--write-as", "yolo", "--rate", 0.5, "--out", deep)
    assert done.exit_code in (0, 2), done.output
    assert "Traceback" not in done.output
    new = {p for p in tmp_path.rglob("*") if p.is_file()} - set(before)
    assert all(deep in p.parents for p in new)


def test_names_of_other_alphabets(world, tmp_path):
    """From the picture to the corrected labels' truth: names of files and classes keep their letters."""
    names = {"p01": "Tür 牛 ☃", "p02": "a;b&c 'd'", "p03": "inf.v2.final"}

    def change(data):
        data["categories"] = [{"id": 1, "name": "cow"}, {"id": 2, "name": "hen"}]
        for image in data["images"]:
            stem = image["file_name"].removesuffix(".png")
            image["file_name"] = f"{names.get(stem, stem)}.png"

    path = labels_with(world, tmp_path / "labels.json", change)
    shutil.copytree(world / "images", tmp_path / "images")
    for old, new in names.items():
        (tmp_path / f"images/{old}.png").rename(tmp_path / f"images/{new}.png")
    found = predict(tmp_path, tmp_path / "seen", "--boxes", path, net=world / "net.onnx")
    assert found.exit_code == 0, found.output
    seen = pq.read_table(tmp_path / "seen/boxes.parquet").column("image_id").to_pylist()
    assert set(names.values()) <= set(seen)
    for command in QUICK:
        result = run_cli(*on(command, path, tmp_path / "seen", tmp_path / command))
        assert result.exit_code == 0, result.output
    assert answer(*on("validate", path, tmp_path / "seen", tmp_path / "validate"))["counts"]["found"] == 18


@pytest.fixture
def album(world, tmp_path):
    """Pictures of every kind, one of them sound."""
    folder = tmp_path / "images"
    folder.mkdir()
    sound = Image.open(world / "images/p03.png")
    sound.save(folder / "sound.png")
    sound.convert("L").save(folder / "grey.png")
    sound.convert("CMYK").save(folder / "print.jpg")
    sound.convert("P").save(folder / "palette.png")
    sound.convert("1").save(folder / "bits.png")
    Image.fromarray(np.asarray(sound.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    sound.crop((0, 0, 1, 1)).save(folder / "dot.png")
    sound.crop((0, 0, SIDE, 1)).save(folder / "line.png")
    for name in BAD:
        spoilt(folder / "sound.png", folder / f"bad {name}.png", makers.IMAGES[name])
    return folder


def test_pictures_of_every_kind(world, album, tmp_path):
    found = predict(tmp_path, tmp_path / "run", "--json", net=world / "net.onnx")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    bad = {row["image_id"] for row in data["quarantined"]}
    assert bad == {f"bad {name}" for name in BAD}
    assert data["images"] == 8
    for row in data["quarantined"]:
        assert f"{row['image_id']}.png" in row["fault"]
    assert "Warning" not in found.stderr
    strict = predict(tmp_path, tmp_path / "strict", "--strict", net=world / "net.onnx")
    assert strict.exit_code == 2
    assert_plain(strict.stderr.strip().splitlines()[-1])


def test_spoilt_pictures_of_labelled_images(world, tmp_path):
    shutil.copytree(world / "images", tmp_path / "images")
    for name, fault in (("p01", makers.truncate), ("p02", makers.one_pixel), ("p03", makers.text)):
        fault(tmp_path / f"images/{name}.png")
    given = ("--boxes", world / "labels.json", "--images", tmp_path / "images")
    given += ("--detector", world / "net.onnx")
    found = answer("validate", *given, *QUICK["validate"], "--out", tmp_path / "val")
    assert [name for name, _ in found["quarantine"]] == ["p01", "p02", "p03"]
    assert found["images"] == 9
    compared = run_cli("decodings", *given, "--out", tmp_path / "dec")
    assert compared.exit_code == 0, compared.output
    assert "p01.png" in refused("validate", *given, "--strict", "--out", tmp_path / "strict")
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    for command in ("validate", "decodings"):
        refused(command, *given, "--out", tmp_path / f"{command} of none")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_networks_whose_outputs_are_no_numbers(world, tmp_path, value):
    """Boxes that are no boxes are never handed on."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(world / "net.onnx"))
    for tensor in model.graph.initializer:
        if tensor.name == "deltas_":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[0, ::2] = value
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "deltas_"))
    onnx.save(model, str(tmp_path / "net.onnx"))
    found = predict(tmp_path, tmp_path / "run", images=world / "images")
    assert found.exit_code in (0, 2), found.output
    assert "Traceback" not in found.output
    assert "Warning" not in found.stderr
    if found.exit_code == 0:
        table = pq.read_table(tmp_path / "run/boxes.parquet")
        boxes = np.stack([table.column(c).to_numpy() for c in ("x0", "y0", "x1", "y1")])
        assert np.isfinite(boxes).all()
        assert (boxes >= 0).all()
        assert (boxes <= SIDE).all()


def test_runs_of_another_command_and_other_folders_stay_untouched(world, tmp_path):
    labels, seen = world / "labels.json", world / "seen"
    val = tmp_path / "val"
    assert run_cli(*on("validate", labels, seen, val)).exit_code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    before = {p: p.read_bytes() for folder in (val, tmp_path / "mine", seen) for p in folder.rglob("*.*")}
    for command in QUICK:
        for place in (seen, tmp_path / "mine", labels, world / "net.onnx/run"):
            assert str(place) in refused(*on(command, labels, seen, place))
    for place in (val, tmp_path / "mine"):
        given = ("--detector", world / "net.onnx", "--images", world / "images", "--out", place)
        assert str(place) in refused("predict", *given)
        assert str(place) in refused("decodings", *given, "--boxes", labels)
        assert str(place) in refused("benchmark", "plant", "--boxes", labels, "--out", place)
    assert {p: p.read_bytes() for p in before} == before


def test_a_second_time_gives_the_same(world, tmp_path):
    for command in QUICK:
        args = on(command, world / "labels.json", world / "seen", tmp_path / command)
        first, again = answer(*args), answer(*args)
        for data in (first, again):
            data.pop("run_time", None)
        assert first == again, command


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


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("calibrate", ("--spread", "magic"), "no calibration of corners"),
        ("calibrate", ("--folds", 10**9), None),
        ("validate", ("--layout", "scribbles"), "no layout of boxes"),
        ("validate", ("--images", "nowhere"), "nowhere"),
        ("validate", ("--calibration", "nowhere.json"), "nowhere.json"),
        ("audit", ("--classes", "goat"), "goat"),
        ("audit", ("--kinds", "outline"), "unknown kind"),
        ("audit", ("--reviewed", "nowhere"), "nowhere"),
    ],
)
def test_options_that_mean_nothing(world, tmp_path, command, options, words):
    args = on(command, world / "labels.json", world / "seen", tmp_path / "run", *options)
    if words is None:  # more parts than images: as many as there are
        assert run_cli(*args).exit_code == 0
    else:
        assert words in refused(*args)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--backbone", "unheard"), "unheard"),
        (("--image-size", 60, 64), "multiples of 32"),
        (("--folds", 99), "99 folds"),
        (("--boxes", "nowhere.json"), "nowhere.json"),
        (("--boxes", "bare.json"), "bare.json"),
        (("--boxes", "cut.json"), "cut.json"),
    ],
)
def test_training_refuses_before_it_starts(world, tmp_path, monkeypatch, options, words):
    for name in ("torch", "lightning", "timm", "torchmetrics"):
        pytest.importorskip(name)
    labels_with(world, tmp_path / "bare.json", lambda data: data.update(annotations=[]))
    spoilt(world / "labels.json", tmp_path / "cut.json", makers.truncate)
    monkeypatch.chdir(tmp_path)
    given = ("train", "detector", "--boxes", world / "labels.json", "--images", world / "images")
    small = ("--preset", "tiny", "--accelerator", "cpu", "--epochs", 1, "--out", tmp_path / "run")
    assert words in refused(*given, *small, *options)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
