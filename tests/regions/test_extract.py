"""The region table: definitions, invariances and the defects of the published code."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError, SegPrediction
from dubio.regions.extract import components, extract
from dubio.regions.schema import column, feature_matrix
from dubio.regions.schema import space_of as stored_space

from .helpers import blobs, brute_components, predict, softmax, space_of

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


def rows(found, source="prediction"):
    return found.table.filter(column(found.table, "source") == source)


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(1, 4), st.integers(0, 10_000))
def test_components_are_those_of_scipy(size, c, seed):
    seg = np.random.default_rng(seed).integers(0, c + 1, size).astype(np.uint8)
    ids, n = components(seg, c)
    np.testing.assert_array_equal(ids, brute_components(seg, c))
    assert n == ids.max(initial=0)


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(2, 6), st.integers(0, 10_000), st.sampled_from(["logits", "probabilities"]))
def test_definitions(size, c, seed, kind):
    scores = blobs(seed, c, *size)
    p = softmax(scores)
    if kind == "probabilities":
        scores = p.astype(np.float32)
    rng = np.random.default_rng(seed)
    label = rng.integers(0, c + 1, (size[0] // 4 + 1, size[1] // 4 + 1)).astype(np.uint8)
    label = np.kron(label, np.ones((4, 4), np.uint8))[: size[0], : size[1]]
    found = extract(predict(scores, kind), label, space=space_of(c))
    top = np.sort(p, 0)[::-1]
    entropy = -(p * np.log(p + 2.0**-23)).sum(0) / np.log(c)
    np.testing.assert_allclose(found.maps.entropy, entropy, atol=2e-6)
    np.testing.assert_allclose(found.maps.margin, 1 - top[0] + top[1], atol=1e-6)
    np.testing.assert_allclose(found.maps.max_prob, top[0], atol=1e-6)
    seg = np.where(label == c, c, p.argmax(0))
    table = rows(found)
    assert table.num_rows == found.prediction.n
    for k in range(1, found.prediction.n + 1):
        where = found.prediction.ids == k
        own = int(seg[where][0])
        i = k - 1
        assert column(table, "size")[i] == where.sum()
        assert column(table, "class")[i] == own
        assert column(table, "entropy")[i] == pytest.approx(entropy[where].mean(), abs=3e-6)
        assert column(table, "entropy_var")[i] == pytest.approx(entropy[where].var(), abs=3e-6)
        np.testing.assert_allclose(column(table, "cprob")[i], p[:, where].mean(1), atol=2e-6)
        assert column(table, "score")[i] == pytest.approx(p[own, where].mean(), abs=2e-6)
        agree = (label == own) & where
        assert bool(column(table, "iou0")[i]) == (not agree.any())
        met = np.isin(found.label.ids, np.unique(found.label.ids[agree])) & (found.label.ids > 0)
        assert column(table, "iou")[i] == pytest.approx(agree.sum() / max((where | met).sum(), 1))
        missed = met & (seg != own)
        assert column(table, "iou_adj")[i] == pytest.approx(agree.sum() / (where.sum() + missed.sum()))


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(1, 5), st.integers(0, 10_000))
def test_invariants(size, c, seed):
    label = np.random.default_rng(seed).integers(0, c + 1, size).astype(np.uint8)
    for void in ("exclude", "boundary", "segment"):
        found = extract(predict(blobs(seed, c, *size)), label, space=space_of(c), void=void)
        for source in ("prediction", "label"):
            t = rows(found, source)
            if t.num_rows == 0:
                continue
            get = lambda name, t=t: column(t, name)  # noqa: E731
            np.testing.assert_array_equal(get("size"), get("size_in") + get("size_bd"))
            np.testing.assert_allclose(get("cprob").sum(1), 1, atol=1e-5)
            shares = get("ndist").sum(1)
            assert np.all(np.isclose(shares, 1, atol=1e-5) | (shares == 0))
            np.testing.assert_allclose(get("overlap").sum(1), 1, atol=1e-5)
            assert np.all(get("iou") <= get("iou_adj") + 1e-12)
            assert np.all(get("iou_adj") <= 1)
            np.testing.assert_array_equal(get("iou0"), get("iou") == 0)
            for name in t.column_names:
                if "_var" in name and t.column(name).null_count == 0:
                    assert np.all(get(name) >= 0)


@settings(deadline=None, max_examples=25)
@given(sizes, st.integers(2, 5), st.integers(0, 10_000))
def test_mirrored_images_give_the_same_regions(size, c, seed):
    scores = blobs(seed, c, *size)
    plain = rows(extract(predict(scores), space=space_of(c)))
    turned = rows(extract(predict(scores[:, ::-1, ::-1]), space=space_of(c)))
    for name in ("size", "size_bd", "entropy", "margin_var", "score"):
        np.testing.assert_allclose(
            np.sort(column(plain, name)), np.sort(column(turned, name)), atol=2e-6, err_msg=name
        )
    np.testing.assert_allclose(
        np.sort(column(plain, "center_x")), np.sort(size[1] - 1 - column(turned, "center_x")), atol=1e-9
    )


def test_class_permutation_permutes_the_columns():
    scores, order = blobs(3, 4, 20, 30), np.array([2, 0, 3, 1])
    plain = rows(extract(predict(scores), space=space_of(4)))
    swapped = rows(extract(predict(scores[order]), space=space_of(4)))
    np.testing.assert_array_equal(order[column(swapped, "class")], column(plain, "class"))
    np.testing.assert_allclose(column(plain, "cprob")[:, order], column(swapped, "cprob"), atol=1e-6)
    np.testing.assert_allclose(column(plain, "ndist")[:, order], column(swapped, "ndist"), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_type_and_memory_layout(dtype):
    scores = blobs(5, 3, 37, 29).astype(dtype)
    reference = feature_matrix(extract(predict(scores.astype(np.float32)), space=space_of(3)).table)[0]
    views = (scores, np.asfortranarray(scores), scores.transpose(1, 2, 0).copy().transpose(2, 0, 1))
    for view in views:
        found = feature_matrix(extract(predict(view), space=space_of(3)).table)[0]
        np.testing.assert_allclose(found, reference, atol=1e-6)


def test_threads_do_not_change_the_result():
    scores = blobs(6, 5, 200, 150)
    alone = extract(predict(scores), space=space_of(5)).table
    got = [None] * 4

    def work(i):
        got[i] = extract(predict(scores), space=space_of(5)).table

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(t.equals(alone) for t in got)


def test_label_regions_tell_what_the_model_says_inside():
    label = np.zeros((10, 10), np.uint8)
    label[2:5, 2:5] = 1
    logits = np.zeros((2, 10, 10), np.float32)
    logits[0] = 3  # the model sees class 0 everywhere
    table = rows(extract(predict(logits), label, space=space_of(2)), "label")
    car = table.filter(column(table, "class") == 1)
    assert column(car, "size")[0] == 9
    assert column(car, "score")[0] == pytest.approx(1 / (1 + np.exp(3)), abs=1e-6)
    assert column(car, "overlap")[0].tolist() == [1, 0, 0]
    assert bool(column(car, "iou0")[0])


def test_label_map_alone_gives_geometry_and_ious():
    pred = np.array([[0, 0, 1], [0, 1, 1]], np.uint8)
    label = np.array([[0, 1, 1], [0, 1, 2]], np.uint8)
    found = extract(SegPrediction(2, label_map=pred, image_id="a"), label, space=space_of(2))
    table = rows(found)
    assert table.column("score").null_count == table.num_rows
    assert found.maps.entropy is None
    assert column(table, "size").tolist() == [3, 2]
    assert column(table, "iou").tolist() == pytest.approx([2 / 3, 2 / 3])


def test_a_channel_without_counterpart_predicts_nothing():
    scores = np.zeros((3, 4, 4), np.float32)
    scores[2, :2] = 5
    found = extract(predict(scores, n=2), space=space_of(2))
    assert (found.maps.pred[:2] == 2).all()
    assert (found.maps.pred[2:] == 0).all()
    assert found.prediction.n == 1


def test_table_carries_its_label_space():
    table = extract(predict(blobs(0, 3, 8, 8)), space=space_of(3)).table
    assert stored_space(table) == space_of(3)


def test_sizes_must_agree():
    with pytest.raises(InputError, match="prediction is 8x6, label 8x5"):
        extract(predict(blobs(0, 2, 6, 8)), np.zeros((5, 8), np.uint8), space=space_of(2))


class TestDefectsOfThePublishedCode:
    """Each of these crashes, freezes or corrupts the released tools."""

    def test_one_component_fills_the_image(self):
        table = extract(predict(np.zeros((3, 20, 30), np.float32)), space=space_of(3)).table
        assert column(table, "size_bd").tolist() == [0]
        assert column(table, "size_rel").tolist() == [600]

    def test_image_of_one_class_only(self):
        table = extract(predict(np.zeros((1, 5, 5), np.float32)), space=space_of(1)).table
        assert column(table, "entropy").tolist() == [0]

    def test_all_void_label_leaves_no_rows(self):
        found = extract(predict(blobs(0, 3, 9, 9)), np.full((9, 9), 3, np.uint8), space=space_of(3))
        assert found.table.num_rows == 0

    def test_single_rows_and_columns(self):
        for h, w in ((1, 17), (17, 1), (1, 1)):
            assert extract(predict(blobs(0, 3, h, w)), space=space_of(3)).table.num_rows >= 1

    def test_more_than_128_classes(self):
        scores = np.random.default_rng(0).normal(size=(150, 12, 12)).astype(np.float32)
        maps = extract(predict(scores), space=space_of(150)).maps
        top = np.sort(softmax(scores), 0)[::-1]
        np.testing.assert_allclose(maps.margin, 1 - top[0] + top[1], atol=1e-6)

    def test_more_than_255_classes(self):
        scores = np.random.default_rng(0).normal(size=(300, 6, 6)).astype(np.float32)
        found = extract(predict(scores), space=space_of(300))
        np.testing.assert_array_equal(found.maps.pred, scores.argmax(0))

    def test_more_components_than_an_int16_holds(self):
        h, w = 400, 400
        seg = (np.arange(h)[:, None] * 2 + np.arange(w)) % 5  # no equal neighbours
        scores = (np.arange(5)[:, None, None] == seg).astype(np.float32) * 9
        found = extract(predict(scores), seg.astype(np.uint8), space=space_of(5))
        assert found.prediction.n == h * w
        assert (column(found.table, "iou") == 1).all()

    def test_many_components_beside_one_missed_region(self):
        """The published union walk needs 88 s here; a growing cost per component would show as a hang."""
        seg = np.zeros((100, 100), np.uint8)
        seg[::2, ::2] = 1  # 2500 single pixels of class 1 in one region that the label calls 1
        scores = (np.arange(2)[:, None, None] == seg).astype(np.float32) * 9
        found = extract(predict(scores), np.ones((100, 100), np.uint8), space=space_of(2))
        dots = rows(found).filter(column(rows(found), "class") == 1)
        assert dots.num_rows == 2500
        np.testing.assert_allclose(column(dots, "iou_adj"), 1 / (1 + 7500))

    def test_void_is_neither_segment_nor_neighbour(self):
        scores = np.zeros((2, 6, 6), np.float32)
        scores[1, :, 3:] = 5
        label = np.zeros((6, 6), np.uint8)
        label[:, 3:] = 2  # the model's class 1 lies in void only
        table = rows(extract(predict(scores), label, space=space_of(2)))
        assert column(table, "class").tolist() == [0]
        assert column(table, "size_bd").tolist() == [0]
        assert column(table, "void_contact").tolist() == [1]

    def test_variance_keeps_its_digits(self):
        """E[z²] - E[z]² in single precision makes 2e-4 of a variance of 1e-6."""
        rng = np.random.default_rng(0)
        p = np.float32(0.7) + rng.normal(0, 1e-3, (600, 600)).astype(np.float32)
        scores = np.stack([p, 1 - p])
        table = extract(predict(scores, "probabilities"), space=space_of(2)).table
        assert column(table, "variation_var")[0] == pytest.approx(p.astype(float).var(), rel=1e-3)

    def test_labels_as_wide_as_memory_allows(self):
        """Coordinates beyond 65535 overflow there."""
        scores = np.zeros((2, 2, 70_000), np.float32)
        scores[1, :, 69_990:] = 4
        table = extract(predict(scores), space=space_of(2)).table
        assert column(table, "x1").max() == 70_000
        assert column(table, "center_x").max() == pytest.approx(69_994.5)
