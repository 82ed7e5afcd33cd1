"""``dubio validate`` and ``dubio decodings``: options, output, refusals."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from dubio.cli.main import main
from tests.jobs.validate_world import squares, squares_detector


def run(*args):
    result = CliRunner().invoke(main, [str(a) for a in args])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def yard(tmp_path):
    squares_detector(tmp_path / "net.onnx")
    return squares(tmp_path)


def found(yard):
    common = ("--images", yard / "images", "--boxes", yard / "labels.json")
    status, _, said = run("predict", "--detector", yard / "net.onnx", *common, "--out", yard / "seen")
    assert status == 0, said
    return yard / "seen"


def test_detections_of_a_run(yard):
    status, text, said = run(
        "validate", "--boxes", yard / "labels.json", "--detections", found(yard), "--out", yard / "run",
        "--min-score", 0.3, "--voc", "area", "--json",
    )  # fmt: skip
    assert status == 0, said
    data = json.loads(text)
    assert data["counts"] == {"found": 18, "wrong_class": 0, "missed": 0, "false": 0, "ignored": 0}
    assert data["voc"] == {"cow": 1.0, "hen": 1.0}
    assert data["average_precision"]["ap50"] == pytest.approx(1)
    assert data["run_time"] is None
    assert len(pq.read_table(data["table"])) == 18
    assert (yard / "run/validate.html").is_file()
    assert "nothing is calibrated: 18 matched boxes" in said


def test_detector_and_corruptions(yard):
    status, text, said = run(
        "validate", "--boxes", yard / "labels.json", "--images", yard / "images", "--detector",
        yard / "net.onnx", "--corrupt", "flip-h;br:9", "--corrupt", "scale:2", "--calibration", "none",
        "--out", yard / "run", "--pictures", 5,
    )  # fmt: skip
    assert status == 0, said
    for words in ("classes", "spread of corners", "spoilt pictures", "br:9", "validate.html"):
        assert words in text
    assert "coder 'delta'" in said
    assert "Finds 100 % of 18 boxes" in said
    assert json.loads((yard / "run/detections/run.json").read_text())["command"] == "predict --detector"
    assert len(list((yard / "run/pictures").iterdir())) == 5


def test_bad_pictures_are_left_out(yard):
    (yard / "images/p05.png").write_bytes(b"nothing")
    args = (
        "validate", "--boxes", yard / "labels.json", "--images", yard / "images", "--detector",
        yard / "net.onnx", "--out", yard / "run", "--json",
    )  # fmt: skip
    status, text, said = run(*args)
    assert status == 0, said
    data = json.loads(text)
    assert (data["images"], [name for name, _ in data["quarantine"]]) == (11, ["p05"])
    assert "1 image was left out" in said
    status, _, said = run(*args, "--strict")
    assert status == 2
    assert "p05.png" in said


def test_calibration_file(yard):
    truth, seen = yard / "labels.json", found(yard)
    status, text, said = run(
        "calibrate", "--boxes", truth, "--detections", seen, "--spread", "scale", "--no-compare",
        "--confidence-by", "isotonic", "--out", yard / "cal", "--json",
    )  # fmt: skip
    assert status == 0, said
    assert (yard / "cal/report.html").is_file()
    status, text, said = run(
        "validate", "--boxes", truth, "--detections", seen, "--calibration", json.loads(text)["calibration"],
        "--out", yard / "run", "--json",
    )  # fmt: skip
    assert status == 0, said
    assert "these very ones" in said
    assert json.loads(text)["calibrated_in_sample"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give either --detections or --detector"),
        (("--detections", "x", "--detector", "y"), "give either"),
        (("--detections", "x", "--corrupt", "fog:1"), "--corrupt goes with --detector"),
        (("--detections", "x", "--nms", "linear"), "--nms goes with --detector"),
        (("--detections", "missing"), "doesn't exist"),
        (("--detector", "net.onnx", "--corrupt", "elastic_transform:2"), "boxes can't follow"),
        (("--detections", "x", "--calibration", "missing.json"), "missing.json"),
    ],
)
def test_refusals(yard, args, words):
    status, _, said = run("validate", "--boxes", yard / "labels.json", "--out", yard / "run", *args)
    assert status == 2
    assert words in said
    assert not (yard / "run").exists()


def calibrated(yard):
    """The run folder of a calibration of the detector, whose classes are cows and hens with variances."""
    common = ("--boxes", yard / "labels.json", "--detections", found(yard))
    status, _, said = run("calibrate", *common, "--out", yard / "cal", "--no-compare", "--replicates", 0)
    assert status == 0, said
    return yard / "cal"


def test_run_folders_of_calibrations_are_taken(yard):
    folder = calibrated(yard)
    detector = ("--images", yard / "images", "--detector", yard / "net.onnx")
    for command, option in (("validate", "--calibration"), ("predict", "--calibrator")):
        texts = []
        for place in (folder, folder / "calibration.json"):
            out = yard / f"{command}-{place.name}"
            status, _, said = run(
                command, "--boxes", yard / "labels.json", *detector, option, place, "--out", out
            )
            assert status == 0, said
            name = "validation.parquet" if command == "validate" else "boxes.parquet"
            texts.append(pq.read_table(out / name))
        assert texts[0].equals(texts[1])
        status, _, said = run(
            command, "--boxes", yard / "labels.json", *detector, option, yard / "images", "--out", yard / "no"
        )
        assert (status, "holds no calibration.json" in said) == (2, True)
    assert not (yard / "no").exists()


def test_defect_pictures_were_blamed_for_a_calibration_that_does_not_fit(yard):
    folder = calibrated(yard)
    squares_detector(yard / "bare.onnx", coder="corners")  # states no variances
    for command, option in (("validate", "--calibration"), ("predict", "--calibrator")):
        common = ("--boxes", yard / "labels.json", "--images", yard / "images", option, folder)
        status, text, said = run(command, *common, "--detector", yard / "bare.onnx", "--out", yard / "run")
        sentence = [line for line in said.splitlines() if line.startswith("dubio:")]
        assert (status, text, len(sentence)) == (2, "", 1)
        assert "doesn't fit this detector" in sentence[0]
        assert "state no uncertainty of their corners" in sentence[0]
        assert not {"p00", "p05", "images are bad", "no image"} & set(sentence[0].split())
    file = folder / "calibration.json"
    file.write_text(file.read_text().replace('"cow"', '"goat"'))
    for command, option in (("validate", "--calibration"), ("predict", "--calibrator")):
        common = ("--boxes", yard / "labels.json", "--images", yard / "images", option, folder)
        status, _, said = run(command, *common, "--detector", yard / "net.onnx", "--out", yard / "run")
        assert status == 2
        assert "other classes (goat, hen) than the detections (cow, hen)" in " ".join(said.split())
    assert not (yard / "run").exists()


def test_no_boxes(yard):
    status, _, said = run("validate", "--detections", yard, "--out", yard / "run")
    assert status == 2
    assert "give --boxes" in said


def test_decodings(yard):
    args = ("--boxes", yard / "labels.json", "--images", yard / "images", "--out", yard / "dec")
    status, text, said = run("decodings", "--detector", yard / "net.onnx", *args, "--json")
    assert status == 0, said
    data = json.loads(text)
    assert [r["method"] for r in data["decodings"]] == ["exact", "l-norm", "n-flow", "sample", "falsedec"]
    assert data["decodings"][0]["boxes"] == 18
    status, text, _ = run("decodings", "--detector", yard / "net.onnx", *args, "--method", "exact")
    assert status == 0
    assert "decodings of 18 boxes in 12 images" in text
    status, _, said = run("decodings", *args)
    assert status == 2
    assert "no detector is given" in said


def test_help_says_that_boxes_are_audited_too():
    status, text, _ = run("--help")
    assert status == 0
    assert "masks or boxes" in " ".join(text.split())


def test_help_names_the_commands():
    status, text, _ = run("--help")
    assert status == 0
    assert "validate" in text
    assert "decodings" in text
