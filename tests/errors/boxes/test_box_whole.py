"""Faults of all labels of an image, and the grid that keeps the passes over many boxes sparse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.boxes import DetPrediction
from dubio.errors.boxes import kernels, passes
from dubio.errors.boxes.audit import BoxAuditOptions, audit_boxes
from dubio.errors.boxes.draws import image_keys
from dubio.errors.boxes.near import index_of, near
from dubio.errors.boxes.read import read_scene
from dubio.errors.boxes.relations import Relations
from dubio.errors.boxes.whole import FAULTS, FEATURES, measure, measure_whole, plant_fault, usual_offset
from dubio.errors.image_scores import SHOWN_FAULT
from dubio.regions.boxes.iou import pairwise_iou

from .toy import toy

FAST = BoxAuditOptions(copies=2, folds=2)


def weak(n, m, seed=0):
    """Few boxes, and a detector that misses many, misplaces the rest and sees much else."""
    data, seen = toy(n, m, seed=seed, scores=False)
    worse = {}
    for k, (name, p) in enumerate(sorted(seen.items())):
        rng = np.random.default_rng([seed, k, 1])
        kept = rng.random(len(p)) < 0.7
        side = np.tile(p.boxes[:, 2:] - p.boxes[:, :2], 2)
        boxes = (p.boxes + rng.normal(0, 0.12, p.boxes.shape) * side)[kept]
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
        classes = np.where(rng.random(kept.sum()) < 0.7, p.classes[kept], rng.integers(0, 3, kept.sum()))
        worse[name] = DetPrediction(boxes, rng.uniform(0.2, 0.8, kept.sum()), classes, 3, image_id=name)
    return data, worse


@pytest.mark.parametrize("seed", [0, 1])
def test_defect_two_boxes_and_a_weak_detector_are_no_evidence_of_a_fault(seed):
    data, seen = weak(90, 3, seed)
    fault = audit_boxes(data, seen, FAST).scores.fault
    assert (fault > 0.5).sum() == 0
    assert fault.sum() < 4
    assert np.isfinite(fault).all()


def test_defect_a_class_that_is_missing_in_many_images_is_said_with_certainty():
    data, seen = toy(90, 9)
    labels, gone = dict(data.labels), []
    for name, given_ in list(labels.items())[::9]:
        most = np.bincount(given_.classes, minlength=3).argmax()
        labels[name] = given_.take(np.flatnonzero(given_.classes != most))
        gone.append(name)
    audit = audit_boxes(replace(data, labels=labels), seen, FAST)
    rows = audit.images.to_pylist()
    assert {r["image_id"] for r in rows[: len(gone)]} == set(gone)
    assert min(r["fault"] for r in rows[: len(gone)]) > 0.5
    assert max(r["fault"] for r in rows[len(gone) :]) < SHOWN_FAULT
    assert audit.scores.quality["expected"] == pytest.approx(len(gone), abs=2)
    assert {r["fault_kind"] for r in rows[: len(gone)]} <= {"class_unlabelled", "unlabelled"}


def test_a_clean_set_has_no_faulty_image():
    fault = audit_boxes(*toy(60, 9), FAST).scores.fault
    assert fault.max() < SHOWN_FAULT
    assert fault.sum() < 1.5


def test_defect_score_and_fault_probability_say_the_same():
    data, seen = toy(60, 9)
    labels = dict(data.labels)
    labels["im007"] = labels["im007"].take(np.array([0]))
    rows = audit_boxes(replace(data, labels=labels), seen, FAST).images.to_pylist()
    for row in rows:
        assert (row["score"] >= 0.5) == (row["fault"] >= SHOWN_FAULT)
        if row["fault"] >= SHOWN_FAULT:
            assert row["score"] == pytest.approx(0.5 + row["fault"] / 2)
    assert rows[0]["image_id"] == "im007"


def test_planted_faults_show_what_they_are():
    scene = read_scene(*toy(60, 9))
    found = Relations.of(scene)
    usual = usual_offset(scene, found)
    keys = image_keys(5, scene.image_id, "test")
    clean = np.array([w.shown()[0] for w in measure_whole(scene, found, seed=0, faults=False)])
    assert not clean[:, FAULTS.index("shifted")].any()
    for kind in ("unlabelled", "shifted", "mirrored", "renamed"):
        labels, fit = plant_fault(kind, scene, keys)
        faulty = scene.with_given(labels)
        x, shift = measure(faulty, Relations.of(faulty), usual)
        whole = measure_whole(scene, found, seed=0, faults=False)
        shown = np.array([replace(w, x=row).shown()[0] for w, row in zip(whole, x, strict=True)])
        assert shown[fit, FAULTS.index(kind)].mean() > 0.6, kind
        if kind == "shifted":
            step = (labels.box - scene.given.box)[scene.given.start[:-1]][:, :2]
            back = np.abs(shift + step).max(1) < 8
            assert back[shown[:, FAULTS.index(kind)]].mean() > 0.8
    assert len(clean[0]) == len(FAULTS)


def test_too_few_images_get_no_copies():
    scene = read_scene(*toy(5, 9))
    whole = measure_whole(scene, Relations.of(scene), seed=0)
    assert all(w.faulty.shape == (0, len(FEATURES)) for w in whole)


BOX = st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(0, 60), st.floats(0, 60))


@settings(max_examples=60, deadline=None)
@given(st.lists(BOX, min_size=65, max_size=160), st.integers(0, 3), st.integers(0, 2**31))
def test_the_grid_finds_exactly_the_boxes_that_touch(rows, giants, seed):
    other = np.array(rows)
    other[:giants, 2:] *= 20
    other[:, 2:] += other[:, :2]
    asked = np.concatenate([other[:40], np.random.default_rng(seed).uniform(-100, 600, (20, 4))])
    asked[40:] = np.concatenate([asked[40:, :2], asked[40:, :2] + np.abs(asked[40:, 2:])], 1)
    index = index_of(other, 0, len(other))
    for n, box in enumerate(asked):
        found, count = near(index, other, box, n)
        side = np.minimum(box[2:], other[:, 2:]) - np.maximum(box[:2], other[:, :2])
        assert found[:count].tolist() == np.flatnonzero((side > 0).all(1)).tolist()


@pytest.mark.parametrize("crowd", [30, 200])
def test_passes_over_many_boxes_are_those_over_all_pairs(crowd):
    rng = np.random.default_rng(crowd)
    box = [rng.uniform(0, 300, (n, 2)) for n in (crowd, 2 * crowd)]
    a, b = (np.concatenate([p, p + rng.gamma(2, 15, p.shape)], 1) for p in box)
    cls, seen_cls, conf = rng.integers(0, 3, crowd), rng.integers(0, 3, 2 * crowd), rng.random(2 * crowd)
    start, seen_start = np.array([0, crowd]), np.array([0, 2 * crowd])
    out, partner = np.zeros((crowd, len(passes.SUPPORT))), np.empty((crowd, 3), np.int64)
    head = np.arange(2 * crowd)
    passes.support(a, cls, start, b, seen_cls, conf, head, seen_start, out, partner)
    overlap = pairwise_iou(a, b)
    named = dict(zip(passes.SUPPORT, out.T, strict=True))
    assert named["iou_any"] == pytest.approx(overlap.max(1))
    assert named["near_seen"] == pytest.approx((overlap >= 0.3).sum(1))
    assert named["support_any"] == pytest.approx((overlap * conf).max(1))
    assert named["support_same"] == pytest.approx(
        np.where(cls[:, None] == seen_cls, overlap * conf, 0).max(1)
    )
    some = named["support_any"] > 0
    assert (partner[some, 1] == (overlap * conf).argmax(1)[some]).all()
    assert (partner[~some, 1] == -1).all()
    met, label = np.zeros((2 * crowd, len(passes.MET))), np.empty((2 * crowd, 2), np.int64)
    passes.met(b, seen_cls, seen_start, a, cls, start, met, label)
    assert met[:, 1] == pytest.approx(overlap.max(0))
    assert met[:, 5] == pytest.approx((overlap >= 0.1).sum(0))
    twins, twin = np.zeros((crowd, len(passes.TWINS))), np.empty(crowd, np.int64)
    passes.twins(a, cls, start, twins, twin)
    own = pairwise_iou(a, a)
    np.fill_diagonal(own, 0)
    assert twins[:, 1] == pytest.approx(own.max(1))
    first = kernels.objects(b, seen_start)
    both = pairwise_iou(b, b) >= kernels.OBJECT_IOU
    for j in range(2 * crowd):
        earlier = [k for k in range(j) if first[k] == k and both[j, k]]
        assert first[j] == (earlier[0] if earlier else j)
