"""Defects of the detection code that we follow, and that ours must not have: those without a test elsewhere.

Numbers are those of the list of known defects. The others are tested beside the code that avoids them, in
functions that are called ``test_defect_…`` unless a name is given here:

1, 2     ``models/det_torch/test_losses.py``
3        ``models/det_torch/test_assign.py``; its dead zone here
4, 5, 7  ``calibration/boxes/test_spread.py``; 4 for classes and 8 for their spread in ``test_parts.py``
6, 13    auto-labelling: not built
7        also ``jobs/test_validate_pairs.py``
8        what is chosen is what is applied: here
9        ``jobs/test_validate.py``
10       ``calibration/boxes/test_parts.py``
11       ``cli/test_calibrate_boxes.py``, ``jobs/test_validate.py``; parts are of whole images: here
12       ``regions/boxes/test_matching.py``, ``jobs/test_validate_pairs.py``
14, 19   ``jobs/test_validate_corruptions.py``
15       ``jobs/test_validate.py``
16       here
17       ``uncertainty/boxes/test_samples.py``, ``jobs/test_validate_pairs.py``
18       ``reliability/boxes/test_intervals.py``; one unit on both sides: here
20       ``data/boxes/test_box_formats.py``
21       ``jobs/test_validate.py``; the axes of a distribution: here
22       ``uncertainty/boxes/test_suppress.py``; one suppression for all commands: here
23       ``data/boxes/test_box_formats.py``, ``regions/boxes/test_matching.py``,
         ``uncertainty/boxes/test_oracle.py``; videos that stay whole: here

Of what crashed: names with "inf" and more than a hundred boxes in ``data/boxes/test_box_formats.py``, rare
and absent classes in ``calibration/boxes/test_parts.py``, overflow in ``uncertainty/boxes/test_decoding.py``,
folders of others in ``faults/test_detection_faults.py``; the rest here.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.calibration.boxes.bundle import load_detection_calibration
from dubio.calibration.boxes.crossfit import image_parts
from dubio.core.boxes import BoxDataset, BoxLabels
from dubio.core.records import Sample
from dubio.data.boxes import open_detections
from dubio.data.boxes.parquet import write_parquet
from dubio.data.boxes.table import space_of
from dubio.jobs.calibrate_boxes import BoxCalibrateOptions, calibrate_boxes
from dubio.jobs.validate import ValidateOptions, validate
from dubio.jobs.validate_pairs import PairingOptions
from dubio.jobs.validate_rows import validation_rows
from dubio.models.train.options import assign_folds
from dubio.reliability.boxes.intervals import coverage

from ..jobs.helpers import answer, run_cli
from ..jobs.validate_world import crowd_of, dataset, labels, seen, squares, squares_detector, tiny

PLAIN = ValidateOptions(min_score=0.0, cross_fit=False, replicates=0, pictures=0)


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    root = squares(tmp_path_factory.mktemp("yard"))
    squares_detector(root / "net.onnx")
    return root


def given_to(yard, *more):
    return (
        "--detector",
        yard / "net.onnx",
        "--images",
        yard / "images",
        "--boxes",
        yard / "labels.json",
        *more,
    )


def shuffled(records, seed):
    """The same boxes of each image in another order."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, record in records.items():
        order = rng.permutation(len(record))
        changed = {
            key: value[order]
            for key, value in vars(record).items()
            if isinstance(value, np.ndarray) and key != "ignore" and len(value) == len(record)
        }
        found[name] = replace(record, **changed)
    return found


def test_defect_3_no_spread_is_beyond_learning():
    """The published spread has no gradient below 0.01: a head that gets there stays."""
    torch = pytest.importorskip("torch")
    from dubio.models.det.torch.heads import soft_clamp

    raw = torch.tensor([-30.0, -12.0, -9.2, 0.0, 3.0, 12.0], requires_grad=True)
    low, high = -10.0, 4.0
    spread = soft_clamp(raw, low, high)
    assert bool((spread.exp() > 0).all())
    (slope,) = torch.autograd.grad(spread.sum(), raw)
    assert bool((slope > 0).all())
    assert bool((spread[1:] > spread[:-1]).all())


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_defect_8_the_chosen_calibration_is_what_predict_and_validate_apply(tmp_path, method):
    """Published: the chosen one is never found, and uncalibrated values go on under its name."""
    data, found = crowd_of(40)
    done = calibrate_boxes(
        data, found, tmp_path / "cal", BoxCalibrateOptions(classes=method, compare=False, replicates=0)
    )
    mine = load_detection_calibration(done.file)
    assert mine.classes is not None
    assert mine.classes.kind.startswith(method)
    for prediction in list(found.values())[:5]:
        got = mine.apply(prediction, (1000, 1000))
        assert np.abs(got.class_scores - prediction.class_scores).max() > 1e-3
        assert np.abs(got.box_aleatoric - prediction.box_aleatoric).max() > 1e-3
        # of each box its own, whatever the others are
        for k in (0, len(prediction) - 1):
            keep = {n: v[k : k + 1] for n, v in vars(prediction).items() if isinstance(v, np.ndarray)}
            alone = mine.apply(replace(prediction, **keep), (1000, 1000))
            np.testing.assert_allclose(alone.class_scores[0], got.class_scores[k], atol=1e-9)
            np.testing.assert_allclose(alone.box_aleatoric[0], got.box_aleatoric[k], rtol=1e-9)
    run = validate(data, found, tmp_path / "val", PLAIN, calibration=mine)
    table = pq.read_table(run.table)
    names = set(table.column_names)
    assert {"entropy", "cal_entropy", "score", "cal_score"} <= names
    raw, calibrated = (table.column(n).to_numpy() for n in ("entropy", "cal_entropy"))
    there = np.isfinite(raw) & np.isfinite(calibrated)
    assert there.any()
    assert np.abs(raw - calibrated)[there].max() > 1e-3


@given(st.integers(1, 60), st.integers(2, 7), st.integers(0, 99))
def test_defect_11_parts_are_of_whole_images_of_any_order(n, parts, seed):
    """Published: rows are cut at 80 % in the order of the file, in the middle of an image."""
    names = [f"im{k:03d}" for k in range(n)]
    one = dict(zip(names, image_parts(names, parts, seed).tolist(), strict=True))
    two = dict(zip(names[::-1], image_parts(names[::-1], parts, seed).tolist(), strict=True))
    assert one == two
    sizes = np.bincount(list(one.values()), minlength=parts)
    assert sizes.max() - sizes.min() <= 1
    if n >= 20:
        first = [one[name] for name in names[: n // 2]]
        assert len(set(first)) > 1, "not the first images alone"


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_defect_16_boxes_are_paired_by_place_not_by_slot(tmp_path_factory, seed):
    """The published confusion matrix holds the k-th detection against the k-th label."""
    data, found = crowd_of(4, seed=2)
    folder = tmp_path_factory.mktemp("slots")
    mixed = BoxDataset(data.name, data.space, data.samples, shuffled(dict(data.labels), seed))
    one, two = (
        validate(d, f, folder / name, PLAIN).summary
        for d, f, name in ((data, found, "one"), (mixed, shuffled(found, seed + 1), "two"))
    )
    assert one["counts"] == two["counts"]
    assert one["counts"]["wrong_class"] == 0
    assert one["average_precision"]["ap"] == pytest.approx(two["average_precision"]["ap"])
    assert [(c["name"], c["found"], c["false"]) for c in one["classes"]] == [
        (c["name"], c["found"], c["false"]) for c in two["classes"]
    ]


def test_defect_18_residuals_and_spreads_have_one_unit(tmp_path):
    """Published: spreads relative to the box are taken from residuals in pixels."""
    data, found = crowd_of(12)
    run = validate(data, found, tmp_path / "run", PLAIN)
    figures = run.summary["corners"]["figures"]["total"]["as it is"]
    rows = validation_rows(data, found, PairingOptions())
    off, sigma = rows.residual, rows["sigma"]
    there = np.isfinite(off)
    assert figures["urmse"] == pytest.approx(np.sqrt(((sigma - np.abs(off))[there] ** 2).mean()))
    assert figures["sharpness"] == pytest.approx(np.sqrt((sigma[there] ** 2).mean()))


@pytest.mark.parametrize(("factor", "side"), [(0.5, "below"), (2.0, "above")])
def test_defect_21_stated_shares_are_across_and_true_ones_up(factor, side):
    """The axes of the published distribution are swapped: too sure looks too careful."""
    rng = np.random.default_rng(0)
    stated = np.array([0.3, 0.5, 0.9])
    reached = coverage(rng.normal(size=20_000), np.full(20_000, factor), levels=stated)
    assert (reached < stated).all() if side == "below" else (reached > stated).all()


@pytest.mark.parametrize("how", ["--classwise", "--agnostic"])
def test_defect_22_what_is_judged_is_what_is_served(yard, tmp_path, how):
    """Published: average precision is of suppression per class, the served model suppresses across."""
    more = ("--nms", "linear", how)
    served = answer("predict", *given_to(yard, *more, "--score", 0.005), "--out", tmp_path / "seen")
    judged = answer(
        "validate", *given_to(yard, *more, "--nms-score", 0.005), "--replicates", 0, "--out", tmp_path / "val"
    )
    again = answer(
        "validate", "--boxes", yard / "labels.json", "--detections", tmp_path / "seen", "--replicates", 0,
        "--out", tmp_path / "again",
    )  # fmt: skip
    assert served["ap"] == pytest.approx(judged["average_precision"]["ap"])
    assert judged["counts"] == again["counts"]
    assert judged["average_precision"] == again["average_precision"]


@given(st.integers(2, 5), st.integers(0, 50))
def test_defect_23_frames_of_a_drive_stay_in_one_fold(folds, seed):
    """Published: neighbouring frames of a video are in both the training and the validation set."""
    frames = [Sample(f"{d}/{k:04d}", domain={"drive": str(d)}) for d in range(6) for k in range(20)]
    dealt = assign_folds(frames, folds, seed, group="drive")
    for drive in range(6):
        assert len({dealt[f"{drive}/{k:04d}"] for k in range(20)}) == 1


def test_defect_a_class_that_is_never_labelled_shifts_no_other(tmp_path):
    """Published: the number of classes is the largest label met, and names move up by one."""
    space = space_of("farm", ["cow", "hen", "pig"])
    boxes = np.array([[10.0, 10, 30, 30], [50, 50, 90, 90]])
    data = dataset({f"i{k}": labels(boxes, [1, 1]) for k in range(3)})
    data = BoxDataset("farm", space, data.samples, data.labels)
    found = {
        name: replace(seen(boxes, [0.9, 0.8], [1, 1], box_aleatoric=np.ones((2, 4))), n_classes=3)
        for name in data.labels
    }
    rows = validate(data, found, tmp_path / "run", PLAIN).summary["classes"]
    by_name = {c["name"]: c for c in rows}
    assert by_name["hen"]["found"] == 6
    for name in ("cow", "pig"):
        assert by_name.get(name, {"labels": 0})["labels"] == 0
        assert by_name.get(name, {"ap": None})["ap"] is None, "undefined, never 0"


def test_defect_one_class_and_no_scores_of_all_classes(tmp_path):
    """Published: without a softmax, or with one class, calibration ends in an error."""
    data, found = crowd_of(30)
    space = space_of("herd", ["cow"])
    one = {k: BoxLabels(v.boxes, np.zeros(len(v), np.int64)) for k, v in data.labels.items()}
    alike = {
        k: replace(p, classes=np.zeros(len(p), np.int64), n_classes=1, class_scores=None, kind=None)
        for k, p in found.items()
    }
    data = BoxDataset("herd", space, data.samples, one)
    done = calibrate_boxes(data, alike, tmp_path / "cal", BoxCalibrateOptions(compare=False, replicates=0))
    assert done.summary["corners"]["chosen"] != "none"
    assert done.summary["classes"]["chosen"] == "none"
    run = validate(data, alike, tmp_path / "val", PLAIN, calibration=load_detection_calibration(done.file))
    assert run.summary["counts"]["found"] > 100


def test_defect_a_class_in_one_image_only_stops_nothing(tmp_path):
    """Published: a class that the first 80 % of the rows lack ends the program."""
    data, found = crowd_of(30)
    last = sorted(data.labels)[-1]
    alone = {k: BoxLabels(v.boxes, np.full(len(v), int(k == last), np.int64)) for k, v in data.labels.items()}
    names = {k: replace(p, classes=np.full(len(p), int(k == last), np.int64)) for k, p in found.items()}
    data = BoxDataset("farm", data.space, data.samples, alone)
    options = BoxCalibrateOptions(
        spread="iso_perclscoo", classes="isotonic-per-class", confidence="isotonic-per-class", compare=False,
        replicates=0,
    )  # fmt: skip
    done = calibrate_boxes(data, names, tmp_path / "cal", options)
    assert done.summary["corners"]["chosen"] == "iso_perclscoo"
    applied = load_detection_calibration(done.file).apply(names[last], (1000, 1000))
    assert np.isfinite(applied.class_scores).all()
    assert np.isfinite(applied.box_aleatoric).all()


def test_defect_what_is_undefined_is_no_zero(tmp_path):
    """Published: the figures of a class without false detections are written as 0, and averaged."""
    boxes = [[10, 10, 30, 30], [50, 50, 90, 90]]
    data = dataset({"a": labels(boxes, [0, 0]), "b": labels([], [])})
    found = {"a": seen(boxes, [0.9, 0.8], [0, 0], box_aleatoric=np.ones((2, 4)))}
    summary = validate(data, found, tmp_path / "run", PLAIN).summary
    assert summary["corners"]["figures"]["total"]["as it is"]["auroc_wrong"] is None
    assert summary["average_precision"]["ap50"] == pytest.approx(1.0), "the mean is over classes with labels"
    text = (tmp_path / "run/summary.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["counts"]["found"] == 2


def test_defect_pictures_keep_their_suffix(yard, tmp_path):
    """Published: every picture is called .jpg in the results."""
    done = run_cli("predict", *given_to(yard), "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    images = json.loads((tmp_path / "run/images.json").read_text())["images"]
    assert {i["file_name"].rsplit(".", 1)[-1] for i in images} == {"png"}


def test_defect_results_are_data_and_never_programs(yard, tmp_path):
    """Published: pickles that run what they hold, and texts of Python that a later numpy writes otherwise."""
    data, found = crowd_of(12)
    calibrate_boxes(data, found, tmp_path / "cal", BoxCalibrateOptions(compare=False, replicates=0))
    validate(data, found, tmp_path / "val", replace(PLAIN, cross_fit=True))
    assert run_cli("predict", *given_to(yard), "--out", tmp_path / "seen").exit_code == 0
    files = [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert {p.suffix for p in files} <= {".json", ".parquet", ".html", ".jpg", ".png", ".csv", ".npz"}
    for path in files:
        assert not path.read_bytes().startswith(b"\x80"), path
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)


def test_defect_the_same_seed_gives_the_same_files(tmp_path):
    """Published: nothing is seeded."""
    data, found = crowd_of(30)
    options = BoxCalibrateOptions(compare=False, replicates=20, seed=4)
    turned = dict(reversed(found.items()))
    for name, detections in (("one", found), ("two", turned)):
        calibrate_boxes(data, detections, tmp_path / name, options)
    one, two = ((tmp_path / name / "calibration.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_defect_an_image_without_boxes_and_detections_is_an_image(tmp_path):
    data, found = tiny()
    write_parquet(found, data.space, tmp_path / "boxes.parquet")
    again = open_detections(data, tmp_path / "boxes.parquet").predictions
    assert len(again["c"]) == 0
    assert validate(data, again, tmp_path / "run", PLAIN).summary["images"] == 3
