"""Scores that learn what is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone

from dubio.core.errors import InputError
from dubio.reliability.ood import KNNScore, MahalanobisScore, StandardizedMaxLogit, image_ood, image_ranking


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 300)
    centres = rng.normal(size=(3, 6)) * 5
    known = centres[classes] + rng.normal(size=(300, 6)) * [1, 1, 1, 3, 1, 0.2]
    return known, classes, rng.normal(size=(50, 6)) * 5


def test_standardised_logits_undo_the_scale_of_classes():
    rng = np.random.default_rng(1)
    pred = rng.integers(0, 2, (200, 200))
    top = np.where(pred == 0, rng.normal(20, 4, pred.shape), rng.normal(3, 0.5, pred.shape))
    score = StandardizedMaxLogit(2).fit(top, pred)
    found = score.score_samples(top, pred)
    assert found.shape == pred.shape
    assert found.dtype == np.float32
    for c in (0, 1):
        assert found[pred == c].mean() == pytest.approx(0, abs=1e-5)
        assert found[pred == c].std() == pytest.approx(1, abs=1e-5)
    low = score.score_samples(np.array([1.0]), np.array([1]))
    assert low[0] == pytest.approx((3 - 1) / 0.5, rel=0.05)


def test_standardised_logits_stream():
    rng = np.random.default_rng(2)
    top, pred = rng.normal(size=900), rng.integers(0, 3, 900)
    whole = StandardizedMaxLogit(3).fit(top, pred)
    parts = StandardizedMaxLogit(3)
    for part in np.array_split(np.arange(900), 4):
        parts.partial_fit(top[part], pred[part])
    np.testing.assert_allclose(parts.sums_, whole.sums_)
    rare = StandardizedMaxLogit(4, min_pixels=10).fit(np.append(top, 50.0), np.append(pred, 3))
    assert np.isfinite(rare.score_samples([1.0], [3])).all(), "a rare class takes the spread of all"
    with pytest.raises(InputError, match="channels below 3"):
        whole.score_samples([1.0], [7])
    with pytest.raises(InputError, match="no pixel yet"):
        StandardizedMaxLogit(3).fit([], []).score_samples([1.0], [0])


def test_nearest_neighbours_by_hand(features):
    known, _, other = features
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (other, known)]
    expected = np.sort(cdist(*unit), axis=1)[:, 4]
    np.testing.assert_allclose(KNNScore(k=5).fit(known).score_samples(other), expected, atol=1e-3)
    few = KNNScore(k=50).fit(known[:3]).score_samples(other)
    np.testing.assert_allclose(few, cdist(unit[0], unit[1][:3]).max(1), atol=1e-3)


def test_mahalanobis_by_hand(features):
    known, classes, other = features
    means = np.stack([known[classes == c].mean(0) for c in range(3)])
    rest = known - means[classes]
    precision = np.linalg.inv(rest.T @ rest / len(rest))
    gaps = other[:, None] - means
    expected = np.einsum("ncd,de,nce->nc", gaps, precision, gaps).min(1)
    found = MahalanobisScore(shrinkage=0.0).fit(known, classes)
    np.testing.assert_allclose(found.score_samples(other), expected, rtol=1e-6)
    shrunk = MahalanobisScore().fit(known, [f"class {c}" for c in classes])
    assert np.corrcoef(shrunk.score_samples(other), expected)[0, 1] > 0.95
    one = MahalanobisScore().fit(known)
    assert one.means_.shape == (1, 6)


def test_more_features_than_samples(features):
    rng = np.random.default_rng(3)
    known = rng.normal(size=(20, 100))
    score = MahalanobisScore().fit(known)
    assert image_ood(score.score_samples(known), score.score_samples(known + 4))["auroc"] > 0.95


@pytest.mark.parametrize("make", [KNNScore, MahalanobisScore])
def test_they_tell_the_unknown(make, features):
    known, classes, other = features
    score = make().fit(known[:200], classes[:200])
    found = image_ood(score.score_samples(known[200:]), score.score_samples(other))
    assert found["auroc"] > 0.9
    assert found["prr"] == pytest.approx(2 * found["auroc"] - 1)


def test_saved_and_loaded(tmp_path, features):
    known, classes, other = features
    for score in (KNNScore(k=7).fit(known), MahalanobisScore().fit(known, classes)):
        score.save(tmp_path / "score.npz")
        back = type(score).load(tmp_path / "score.npz")
        assert back.get_params() == score.get_params()
        np.testing.assert_array_equal(back.score_samples(other), score.score_samples(other))
        assert not hasattr(clone(score), score._learned[0])
    logit = StandardizedMaxLogit(2, min_pixels=1).fit([1.0, 2, 3], [0, 0, 1])
    logit.save(tmp_path / "logit.npz")
    assert StandardizedMaxLogit.load(tmp_path / "logit.npz").get_params() == logit.get_params()
    with pytest.raises(InputError, match="holds a StandardizedMaxLogit"):
        KNNScore.load(tmp_path / "logit.npz")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="damaged"):
        KNNScore.load(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="doesn't exist"):
        KNNScore.load(tmp_path / "none.npz")
    with pytest.raises(InputError, match="learned nothing"):
        KNNScore().save(tmp_path / "empty.npz")


def test_bad_features(features):
    known, classes, _ = features
    with pytest.raises(InputError, match="features of shape"):
        KNNScore().fit(known[0])
    with pytest.raises(InputError, match="not a finite"):
        KNNScore().fit(np.full((2, 2), np.inf))
    with pytest.raises(InputError, match="2 classes"):
        MahalanobisScore().fit(known, classes[:2])
    with pytest.raises(InputError, match=r"give \(n, 6\)"):
        MahalanobisScore().fit(known).score_samples(known[:, :3])


def test_images_of_one_side_only():
    assert all(np.isnan(v) for v in image_ood([0.1, 0.2], []).values())
    assert image_ranking([0.1], []).reasons()["auroc"] == "there is no image of another domain"
    with pytest.raises(InputError, match="not a number"):
        image_ood([np.nan], [0.1])
