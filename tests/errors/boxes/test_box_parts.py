"""Parts of the finder for boxes: confidence, passes, candidates, faults of whole images, verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of
from dubio.errors.boxes import kernels, passes
from dubio.errors.boxes.audit import BoxAuditOptions, audit_boxes, collect_boxes
from dubio.errors.boxes.candidates import find_candidates, score_bar
from dubio.errors.boxes.choose import choose_boxes
from dubio.errors.boxes.confidence import Confidence
from dubio.errors.boxes.feature_names import INDEX
from dubio.errors.boxes.meta import find_by_meta, judge_detections
from dubio.errors.boxes.read import read_scene
from dubio.errors.boxes.relations import Relations
from dubio.errors.boxes.traits import BOXES
from dubio.errors.boxes.whole import FAULTS, plant_fault
from dubio.errors.finder import find
from dubio.errors.kind_shares import KindEvidence, expected_by_kind
from dubio.errors.prior import Evidence
from dubio.errors.reviewed import EVIDENCE, read_reviewed, write_evidence
from dubio.errors.verdicts import Verdict, write_verdicts
from dubio.regions.boxes.iou import pairwise_cover, pairwise_iou

from .toy import toy

FAST = BoxAuditOptions(copies=5, folds=2)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=40))
def test_confidence_rises_and_counts_ranks_only(rows):
    score, right = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    plain = Confidence.fit(score, right)
    values = plain(np.sort(score))
    assert (np.diff(values) >= 0).all()
    assert ((values > 0) & (values < 1)).all()
    # a power may make neighbours equal
    if len(np.unique(score**2)) == len(np.unique(score)):
        np.testing.assert_allclose(Confidence.fit(score**2, right)(score**2), plain(score), atol=1e-12)


def test_confidence_of_nothing_is_undecided():
    assert Confidence.fit([], [])([0.2, 0.9]).tolist() == [0.5, 0.5]


def test_passes_agree_with_matrices():
    data, seen = toy(5, 9)
    scene = read_scene(data, seen)
    found = Relations.of(scene)
    g, s = scene.given, scene.seen
    for i in range(scene.n_images):
        mine, theirs = slice(g.start[i], g.start[i + 1]), slice(s.start[i], s.start[i + 1])
        iou = pairwise_iou(g.box[mine], s.box[theirs])
        same = g.cls[mine][:, None] == s.cls[theirs][None]
        np.testing.assert_allclose(found.support["iou_any"][mine], iou.max(1))
        np.testing.assert_allclose(found.support["iou_same"][mine], (iou * same).max(1))
        np.testing.assert_allclose(
            found.support["conf_same_50"][mine], (s.conf[theirs] * (same & (iou >= 0.5))).max(1)
        )
        np.testing.assert_allclose(found.support["support_any"][mine], (s.conf[theirs] * iou).max(1))
        np.testing.assert_allclose(found.met["met_any"][theirs], iou.max(0))
        np.testing.assert_allclose(
            found.met["met_cover"][theirs], pairwise_cover(s.box[theirs], g.box[mine]).max(1)
        )
        other = pairwise_iou(g.box[mine], g.box[mine])
        np.fill_diagonal(other, 0)
        np.testing.assert_allclose(found.twins["twin_any"][mine], other.max(1))


def test_objects_are_seen_once():
    box = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8], [50, 50, 60, 60]])
    head = kernels.objects(box, np.array([0, 4]))
    assert head.tolist() == [0, 0, 0, 3]
    conf = np.array([0.9, 0.5, 0.4, 0.3])
    rivals = kernels.rivals(head, np.array([0, 1, 0, 0]), conf, np.array([0, 4]))
    assert rivals.tolist() == [0.5, 0.9, 0.5, 0.0]
    given = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    right = kernels.true_positives(
        box, np.array([0, 1, 0, 0]), np.array([0, 4]), given, np.array([0, 0]), np.array([0, 2])
    )
    assert right.tolist() == [True, False, False, True]
    assert passes.greatest_iou(box[3:], np.array([0]), given, np.array([0, 2])).tolist() == [1.0]


def test_several_classes_on_one_object_are_one_candidate():
    data, seen = toy(1, 3, classes=("a", "b", "c"))
    new = np.array([[100.0, 100, 140, 150], [101, 100, 140, 150], [100, 101, 140, 150]])
    p = seen["im000"]
    more = DetPrediction(
        np.concatenate([p.boxes, new]),
        np.append(p.scores, [0.9, 0.5, 0.3]),
        np.append(p.classes, [0, 1, 2]),
        3,
    )
    labels = {"im000": data.labels["im000"].take(np.array([], int))}
    scene = read_scene(replace(data, labels=labels), {"im000": more})
    found = Relations.of(scene)
    where = find_candidates(scene, found, score_bar(scene, found))
    overlap = pairwise_iou(scene.seen.box[where.seen], new[:1])[:, 0]
    assert (overlap > 0.8).sum() == 1
    # the other classes are known with it all the same
    head = where.seen[int(overlap.argmax())]
    known = scene.class_probability(np.array([head, head]), np.array([1, 2]))
    assert (known >= 0).all()


def test_faults_of_whole_images_are_told_apart():
    data, seen = toy(60, 9)
    labels = dict(data.labels)
    scene = read_scene(data, seen)
    keys = np.arange(scene.n_images).astype(np.uint64) * np.uint64(7919)
    for kind in FAULTS:
        given, fit = plant_fault(kind, scene, keys)
        assert fit.mean() > 0.5, kind
        assert len(given) <= len(scene.given)
    for name in ("im004", "im011"):
        labels[name] = labels[name].take(np.array([0]))
    moved = labels["im020"]
    labels["im020"] = replace(moved, boxes=moved.boxes + np.array([25.0, 0, 25, 0]))
    audit = audit_boxes(replace(data, labels=labels), seen, FAST)
    top = audit.images.slice(0, 3).to_pylist()
    assert {r["image_id"] for r in top} == {"im004", "im011", "im020"}
    shifted = next(r for r in top if r["image_id"] == "im020")
    assert shifted["fault_kind"] == "shifted"
    assert -35 <= shifted["shift_x"] <= -15
    assert "25 px left" in shifted["reason"] or "px left" in shifted["reason"]
    assert "unlabelled objects seen" in next(r for r in top if r["image_id"] == "im004")["reason"]
    assert audit.scores.quality["auroc"] > 0.9


def test_boxes_of_a_pixel_are_named():
    data, seen = toy(4, 5)
    thin = BoxLabels(np.array([[10.0, 10, 11, 11]]), np.array([0]))
    audit = audit_boxes(replace(data, labels=dict(data.labels) | {"im001": thin}), seen, FAST)
    row = next(r for r in audit.images.to_pylist() if r["image_id"] == "im001")
    assert (row["specks"], row["speck_pixels"]) == (1, 1)
    assert "1 box of a pixel across" in row["reason"]


def test_meta_models_of_detections():
    data, seen = toy(40, 7)
    judged = judge_detections(data, seen, folds=3)
    assert judged.quality.auroc > 0.8
    assert dict(judged.quality.rows)["R² of the estimated IoU"] > 0.2
    assert ((judged.estimated_iou >= 0) & (judged.estimated_iou <= 1)).all()
    labels = {k: v.take(np.arange(1, len(v))) for k, v in data.labels.items()}
    gap = replace(data, labels=labels)
    works = collect_boxes(gap, seen, BoxAuditOptions(learn=False))
    found = find_by_meta(gap, seen, works, folds=3)
    listed = choose_boxes(works, found, data.space)
    assert {f.kind for f in listed} == {"missing"}
    first = np.array([data.labels[f.image_id].boxes[0] for f in listed[:20]])
    hull = np.array([f.proposed_box for f in listed[:20]])
    assert (np.diag(pairwise_iou(first, hull)) > 0.5).mean() > 0.6
    assert judge_detections(replace(data, samples=data.samples[:1]), seen) is None
    assert "too little" in find_by_meta(replace(data, samples=data.samples[:1]), seen, works[:1]).note


def test_verdicts_on_boxes_are_known_next_time(tmp_path):
    data, seen = toy(40, 7)
    labels = {
        k: v.take(np.arange(1, len(v))) if i % 4 == 0 else v for i, (k, v) in enumerate(data.labels.items())
    }
    audit = audit_boxes(replace(data, labels=labels), seen, FAST)
    judged = audit.findings[:12]
    write_evidence(tmp_path / EVIDENCE, audit.works, audit.findings)
    verdicts = [
        Verdict(f.finding, f.image_id, *f_box(f), f.kind, "accepted" if k % 2 == 0 else "rejected")
        for k, f in enumerate(judged)
    ]
    write_verdicts(tmp_path / "verdicts.json", verdicts, audit.findings)
    reviewed = read_reviewed([tmp_path], BOXES)
    assert len(reviewed) == 12
    assert np.isfinite(reviewed.x[:, INDEX["conf"]]).all()
    again = find(audit.works, folds=2, reviewed=reviewed)
    listed = choose_boxes(audit.works, again, data.space)
    now = {(f.image_id, *f_box(f)): f for f in listed}
    for k, f in enumerate(judged):
        found = now.get((f.image_id, *f_box(f)))
        if k % 2 == 0:
            assert found.verdict == "accepted"
            assert found.probability == pytest.approx(0.99)
        else:
            assert found is None


def f_box(f):
    return f.x0, f.y0, f.x1, f.y1


def test_kinds_have_shares_of_their_own():
    """Planted alike, but only the first kind is real."""
    rng = np.random.default_rng(0)
    n, images = 4000, 40
    image = rng.integers(0, images, n)
    parts = []
    for real in (200, 0):
        every = np.concatenate([rng.normal(4, 1, real), rng.normal(0, 1, n - real)])
        known = rng.normal(4, 1, 300)
        parts.append(
            Evidence.collect(
                known, rng.integers(0, images, 300), every, image, images, bins=100, of_known=True
            )
        )
    evidence = KindEvidence(tuple(parts), np.array([0.5, 0.5]))
    first, second = evidence.share()
    assert 0.025 < first < 0.08
    assert second < 0.005
    odds = np.column_stack([np.repeat([20.0, 0.1], [200, n - 200]), np.full(n, 0.05)])
    mean, low, high = expected_by_kind(odds, image, evidence)
    assert low < mean < high
    assert 120 < mean < 280
    parts_of = [expected_by_kind(odds[m], image[m], evidence)[0] for m in (image < 20, image >= 20)]
    assert sum(parts_of) == pytest.approx(mean)
    assert evidence.assume(0.01).share().sum() == pytest.approx(0.01)
    assert expected_by_kind(odds[:0], image[:0], evidence) == (0.0, 0.0, 0.0)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_anything_goes(seed):
    rng = np.random.default_rng(seed)
    n, m, k = rng.integers(1, 4), rng.integers(0, 6), rng.integers(0, 9)

    def boxes(count):
        low = rng.integers(0, 40, (count, 2)).astype(float)
        return np.concatenate([low, low + rng.integers(0, 30, (count, 2))], 1)

    names = [f"{i}" for i in range(n)]
    labels = {
        i: BoxLabels(boxes(m), rng.integers(0, 3, m), ignore=boxes(int(rng.integers(0, 2)))) for i in names
    }
    seen = {
        i: DetPrediction(boxes(k), rng.choice([0.1, 0.5, 1.0], k), rng.integers(0, 3, k), 3) for i in names
    }
    data = BoxDataset(
        "x", space_of("x", ["0", "1", "2"]), tuple(BoxSample(i, width=50, height=50) for i in names), labels
    )
    audit = audit_boxes(data, seen, FAST)
    assert np.isfinite(audit.found.probability).all()
    assert all(f.reason.endswith(".") for f in audit.findings)
