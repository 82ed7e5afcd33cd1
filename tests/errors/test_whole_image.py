"""Faults of a whole label, and the score of an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import SegPrediction
from dubio.core.seeds import rng_for
from dubio.errors.finder import find
from dubio.errors.image_scores import image_table, score_images
from dubio.errors.shift import Spectra, best_shift
from dubio.errors.view import make_view
from dubio.errors.whole_image import FAULTS, FEATURES, measure_whole, plant_fault, specks

from ..toy import SPACE, logits, picture, scene
from .test_finder import work_of


def value(measured, name):
    return measured.x[FEATURES.index(name)]


def test_planted_faults_are_what_they_are_called():
    truth = scene(5)
    found = {kind: plant_fault(kind, truth, 3, 16, rng_for(0, "a", kind)) for kind in FAULTS}
    assert all(f is not None and (f != truth).mean() > 0.02 for f in found.values())
    assert (found["mirrored"] == truth[:, ::-1]).all()
    # what is not labelled is background now
    gone = found["unlabelled"] != truth
    assert (found["unlabelled"][gone] == 0).mean() > 0.8
    # classes are renamed one for one
    pairs = {(int(a), int(b)) for a, b in zip(truth.ravel(), found["renamed"].ravel(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(-9, 9), st.integers(-9, 9))
def test_a_moved_label_is_moved_back(seed, dy, dx):
    truth = scene(seed)
    label = np.roll(truth, (-dy, -dx), (0, 1))
    gain, shift = best_shift(Spectra.of(truth, 3), label, 3)
    if abs(dy) + abs(dx) < 4:
        return  # rolled-in borders weigh as much
    step = max(1, round(min(truth.shape) / 96))
    assert abs(shift[0] - dy) <= step
    assert abs(shift[1] - dx) <= step
    assert gain > 0.3


def test_a_label_in_place_gains_nothing():
    assert best_shift(Spectra.of(scene(1), 3), scene(1), 3) == (0.0, (0, 0))


def test_void_counts_for_nothing():
    truth = scene(3)
    view = make_view(SegPrediction(3, logits(truth, 3), "logits"), SPACE)
    label = truth.copy()
    label[:, :20] = 3
    wrong = label.copy()
    wrong[:, :20] = 3
    a = measure_whole(view, label, "a", min_size=16, seed=0, speck=16, faults=False)
    assert np.isfinite(value(a, "disagree"))
    everything_void = np.full_like(label, 3)
    b = measure_whole(view, everything_void, "a", min_size=16, seed=0, speck=16)
    assert value(b, "disagree") == 0
    assert b.specks == (0, 0)
    assert len(b.faulty) == 0


def test_specks_are_counted_by_size_and_never_void():
    label = np.zeros((20, 20), np.uint8)
    label[3, 3] = 1
    label[8:10, 8:10] = 2
    label[15, 15] = 3  # void
    assert specks(label, 3, 4) == (1, 1)
    assert specks(label, 3, 5) == (2, 5)


def test_measures_know_the_fault():
    truth = scene(4)
    view = make_view(SegPrediction(3, logits(truth, 4), "logits"), SPACE, picture(truth, 4))
    good = measure_whole(view, truth, "a", min_size=16, seed=0, speck=16, faults=False)
    empty = measure_whole(view, np.zeros_like(truth), "a", min_size=16, seed=0, speck=16, faults=False)
    moved = measure_whole(view, np.roll(truth, 8, 1), "a", min_size=16, seed=0, speck=16, faults=False)
    assert value(empty, "unmet_predicted") > value(good, "unmet_predicted") + 0.4
    assert value(empty, "less") > value(good, "less")
    assert value(moved, "shift_gain") > 0.3 > value(good, "shift_gain")
    assert moved.shift[1] == pytest.approx(-8, abs=1)
    assert value(moved, "edges_given") < value(good, "edges_given")


def test_whole_image_faults_come_first():
    faulty = {3: "unlabelled", 11: "mirrored", 17: "shifted"}
    works = []
    for seed in range(30):
        label = scene(seed)
        if seed in faulty:
            label = plant_fault(faulty[seed], label, 3, 16, rng_for(9, str(seed), "test"))
        works.append(work_of(seed, label))
    scores = score_images(works, find(works, folds=3))
    table = image_table(works, scores, [])
    first = table.column("image_id").to_pylist()[:3]
    assert set(first) == {f"im{s:03d}" for s in faulty}
    assert table.column("fault").to_pylist()[0] > 0.5
    assert scores.quality["auroc"] > 0.9
    # order of the images doesn't matter
    again = image_table(works[::-1], score_images(works[::-1], find(works[::-1], folds=3)), [])
    assert again.column("image_id").to_pylist()[:3] == first


def test_few_images_are_ranked_by_doubt():
    works = [work_of(seed, copies=1) for seed in range(2)]
    scores = score_images(works, find(works))
    assert np.isnan(scores.fault).all()
    assert (scores.score >= 0).all()
