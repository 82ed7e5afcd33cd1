"""Boosted trees: weighted bins are those of scikit-learn, and prediction is its own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from dubio.regions.boosting import BoostedTrees


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bins", [16, 64])
def test_weighted_fit_is_that_of_scikit_learn(seed, bins):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(int(rng.integers(200, 1500)), 6))
    x[:, 1] = np.round(x[:, 1], 1)
    x[:, 2] = rng.integers(0, 4, len(x))
    x[rng.random(len(x)) < 0.1, 3] = np.nan
    x[:, 4] = np.where(rng.random(len(x)) < 0.7, 0, x[:, 4])
    y = (x[:, 0] + np.nan_to_num(x[:, 3]) + x[:, 4] + rng.normal(size=len(x))) > 0
    weight = np.where(y, rng.random(len(x)) if seed % 2 else 0.25, 1.0)
    ours = BoostedTrees(max_iter=30, max_bins=bins).fit(x, y, weight)
    theirs = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=1.0,
        max_bins=bins, early_stopping=False, random_state=0,
    )  # fmt: skip
    with threadpool_limits(1):
        theirs.fit(x, y.astype(float), weight)
        unseen = np.concatenate([x, rng.normal(size=(500, 6)) * 2])
        unseen[rng.random(unseen.shape) < 0.05] = np.nan
        expected = theirs.predict_proba(unseen)[:, 1]
    assert np.allclose(ours.predict(unseen), expected, rtol=0, atol=1e-9)
