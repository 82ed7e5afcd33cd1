"""The published meta classifier with its settings (../shared/spec/0_label_errors.md, 1.7 and 5.E)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dubio import InputError
from dubio.errors.bench.published_model import (
    PENALTIES,
    feature_columns,
    feature_rows,
    fit_published,
    probability_columns,
    split,
    split_order,
    standardised,
)


@pytest.fixture(scope="module")
def oracle(shared):
    with np.load(shared / "oracle/0_label_errors/oracle_pipeline_np1.npz", allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


@pytest.fixture(scope="module")
def columns(shared):
    with np.load(shared / "oracle/0_label_errors/oracle_small_ale_np1.npz", allow_pickle=False) as data:
        return [str(c) for c in data["columns"]]


def test_images_are_cut_in_two_as_published(oracle):
    names = [f"img{k:03d}" for k in range(24)]
    order = [str(name) for name in oracle["order"]]
    assert [f"{n}_metrics.p" for n in split_order(reversed(names))] == order
    train, searched = split(names)
    assert [f"{n}_metrics.p" for n in train + searched] == order
    assert len(train) == 12
    assert sorted(n.removesuffix(".p") for n in split_order(["a2", "a"], ending="_m")) == ["a", "a2"]


def test_features_stand_in_the_published_order(oracle, columns):
    """Standardised columns keep their linear relations: sizes add up, and so do shares."""
    full = {c for c in columns if not c.startswith(("cprob", "ndist"))} | {f"ndist{j}" for j in range(19)}
    names = feature_columns(full, 19)
    x = oracle["Xtr"]
    assert len(names) == x.shape[1] == 75

    def unexplained(target, by):
        z = x[:, [names.index(n) for n in by]]
        fitted, *_ = np.linalg.lstsq(z, x[:, names.index(target)], rcond=None)
        return np.abs(z @ fitted - x[:, names.index(target)]).max()

    assert unexplained("S", ["S_in", "S_bd"]) < 1e-9
    assert unexplained("S_bd", ["S_in", "S_rel"]) > 0.1
    assert unexplained("cprob18", [f"cprob{j}" for j in range(18)]) < 1e-4
    assert unexplained("S_rel", ["S_rel_in"]) < 1e-9  # S / S_bd is S_in / S_bd + 1
    np.testing.assert_allclose(standardised(x), x, atol=1e-9)


def test_rows_of_images_are_stacked_and_standardised_by_themselves(shared):
    from dubio.regions.published import published_table

    from ..regions.helpers import predict, space_of

    with np.load(shared / "oracle/0_label_errors/oracle_small_ale_np1.npz", allow_pickle=False) as data:
        probs, gt = data["probs"].transpose(2, 0, 1), data["gt"]
        names, values = [str(c) for c in data["columns"]], data["table"]
    c = probs.shape[0]
    label = np.where(gt >= c, c, gt).astype(np.uint8)
    table, _ = published_table(predict(probs, "probabilities"), label, space=space_of(c))
    rows = feature_rows([table, table], probability_columns([table]))
    inner = values[:, names.index("S_in")] > 0
    raw = values[inner][:, [names.index(n) for n in rows.columns]]
    expected = (raw - raw.mean(0)) / (raw.std(0) + 1e-10)
    half = inner.sum()
    np.testing.assert_allclose(rows.x[:half], expected, atol=2e-4)
    np.testing.assert_array_equal(rows.x[:half], rows.x[half:])
    np.testing.assert_array_equal(rows.y[:half], values[inner, names.index("iou0")])
    np.testing.assert_array_equal(rows.component[:half], np.flatnonzero(inner) + 1)
    assert rows.image.tolist() == [0] * half + [1] * half


def test_fit_gives_the_published_probabilities(oracle):
    """The one slow test of this file: 20 penalties on 5 folds."""
    from sklearn.metrics import roc_auc_score

    np.testing.assert_allclose(PENALTIES, oracle["Cs"], rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_published(oracle["Xtr"], oracle["ytr"])
    p = model.true_probability(oracle["Xte"])
    assert model.penalty == pytest.approx(float(oracle["C"][0]))
    # 1e-6 with the same scikit-learn, 2e-3 with any
    np.testing.assert_allclose(p, oracle["p_val"][:, 0], atol=2e-3)
    assert roc_auc_score(oracle["yval"], 1 - p) == pytest.approx(float(oracle["auroc"]), abs=1e-3)
    best = set(np.argsort(-np.where(oracle["yval"] == 1, p, 0))[:20])
    theirs = set(np.argsort(-np.where(oracle["yval"] == 1, oracle["p_val"][:, 0], 0))[:20])
    assert best == theirs


def test_one_penalty_is_fitted_as_it_is():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    model = fit_published(x, x[:, 0] > 0, penalties=[1.0])
    assert model.penalty == 1
    p = model.true_probability(np.array([[-3.0, 0, 0], [3.0, 0, 0]]))
    assert p[0] > 0.95
    assert p[1] < 0.05
    assert abs(model.coef[0]) > 5 * abs(model.coef[1:]).max()


def test_unusable_rows_are_refused():
    with pytest.raises(InputError, match="with and without"):
        fit_published(np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(InputError, match="no region tables"):
        feature_rows([], 2)
    table = {"S_in": np.zeros(2), "E": np.zeros(2), "iou0": np.zeros(2), "class": np.zeros(2)}
    with pytest.raises(InputError, match="inner pixels"):
        feature_rows([table], 0)
    with pytest.raises(InputError, match="cprob0"):
        feature_rows([table], 1)
