"""Meta classification and regression."""

from __future__ import annotations

import numpy as np
import pytest

from dubio import InputError
from dubio.regions.boosting import BoostedTrees
from dubio.regions.meta import MetaClassifier, MetaRegressor, group_folds


def data(n=600, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    iou = np.clip(0.5 + 0.4 * x[:, 0] + 0.1 * rng.normal(size=n), 0, 1)
    return x, iou, np.arange(n) // 12


@pytest.mark.parametrize("model", ["l1", "boosted"])
def test_classifier_learns_and_survives_saving(model, tmp_path):
    x, iou, groups = data()
    fitted = MetaClassifier(model, folds=3).fit(x, iou == 0, groups)
    other, target, _ = data(seed=1)
    p = fitted.predict(other)
    assert p[target == 0].mean() > p[target > 0].mean() + 0.4
    fitted.save(tmp_path / "meta.npz")
    np.testing.assert_array_equal(MetaClassifier.load(tmp_path / "meta.npz").predict(other), p)


@pytest.mark.parametrize("model", ["l1", "boosted"])
def test_regressor_learns_stays_in_range_and_survives_saving(model, tmp_path):
    x, iou, groups = data()
    fitted = MetaRegressor(model, folds=3).fit(x, iou, groups)
    other, target, _ = data(seed=1)
    estimate = fitted.predict(other * 10)
    assert estimate.min() >= 0
    assert estimate.max() <= 1
    assert np.corrcoef(fitted.predict(other), target)[0, 1] > 0.9
    fitted.save(tmp_path / "meta.npz")
    np.testing.assert_array_equal(MetaRegressor.load(tmp_path / "meta.npz").predict(other * 10), estimate)


def test_score_of_a_region_does_not_depend_on_its_company():
    """The published code standardises the searched half by its own mean: scores change with the company."""
    x, iou, groups = data()
    fitted = MetaClassifier("l1", folds=3).fit(x, iou == 0, groups)
    assert fitted.predict(x[:1])[0] == pytest.approx(fitted.predict(x)[0], abs=1e-15)


def test_penalty_is_not_chosen_by_accuracy():
    """With few positives, accuracy picks the empty model, in which all regions score alike."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 6))
    y = rng.random(1500) < 1 / (1 + np.exp(2.6 - 0.9 * x[:, 0]))
    assert y.mean() < 0.2
    p = MetaClassifier("l1").fit(x, y, np.arange(1500) // 10).predict(x)
    assert np.ptp(p) > 0.2


def test_missing_values_are_allowed():
    x, iou, groups = data()
    x[::3, 1] = np.nan
    x[:, 4] = np.nan
    for model in ("l1", "boosted"):
        assert np.isfinite(MetaClassifier(model, folds=3).fit(x, iou == 0, groups).predict(x)).all()


def test_folds_keep_images_together():
    groups = np.random.default_rng(0).integers(0, 20, 300)
    for train, test in group_folds(groups, 5):
        assert not set(groups[train]) & set(groups[test])


def test_one_class_is_refused():
    with pytest.raises(InputError, match="with and without overlap"):
        MetaClassifier().fit(np.zeros((4, 2)), np.zeros(4))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="no saved"):
        MetaClassifier.load(tmp_path / "x.npz")
    with pytest.raises(InputError, match="no saved model"):
        BoostedTrees.load(tmp_path / "x.npz")


def test_trees_predict_as_scikit_learn_does():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0]) ** 2 + rng.normal(size=500) * 0.3 > 0.5
    ours = BoostedTrees(max_iter=30).fit(x, y)
    theirs = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=1.0,
        early_stopping=False, random_state=0, max_bins=64,
    ).fit(x, y)  # fmt: skip
    np.testing.assert_allclose(ours.predict(x), theirs.predict_proba(x)[:, 1], atol=1e-12)
