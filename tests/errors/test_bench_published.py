"""The published benchmark's files and counts (../shared/spec/0_label_errors.md, 1.8 and 5.D-F)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio import InputError, PlantOptions, open_folders, plant_dataset, score, write_mask
from dubio.errors.bench.adjusted import adjusted_ious
from dubio.errors.bench.lists import from_published
from dubio.errors.bench.published import (
    PublishedCurve,
    best_point,
    diff_mask,
    label_errors,
    proposals_png,
    published_auc,
    published_curve,
)
from dubio.errors.bench.published_files import (
    open_published,
    read_label_errors,
    read_proposals,
    write_published,
)

from ..toy import SPACE, scene
from .test_bench_scoring import finding


def oracle(shared, name):
    with np.load(shared / f"oracle/0_label_errors/{name}.npz", allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


def test_adjusted_iou_of_the_published_code(shared):
    data = oracle(shared, "oracle_adjusted_ious")
    for k in range(6):
        errors, proposals = adjusted_ious(data[f"e{k}"], data[f"p{k}"])
        # its arrays begin with the background, which is never counted
        np.testing.assert_array_equal(errors, data[f"iou_e{k}"][1:])
        np.testing.assert_array_equal(proposals, data[f"iou_p{k}"][1:])


def test_area_and_best_point_of_the_published_counts(shared):
    data = oracle(shared, "oracle_pipeline_np1")
    t, tp, fp, fn = data["curve_t_tp_fp_fn"].T
    counts = (v.astype(np.int64)[:, None] for v in (tp, fp, fn))
    curve = PublishedCurve(t, (0,), *counts)
    assert published_auc(curve) == pytest.approx(0.49121599, abs=1e-8)
    best = best_point(curve)
    assert best["f1"] == pytest.approx(0.649, abs=5e-4)
    assert (best["threshold"], best["tp"], best["fp"], best["fn"]) == (0.8, 37, 13, 27)


def slow_adjusted(one, two):
    """The definition, with sets of pixels."""
    from scipy import ndimage

    ours, n = ndimage.label(one, np.ones((3, 3)))
    theirs, _ = ndimage.label(two, np.ones((3, 3)))
    out = []
    for k in range(1, n + 1):
        met = np.isin(theirs, np.unique(theirs[(ours == k) & (theirs > 0)]))
        out.append(((ours == k) & met).sum() / ((ours == k).sum() + (met & (ours == 0)).sum()))
    return np.array(out)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6), st.floats(0.0, 0.6))
def test_adjusted_iou_follows_its_definition(seed, some, others):
    rng = np.random.default_rng(seed)
    one, two = rng.random((9, 11)) < some, rng.random((9, 11)) < others
    errors, proposals = adjusted_ious(one, two)
    np.testing.assert_allclose(errors, slow_adjusted(one, two))
    np.testing.assert_allclose(proposals, slow_adjusted(two, one))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_counts_follow_their_definition(seed):
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random((12, 14)) < 0.3, rng.integers(0, 3, (12, 14)), -1).astype(np.int32)
    red = np.where(rng.random((12, 14)) < 0.5, rng.integers(0, 256, (12, 14)), 0)
    green = rng.integers(0, 3, (12, 14)).astype(np.int32)
    curve = published_curve([wrong], [(red / 255, green)], [0, 2], workers=1)
    for i, t in enumerate(np.linspace(0, 1, 21)):
        for k, c in enumerate((0, 2)):
            errors, proposals = adjusted_ious(wrong == c, (red > 255 * t) & (green == c))
            found = (errors >= 0.25).sum()
            expected = (found, (proposals < 0.25).sum(), len(errors) - found)
            assert (curve.tp[i, k], curve.fp[i, k], curve.fn[i, k]) == expected


def test_counts_add_up_over_images_whatever_the_workers():
    rng = np.random.default_rng(3)
    maps = [np.where(rng.random((20, 20)) < 0.2, 1, -1).astype(np.int32) for _ in range(6)]
    seen = [(rng.random((20, 20)), np.ones((20, 20), np.int32)) for _ in range(6)]
    one = published_curve(maps, seen, [1], workers=1)
    two = published_curve(maps, seen, [1], workers=3)
    parts = [published_curve([m], [s], [1]) for m, s in zip(maps, seen, strict=True)]
    np.testing.assert_array_equal(one.pooled, two.pooled)
    np.testing.assert_array_equal(one.pooled, sum(p.pooled for p in parts))
    with pytest.raises(InputError, match="go together"):
        published_curve(maps, seen[:5], [1])
    with pytest.raises(InputError, match="shapes"):
        published_curve(maps[:1], [(np.zeros((2, 2)), np.zeros((2, 2), np.int32))], [1])


def test_small_segments_are_dropped_before_classes_are_told_apart():
    clean = np.array([[1, 2, 0, 1, 0, 0]], np.uint8)
    given_label = np.array([[0, 0, 0, 0, 0, 2]], np.uint8)
    diff = diff_mask(clean, given_label)
    assert diff.dtype == np.uint8
    assert diff.tolist() == [[1, 1, 0, 1, 0, 1]]
    assert label_errors(diff, clean, 2).tolist() == [[1, 2, -1, -1, -1, -1]]
    # class id 0 may be an error, too
    assert label_errors(diff, clean, 1).tolist() == [[1, 2, -1, 1, -1, 0]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_red_is_the_score_cut_to_8_bits(scores):
    numbers = np.arange(1, len(scores) + 1)[None] * np.array([[1], [-1]])  # boundaries are negative
    ids = np.full(numbers.shape, 7)
    picture = proposals_png(dict(enumerate(scores, start=1)), numbers, ids)
    assert picture[..., 0].tolist() == [[int(255 * p) for p in scores]] * 2
    assert (picture[..., 1] == 7).all()
    assert (picture[..., 2] == 0).all()


def test_small_blobs_of_red_are_erased_across_classes():
    numbers = np.array([[1, 2, 0, 3]])
    picture = proposals_png(np.array([0, 0.5, 0.5, 0.5]), numbers, np.array([[1, 2, 0, 3]]), min_size=2)
    assert picture[..., 0].tolist() == [[127, 127, 0, 0]]
    with pytest.raises(InputError, match="300"):
        proposals_png({}, numbers, np.full((1, 4), 300))
    with pytest.raises(InputError, match="score 2"):
        proposals_png({1: 2}, numbers, numbers)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    for i in range(3):
        write_mask(root / f"labels/a/im_{i}.png", scene(i), SPACE)
    data = open_folders(labels=root / "labels", space=SPACE)
    truth = plant_dataset(data, root / "t", PlantOptions(rate=0.5, min_size=30, kinds={"drop": 1}))
    found = []
    for k, error in enumerate(truth.errors):
        ys, xs = np.nonzero(truth.map(error.image_id) == error.number)
        cells = [(int(y), int(x), 1) for y, x in zip(ys, xs, strict=True)]
        found.append(
            finding(error.image_id, cells, 0.9 - 0.1 * k, k + 1, proposed=error.given, shape=scene(0).shape)
        )
    return root / "p", truth, found, write_published(root / "p", truth, found)


def test_files_have_the_published_names_and_read_back(written):
    out, truth, found, done = written
    assert done.images == 3
    for name in truth.image_ids:
        stem = name.replace("/", "-")
        numbers, clean = truth.map(name), truth.clean_label(name)
        np.testing.assert_array_equal(np.load(out / f"diffs/{stem}_diff_map.npy"), numbers > 0)
        errors = read_label_errors(out / f"label_errors/{stem}_label_errors.png")
        np.testing.assert_array_equal(errors, np.where(numbers > 0, clean.astype(int), -1))
        scores, classes = read_proposals(out / f"benchmark_proposals/{stem}_proposals.png")
        assert scores.max() <= 1
        for f in found:
            if f.image_id == name:
                assert (scores[f.mask()] == int(255 * f.probability) / 255).all()
                assert (classes[f.mask()] == f.proposed_index).all()


def test_old_results_score_by_both_rules(written):
    out, truth, _, _ = written
    folders = open_published(out / "benchmark_proposals", out / "label_errors")
    assert folders.names == tuple(n.replace("/", "-") for n in truth.image_ids)
    curve = published_curve(folders.errors(), folders.proposals(), [1, 2])
    found, known = from_published(folders, [1, 2])
    assert best_point(curve)["f1"] == 1
    assert len(found) == len(known.errors) > 0
    assert score(found, known, draws=0).ap.value == 1
    assert published_auc(curve) < 1, "the anchor at (0, 0) takes area away even from a perfect list"


def test_errors_of_class_id_0_are_counted_as_lost(tmp_path):
    label = np.ones((20, 30), np.uint8)
    label[5:12, 5:15] = 0  # a hole of class 0, larger than a tenth of the image
    write_mask(tmp_path / "labels/x.png", label, SPACE)
    data = open_folders(labels=tmp_path / "labels", space=SPACE)
    options = PlantOptions(rate=1, kinds={"drop": 1}, min_size=10, max_share=0.5)
    truth = plant_dataset(data, tmp_path / "t", options)
    assert [e.given for e in truth.errors] == [0]
    done = write_published(tmp_path / "p", truth, [])
    assert done.lost == 70
    assert (read_label_errors(tmp_path / "p/label_errors/x_label_errors.png") == -1).all()
    scores, _ = read_proposals(tmp_path / "p/benchmark_proposals/x_proposals.png")
    assert scores.max() == 0


def test_predictions_fill_green_where_they_are_known(written, tmp_path):
    _, truth, found, _ = written
    name = truth.image_ids[0]
    seen = np.full(truth.shapes[name], 2, np.uint8)
    write_published(tmp_path / "p", truth, found, predicted=lambda n: seen if n == name else None)
    stem = name.replace("/", "-")
    scores, classes = read_proposals(tmp_path / f"p/benchmark_proposals/{stem}_proposals.png")
    assert (classes[scores == 0] == 2).all()


def test_files_that_do_not_pair_are_named(written, tmp_path):
    out, _, _, _ = written
    (tmp_path / "p").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        open_published(tmp_path / "p", out / "label_errors")
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "p/a-im_0_proposals.png")
    with pytest.raises(InputError, match="a-im_1"):
        open_published(tmp_path / "p", out / "label_errors")
    with pytest.raises(InputError, match="doesn't exist"):
        open_published(tmp_path / "nowhere", out / "label_errors")
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(InputError, match="no colours"):
        read_proposals(tmp_path / "grey.png")


def test_image_ids_that_meet_in_one_file_name_are_refused(written, tmp_path):
    _, truth, _, _ = written
    name = truth.image_ids[0]
    twin = type(truth)(truth.space, {**truth.shapes, name.replace("/", "-"): (4, 4)}, (), None, truth.folder)
    with pytest.raises(InputError, match="one file name"):
        write_published(tmp_path / "p", twin, [])
