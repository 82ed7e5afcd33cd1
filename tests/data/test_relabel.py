"""Calibrator and class map, in this order; and calibrated files."""

from __future__ import annotations

import numpy as np
import pytest

from dubio import (
    IsotonicCalibration,
    LabelClass,
    LabelSpace,
    TemperatureScaling,
    VectorScaling,
    open_folders,
    open_predictions,
    write_mask,
)
from dubio.calibration.temperature import Identity
from dubio.core.errors import InputError
from dubio.core.records import RawScores
from dubio.data.calibrated import CalibratedFiles
from dubio.data.classmap import map_channels
from dubio.data.relabel import both_predictions, to_prediction

PAIRS = (0, 1, 1, -1)


def logits(seed=0, k=4, size=(5, 6)):
    return (np.random.default_rng(seed).normal(size=(k, *size)) * 3).astype(np.float32)


def temperature(t):
    found = TemperatureScaling()
    found.restore({"temperature": t}, {})
    found.notes_ = []
    return found


def softmax(z):
    e = np.exp(z - z.max(0))
    return e / e.sum(0)


def test_without_anything_scores_pass_as_they_are():
    z = logits()
    found = to_prediction(RawScores(z, "logits", None, 4), image_id="a")
    assert found.scores is z
    assert (found.kind, found.n_classes, found.image_id) == ("logits", 4, "a")


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_temperature_one_and_no_calibration_are_the_plain_path(kind, pairs):
    scores = logits() if kind == "logits" else softmax(logits())
    raw = RawScores(scores, kind, pairs, 4 if pairs is None else 2)
    plain = to_prediction(raw)
    for calibrator in (temperature(1.0), Identity()):
        found = to_prediction(raw, calibrator=calibrator)
        probabilities = [
            softmax(np.asarray(p.scores)) if p.kind == "logits" else p.scores for p in (plain, found)
        ]
        np.testing.assert_allclose(probabilities[1], probabilities[0], atol=2e-6)
        assert found.n_classes == plain.n_classes


def test_logits_are_calibrated_before_the_class_map():
    z = logits()
    found = to_prediction(RawScores(z, "logits", PAIRS, 2), calibrator=temperature(2.0))
    assert found.kind == "probabilities"
    np.testing.assert_allclose(found.scores, map_channels(z / 2, "logits", PAIRS, 2), rtol=1e-5)
    p = softmax(z / 2)
    np.testing.assert_allclose(found.scores[1], p[1] + p[2], rtol=1e-5)
    # tempering the mapped probabilities is something else
    other = softmax(np.log(map_channels(z, "logits", PAIRS, 2)) / 2)
    assert np.abs(found.scores - other).max() > 0.01


def test_probabilities_are_calibrated_after_the_class_map():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, 2)).astype(np.float32) * 3
    labels = (rng.random(4000) < 0.3).astype(int)
    isotonic = IsotonicCalibration().fit(rows, labels)
    z = logits(k=3)
    found = to_prediction(RawScores(z, "logits", (0, 1, 1), 2), calibrator=isotonic)
    assert found.kind == "probabilities"
    assert found.scores.shape == (2, 5, 6)
    mapped = map_channels(z, "logits", (0, 1, 1), 2)
    np.testing.assert_allclose(found.scores, isotonic.transform_map(mapped), rtol=1e-6)
    np.testing.assert_allclose(found.scores.sum(0), 1, atol=1e-5)


def test_plain_logits_become_probabilities_for_such_calibrators():
    rng = np.random.default_rng(1)
    isotonic = IsotonicCalibration().fit(
        rng.normal(size=(500, 4)).astype(np.float32), rng.integers(0, 4, 500)
    )
    z = logits()
    found = to_prediction(RawScores(z, "logits", None, 4), calibrator=isotonic)
    np.testing.assert_allclose(found.scores, isotonic.transform_map(softmax(z)), rtol=1e-5)


def test_probabilities_of_a_model_are_tempered_as_their_logarithms():
    p = softmax(logits())
    found = to_prediction(RawScores(p, "probabilities", None, 4), calibrator=temperature(2.0))
    np.testing.assert_allclose(softmax(found.scores), softmax(np.log(p) / 2), rtol=1e-4)


def test_the_models_own_channels_keep_their_logits():
    z = logits()
    mapped, own = both_predictions(RawScores(z, "logits", PAIRS, 2), calibrator=temperature(2.0))
    assert (mapped.kind, own.kind) == ("probabilities", "logits")
    np.testing.assert_allclose(own.scores, z / 2, rtol=1e-6)
    mapped, own = both_predictions(RawScores(z, "logits", None, 4))
    assert own is mapped


def test_temperature_changes_no_winner_without_a_class_map():
    z = logits(3, size=(40, 40))
    for t in (0.1, 0.5, 3.0, 17.0):
        found = to_prediction(RawScores(z, "logits", None, 4), calibrator=temperature(t))
        np.testing.assert_array_equal(found.scores.argmax(0), z.argmax(0))


def test_the_calibrator_of_other_channels_is_refused():
    vector = VectorScaling().fit(logits(k=3).reshape(3, -1).T.copy(), np.arange(30) % 3)
    with pytest.raises(InputError, match="4 channels, the calibrator was fitted on 3"):
        to_prediction(RawScores(logits(), "logits", None, 4), calibrator=vector)


@pytest.fixture
def files(tmp_path):
    space = LabelSpace("toy", tuple(LabelClass(n, c, (n, n, 9)) for n, c in enumerate("abcd")), void=(255,))
    (tmp_path / "scores").mkdir()
    (tmp_path / "labels").mkdir()
    np.save(tmp_path / "scores/x.npy", logits())
    write_mask(tmp_path / "labels/x.png", np.zeros((5, 6), np.uint8), space)
    write_mask(tmp_path / "labels/y.png", np.zeros((5, 6), np.uint8), space)
    return open_folders(labels=tmp_path / "labels", space=space), tmp_path


def test_calibrated_files_give_calibrated_and_raw_scores(files):
    dataset, root = files
    plain = open_predictions(dataset, scores=root / "scores")
    found = CalibratedFiles(plain, temperature(2.0))
    sample, missing = dataset.samples
    np.testing.assert_allclose(found.read(sample, (5, 6)).scores, logits() / 2, rtol=1e-6)
    np.testing.assert_array_equal(found.read_raw(sample).scores, logits())
    assert found.read(missing, (5, 6)) is None
    assert found.key() != CalibratedFiles(plain, temperature(3.0)).key()
    assert any(line.startswith("calibrated: temperature 2.00") for line in found.describe())


def test_label_maps_and_files_without_features_are_refused(files):
    dataset, root = files
    maps = open_predictions(dataset, predictions=root / "labels")
    with pytest.raises(InputError, match="label maps without scores can't be calibrated"):
        CalibratedFiles(maps, temperature(2.0))

    class Wants(Identity):
        needs = frozenset({"features"})

    with pytest.raises(InputError, match="features of the network, which score files don't have"):
        CalibratedFiles(open_predictions(dataset, scores=root / "scores"), Wants())


def test_a_calibrator_that_looks_at_images_needs_them(files):
    dataset, root = files

    class Looks(Identity):
        needs = frozenset({"image"})

    found = CalibratedFiles(open_predictions(dataset, scores=root / "scores"), Looks())
    with pytest.raises(InputError, match="wants the image of 'x'"):
        found.read(dataset.samples[0], (5, 6))
