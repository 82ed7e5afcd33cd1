"""Planted errors in boxes, their truth, and the score of lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.data.boxes import open_boxes
from dubio.data.boxes.table import space_of
from dubio.errors.bench.box_planting import BoxPlantOptions, is_truth, plant_box_dataset, plant_box_errors
from dubio.errors.bench.box_scoring import read_box_list, score_boxes
from dubio.errors.bench.box_truth import read_box_truth
from dubio.errors.boxes.draws import between, choose, image_keys, row_keys, uniform
from dubio.errors.boxes.kernels import neighbour
from dubio.errors.boxes.plan import CALLED, KINDS
from dubio.errors.findings import BOX_KINDS, Finding
from dubio.regions.boxes.iou import paired_iou

from .toy import toy

ALL = dict.fromkeys(KINDS, 1.0)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([*KINDS, None]))
def test_truth_says_what_was_done(seed, kind):
    data, _ = toy(8, 8, seed=seed % 5)
    kinds = ALL if kind is None else {kind: 1.0}
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=0.3, seed=seed, kinds=kinds))
    if kind is not None:
        assert {e.kind for e in truth.errors} <= {kind}
    for e in truth.errors:
        before, after = data.labels[e.image_id], faulty.labels[e.image_id]
        if e.given_box is not None:
            np.testing.assert_allclose(after.boxes[e.label], e.given_box)
            assert after.classes[e.label] == e.planted
        else:
            assert (e.kind, e.label, e.planted) == ("drop", -1, -1)
        if e.true_box is not None:
            assert (np.abs(before.boxes - np.array(e.true_box)).max(1) < 1e-9).any()
            assert e.given in before.classes
        if e.kind == "swap":
            assert e.given != e.planted
            assert e.true_box == e.given_box
        if e.kind == "location":
            overlap = paired_iou(np.array([e.true_box]), np.array([e.given_box]))[0]
            assert 0.2 <= overlap <= 0.85
        assert e.called == CALLED[e.kind]


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_what_is_no_error_stays(seed):
    data, _ = toy(6, 6)
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=0.2, seed=seed, kinds=ALL))
    for name, before in data.labels.items():
        after, mine = faulty.labels[name], [e for e in truth.errors if e.image_id == name]
        touched = {e.label for e in mine}
        rest = [k for k in range(len(after)) if k not in touched]
        gone = {e.true_box for e in mine if e.true_box} | {e.other_box for e in mine if e.other_box}
        kept = [tuple(b) for b in before.boxes.tolist() if tuple(b) not in gone]
        # the second half of a split box is told by its first
        halves = sum(e.kind == "split" for e in mine)
        assert len(rest) - halves <= len(kept) <= len(rest)
        assert set(kept) <= {tuple(b) for b in after.boxes.tolist()}


def test_the_order_of_images_does_not_matter():
    data, _ = toy(10, 6)
    _, one = plant_box_errors(data, BoxPlantOptions(rate=0.2, seed=3, kinds=ALL))
    _, two = plant_box_errors(
        replace(data, samples=data.samples[::-1]), BoxPlantOptions(rate=0.2, seed=3, kinds=ALL)
    )
    assert one.errors == two.errors
    _, other = plant_box_errors(data, BoxPlantOptions(rate=0.2, seed=4, kinds=ALL))
    assert one.errors != other.errors


def test_the_rate_is_kept_and_bursts_empty_images():
    data, _ = toy(100, 10)
    _, truth = plant_box_errors(data, BoxPlantOptions(rate=0.1, seed=1))
    assert 70 <= len(truth.errors) <= 130
    assert set(Counter(e.called for e in truth.errors)) == set(BOX_KINDS)
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=0.0, burst=0.3, seed=1))
    lost = Counter(e.image_id for e in truth.errors)
    assert 15 <= len(lost) <= 45
    assert all(len(data.labels[k]) - len(faulty.labels[k]) == n for k, n in lost.items())
    assert max(lost.values()) >= 5


def test_attributes_stay_with_their_boxes():
    data, _ = toy(12, 6)
    labels = {
        k: replace(
            v, ids=np.array([f"{k}-{i}" for i in range(len(v))]), difficult=np.arange(len(v)) % 2 == 0,
            occlusion=np.arange(len(v)) / 10, crowd=np.arange(len(v)) == 3,
        )
        for k, v in data.labels.items()
    }  # fmt: skip
    faulty, truth = plant_box_errors(
        replace(data, labels=labels), BoxPlantOptions(rate=0.3, seed=2, kinds=ALL)
    )
    assert truth.errors
    for name, after in faulty.labels.items():
        before = labels[name]
        assert after.crowd.sum() == before.crowd.sum()
        for k, box_id in enumerate(after.ids):
            if box_id.startswith("planted"):
                assert not after.difficult[k]
                continue
            j = int(box_id.rsplit("-", 1)[1])
            assert after.difficult[k] == before.difficult[j]
            if not np.isnan(after.occlusion[k]):
                assert after.occlusion[k] == before.occlusion[j]
        assert len(set(after.ids)) == len(after.ids)


def test_bad_options_are_refused():
    data, _ = toy(2, 2)
    with pytest.raises(InputError, match="unknown kind of error 'nonsense'"):
        plant_box_errors(data, BoxPlantOptions(kinds={"nonsense": 1}))
    with pytest.raises(InputError, match="must be positive"):
        plant_box_errors(data, BoxPlantOptions(kinds={"drop": 0}))
    with pytest.raises(InputError, match="not between 0 and 1"):
        plant_box_errors(data, BoxPlantOptions(rate=1.5))
    with pytest.raises(InputError, match="stricken"):
        plant_box_errors(data, BoxPlantOptions(burst=2))


@pytest.mark.parametrize("layout", ["coco", "yolo", "voc"])
def test_a_truth_folder_is_read_back(tmp_path, layout):
    data, _ = toy(6, 5)
    options = BoxPlantOptions(rate=0.3, seed=1, kinds=ALL, layout=layout)
    truth = plant_box_dataset(data, tmp_path / "t", options)
    back = read_box_truth(tmp_path / "t")
    assert is_truth(tmp_path / "t")
    assert back.errors == truth.errors
    assert back.shapes == truth.shapes
    assert back.counts() == truth.counts()
    assert back.layout == layout
    if layout == "coco":
        again = open_boxes(back.labels)
        faulty, _ = plant_box_errors(data, options)
        for name in truth.image_ids:
            np.testing.assert_allclose(again.labels[name].boxes, faulty.labels[name].boxes, atol=1e-6)
    with pytest.raises(InputError, match="not empty"):
        plant_box_dataset(data, tmp_path / "t")
    with pytest.raises(InputError, match="no truth folder"):
        read_box_truth(tmp_path)


def perfect(truth):
    """A list that names every error, and nothing else."""
    found = []
    for n, e in enumerate(truth.errors, start=1):
        x0, y0, x1, y1 = e.given_box or e.true_box
        kind = e.called
        found.append(
            Finding(
                n, e.image_id, kind, "", "", e.planted, e.given, 1 - n / 1000, 0.5, int(x0), int(y0),
                int(x1) + 1, int(y1) + 1, 1, np.zeros(0, np.int32), 0, 0, 0.0, 0.0, "", given_box=e.given_box,
                proposed_box=e.true_box, label=e.label, kinds={kind: 1 - n / 1000},
            )
        )  # fmt: skip
    return found


def test_a_perfect_list_scores_one_and_an_empty_one_zero():
    data, _ = toy(20, 8)
    _, truth = plant_box_errors(data, BoxPlantOptions(rate=0.15, seed=1))
    score = score_boxes(perfect(truth), truth, draws=50)
    assert score.ap.value == pytest.approx(1)
    assert score.recall.value == 1
    assert all(k.ap.value == pytest.approx(1) for k in score.kinds)
    assert {k.kind for k in score.kinds} == set(BOX_KINDS)
    empty = score_boxes([], truth, draws=0)
    assert empty.ap.value == 0
    assert all(k.ap.value == 0 for k in empty.kinds)


def test_an_error_counts_once_and_other_kinds_do_not_spoil_a_list():
    data, _ = toy(20, 8)
    _, truth = plant_box_errors(data, BoxPlantOptions(rate=0.15, seed=1))
    good = perfect(truth)
    twice = [replace(f, probability=f.probability / 2, kinds={f.kind: f.probability / 2}) for f in good]
    score = score_boxes([*good, *twice], truth, draws=0)
    assert (score.hits >= 0).sum() == len(truth.errors)
    assert score.ap.value == pytest.approx(1)
    swapped = [replace(f, kinds={k: f.probability for k in BOX_KINDS}) for f in good]
    assert all(k.ap.value == pytest.approx(1) for k in score_boxes(swapped, truth, draws=0).kinds)


def test_another_label_is_not_the_faulty_one():
    data, _ = toy(20, 8)
    _, truth = plant_box_errors(data, BoxPlantOptions(rate=0.1, seed=1, kinds={"swap": 1}))
    wrong = [replace(f, label=f.label + 1) for f in perfect(truth)]
    assert score_boxes(wrong, truth, draws=0).ap.value == 0


def test_lists_of_other_tools(tmp_path):
    data, _ = toy(20, 8)
    _, truth = plant_box_errors(data, BoxPlantOptions(rate=0.1, seed=1))
    corners = ("x0", "y0", "x1", "y1")
    rows = []
    for e in truth.errors:
        box = dict(zip(corners, e.given_box or e.true_box, strict=True))
        rows.append({"image_id": e.image_id, **box, "score": 0.5, "kind": e.called})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    lines = ["image_id,x0,y0,x1,y1,score"] + [",".join(str(v) for v in list(r.values())[:6]) for r in rows]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    told, untold = read_box_list(tmp_path / "a.parquet"), read_box_list(tmp_path / "a.csv")
    assert [f.kind for f in told] == [e.called for e in truth.errors]
    assert score_boxes(told, truth, draws=0).recall.value == 1
    assert score_boxes(untold, truth, draws=0).recall.value == 1
    (tmp_path / "b.csv").write_text("image_id,x0,y0,x1,score\na,1,2,3,0.5\n")
    with pytest.raises(InputError, match="no column 'y1'"):
        read_box_list(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("image_id,x0,y0,x1,y1,score\na,1,2,3,4,7\n")
    with pytest.raises(InputError, match="outside 0 … 1"):
        read_box_list(tmp_path / "c.csv")
    with pytest.raises(InputError, match="none of the images"):
        score_boxes([replace(told[0], image_id="elsewhere")], truth)


def test_draws_belong_to_names():
    keys = row_keys(image_keys(1, ["a"] * 4000 + ["b"] * 4000, "x"), np.tile(np.arange(4000), 2))
    u = uniform(keys, 0)
    assert len(np.unique(u)) == 8000
    assert abs(u.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(u, uniform(keys, 1))[0, 1]) < 0.05
    np.testing.assert_array_equal(u[:3], uniform(keys[:3], 0))
    assert ((between(keys, 2, 3, 4) >= 3) & (between(keys, 2, 3, 4) <= 4)).all()
    assert abs((choose(keys, 3, (3, 1)) == 0).mean() - 0.75) < 0.02


def test_neighbours_are_of_one_class_and_near():
    box = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [60, 60, 70, 70], [0, 10, 10, 20]])
    start = np.array([0, 4])
    rows, free = np.array([0]), np.zeros(4, bool)
    assert neighbour(box, np.array([0, 0, 0, 1]), start, rows, free).tolist() == [1]
    assert neighbour(box, np.array([0, 1, 0, 0]), start, rows, free).tolist() == [3]
    assert neighbour(box, np.array([0, 1, 0, 1]), start, rows, free).tolist() == [-1]


def test_images_without_boxes_get_invented_ones():
    data, _ = toy(30, 4)
    labels = {k: BoxLabels() if i % 2 else v for i, (k, v) in enumerate(data.labels.items())}
    _, truth = plant_box_errors(
        replace(data, labels=labels), BoxPlantOptions(rate=0.5, kinds={"spurious": 1})
    )
    assert any(not len(labels[e.image_id]) for e in truth.errors)


def test_areas_of_outlines_go_with_boxes_that_stay_as_they_are():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (40, 2))
    labels = BoxLabels(np.concatenate([low, low + 20], 1), np.zeros(40, int), area=np.full(40, 300.0))
    data = BoxDataset("d", space_of("d", ["a"]), (BoxSample("i", width=100, height=100),), {"i": labels})
    options = BoxPlantOptions(rate=0.5, seed=3, kinds={"location": 1, "spurious": 1, "duplicate": 1})
    faulty, truth = plant_box_errors(data, options)
    found = faulty.labels["i"]
    assert len(truth.errors) > 5
    old = {tuple(b) for b in labels.boxes}
    same = np.array([tuple(b) in old for b in found.boxes])
    assert np.isnan(found.area[~same]).all()
    assert (found.area[same] == 300).sum() >= same.sum() - sum(e.kind == "duplicate" for e in truth.errors)
