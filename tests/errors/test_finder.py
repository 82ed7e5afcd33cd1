"""The finder, from candidates to findings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import SegPrediction
from dubio.errors.candidates import default_min_size, find_candidates
from dubio.errors.choose import choose
from dubio.errors.examine import Lesson, examine, learn_rows
from dubio.errors.feature_names import FEATURES
from dubio.errors.features import feature_rows, label_side
from dubio.errors.finder import find, image_folds, representatives
from dubio.errors.findings import Finding, from_table, kind_of, to_table
from dubio.errors.kernels import inner_distance, square_opening
from dubio.errors.score import score_list
from dubio.errors.store import ImageWork, load_work, save_work
from dubio.errors.view import make_view
from dubio.errors.whole_image import measure_whole

from ..toy import SPACE, logits, picture, scene


def view_of(seed, *, image=True, scores=True):
    truth = scene(seed)
    if not scores:
        prediction = SegPrediction(3, label_map=logits(truth, seed).argmax(0).astype(np.uint8))
    else:
        prediction = SegPrediction(3, scores=logits(truth, seed), kind="logits")
    return truth, make_view(prediction, SPACE, picture(truth, seed) if image else None)


def work_of(seed, label=None, copies=4):
    truth, view = view_of(seed)
    label = truth if label is None else label
    name = f"im{seed:03d}"
    return ImageWork(
        name, truth.shape, examine(view, label, min_size=16),
        learn_rows(view, label, name, Lesson(copies=copies, rate=0.3), min_size=16),
        np.ones((3, 4), np.int64), np.ones(3), np.ones(3, np.int64), view.pred,
        measure_whole(view, label, name, min_size=16, seed=0, speck=16),
    )  # fmt: skip


def faulty(seed):
    """The largest box of the scene is not labelled."""
    from scipy import ndimage

    truth = scene(seed)
    ids, _ = ndimage.label(truth == 1)
    k = int(np.bincount(ids.ravel())[1:].argmax()) + 1
    return np.where(ids == k, 0, truth).astype(np.uint8), (ids == k).astype(np.int32)


def test_distance_is_nearly_euclidean():
    from scipy import ndimage

    ids = np.zeros((40, 50), np.int32)
    ids[5:35, 8:41] = 1
    exact = ndimage.distance_transform_edt(ids)
    np.testing.assert_allclose(inner_distance(ids)[ids > 0] / 3, exact[ids > 0], rtol=0.08)


def test_a_missing_object_is_a_candidate_and_the_rest_is_not():
    label, hole = faulty(2)
    _, view = view_of(2)
    view.pred[:] = scene(2)  # a perfect model
    view.pred[view.pred == 3] = 0
    families = find_candidates(view, label, min_size=16)
    disagreement = families[1]
    assert disagreement.n == 1
    np.testing.assert_array_equal(disagreement.ids > 0, hole > 0)
    assert (disagreement.given[1], disagreement.proposed[1]) == (0, 1)


@pytest.mark.parametrize(("image", "scores"), [(True, True), (False, True), (True, False), (False, False)])
def test_features_are_finite_or_absent(image, scores):
    label, _ = faulty(4)
    _, view = view_of(4, image=image, scores=scores)
    side = label_side(view, label)
    for family in find_candidates(view, label, min_size=16):
        x = feature_rows(view, side, family)
        assert x.shape == (family.n, len(FEATURES))
        absent = {FEATURES[i] for i in np.flatnonzero(np.isnan(x).any(0))}
        pictures = {"edge_gradient", "inner_gradient", "colour_contrast"}
        allowed = (set() if image else pictures) | {"colour_contrast"}
        if not scores:
            allowed |= {"entropy", "entropy_edge", "margin", "max_prob"}
        rings = {n for n in FEATURES if n.startswith("ring_")}
        relations = {n for n in FEATURES if n.startswith(("p_cover", "p_log", "p_agree", "p_given_in"))}
        assert absent <= allowed | rings | relations


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 500))
def test_pixels_boxes_and_sizes_agree(seed):
    label, _ = faulty(seed)
    _, view = view_of(seed)
    places = examine(view, label, min_size=16)
    width = label.shape[1]
    for i in range(len(places.size)):
        runs = places.runs[places.first[i] : places.first[i + 1]]
        flat = np.concatenate([np.arange(s, s + n) for s, n in runs])
        assert len(flat) == places.size[i]
        y, x = flat // width, flat % width
        assert places.box[i].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_missing_boxes_are_found_first():
    truth_maps, works = {}, []
    for seed in range(24):
        label, hole = faulty(seed) if seed % 2 == 0 else (None, None)
        works.append(work_of(seed, label))
        if hole is not None:
            truth_maps[works[-1].image_id] = hole
    found = find(works, folds=3)
    assert found.quality is not None
    assert found.quality.ap > 0.1 + max(b["ap"] for b in found.quality.baselines.values())
    findings = choose(works, found, SPACE)
    score = score_list(findings, truth_maps)
    assert score.recall >= 0.6
    assert all(f.kind == "missing" for f in findings[:5])
    assert findings[0].probability >= findings[-1].probability
    assert {f.probability <= 1 for f in findings} == {True}


def test_result_does_not_depend_on_order_or_workers():
    works = [work_of(seed, faulty(seed)[0]) for seed in range(12)]
    one = choose(works, find(works, folds=3, workers=1), SPACE)
    two = choose(works[::-1], find(works[::-1], folds=3, workers=3), SPACE)
    keys = [[(f.image_id, f.x0, f.y0, round(f.score, 6)) for f in listed] for listed in (one, two)]
    assert keys[0] == keys[1]


def test_too_little_to_learn_from_is_said_and_ranked_without():
    works = [work_of(seed, faulty(seed)[0], copies=0) for seed in range(2)]
    found = find(works)
    assert found.quality is None
    assert "too little to learn from" in found.note
    assert choose(works, found, SPACE)[0].kind == "missing"


def test_class_and_kind_selection():
    works = [work_of(seed, faulty(seed)[0]) for seed in range(12)]
    found = find(works, folds=3)
    walls = choose(works, found, SPACE, classes=[2])
    assert all(2 in (f.given_index, f.proposed_index) for f in walls)
    assert {f.kind for f in choose(works, found, SPACE, kinds=["outline"])} <= {"outline"}
    assert len(choose(works, found, SPACE, max_findings=3)) == 3


def test_folds_are_balanced_and_depend_on_names_only():
    names = [f"a{i}" for i in range(11)]
    folds = dict(zip(names, image_folds(names, 4, 1), strict=True))
    again = dict(zip(names[::-1], image_folds(names[::-1], 4, 1), strict=True))
    assert folds == again
    assert max(np.bincount(list(folds.values()))) - min(np.bincount(list(folds.values()))) <= 1


def test_representatives_are_the_best_of_each_group():
    assert representatives(np.array([1.0, 3.0, 2.0]), np.array([0, 0, 5])).tolist() == [1, 2]


def test_kinds_follow_from_the_relations():
    def features(**values):
        x = np.zeros(len(FEATURES))
        for name, value in values.items():
            x[FEATURES.index(name)] = value
        return x

    assert kind_of(features(source=1, p_cover=0.9, l_cover=0.01)) == "missing"
    assert kind_of(features(source=0, p_cover=0.9, l_cover=1)) == "wrong_class"
    assert kind_of(features(source=0, p_cover=0.02, l_cover=1)) == "spurious"
    assert kind_of(features(source=0, p_cover=0.9, l_cover=1, agree=0.7)) == "outline"
    assert kind_of(features(source=1, p_cover=0.2, l_cover=0.01)) == "outline"


def test_shards_and_tables_keep_everything(tmp_path):
    works = [work_of(1, copies=1), work_of(2, copies=1)]
    save_work(tmp_path / "s.npz", works, [])
    for old, new in zip(works, load_work(tmp_path / "s.npz", maps=True), strict=True):
        np.testing.assert_array_equal(old.places.x, new.places.x)
        np.testing.assert_array_equal(old.pred, new.pred)
        assert old.planting.planted == new.planting.planted
    findings = choose(works, find(works), SPACE, max_findings=4)
    back = from_table(to_table(findings, SPACE))
    assert [f.reason for f in back] == [f.reason for f in findings]
    np.testing.assert_array_equal(back[0].mask(), findings[0].mask())


def test_score_counts_an_error_once():
    runs = np.array([0, 4], np.int32)
    shared = {"kind": "missing", "given": "a", "proposed": "b", "given_index": 0, "proposed_index": 1}
    place = {"x0": 0, "y0": 0, "x1": 4, "y1": 1, "size": 4, "runs": runs, "height": 2, "width": 4}
    rest = {"probability": 0.5, "score": 0.5, "p_given": 0.1, "p_proposed": 0.9, "reason": ""}
    findings = [Finding(finding=i, image_id="x", **shared, **place, **rest) for i in (1, 2)]
    truth = np.array([[1, 1, 1, 0], [2, 2, 0, 0]], np.int32)
    score = score_list(findings, {"x": truth})
    assert score.hits == (1, 0)
    assert (score.n_errors, score.precision, score.recall) == (2, 0.5, 0.5)
    assert score.ap == pytest.approx(0.5)


def test_default_size_is_the_published_one_in_proportion():
    assert default_min_size((1024, 2048)) == 100
    assert default_min_size((10, 10)) == 16


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.integers(1, 14))
def test_opening_by_classes_is_that_of_each_class(seed, h, w):
    from scipy import ndimage

    classes = np.random.default_rng(seed).choice(4, (h, w), p=[0.6, 0.2, 0.1, 0.1]).astype(np.uint8)
    expected = np.full_like(classes, 3)
    for value in range(3):
        expected[ndimage.binary_opening(classes == value, np.ones((3, 3), bool))] = value
    np.testing.assert_array_equal(square_opening(classes, 3), expected)
