"""Labels whose errors are of one kind: that kind leads the list, and their number comes out."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of
from dubio.errors.bench.box_planting import BoxPlantOptions, plant_box_errors
from dubio.errors.bench.box_scoring import score_boxes
from dubio.errors.boxes.audit import BoxAuditOptions, audit_boxes

WIDTH, HEIGHT = 640, 480


def world(images: int, seed: int = 0) -> tuple[BoxDataset, dict[str, DetPrediction]]:
    """A detector that sees 92 % of the objects within some pixels, and some things that aren't there."""
    rng = np.random.default_rng(seed)
    samples, labels, seen = [], {}, {}

    def boxes(n):
        side = rng.uniform(20, 90, (n, 2))
        low = rng.uniform(0, 1, (n, 2)) * ([WIDTH, HEIGHT] - side)
        return np.concatenate([low, low + side], 1)

    for k in range(images):
        name = f"i{k:05d}"
        true, classes = boxes(12), rng.integers(0, 3, 12)
        hit = rng.random(12) < 0.92
        found = true[hit] + rng.normal(0, 2, (hit.sum(), 4))
        false = boxes(rng.poisson(5))
        scores = np.concatenate([rng.beta(6, 2, len(found)), rng.beta(1.5, 6, len(false))])
        said = np.concatenate([classes[hit], rng.integers(0, 3, len(false))])
        samples.append(BoxSample(name, width=WIDTH, height=HEIGHT))
        labels[name] = BoxLabels(true, classes)
        seen[name] = DetPrediction(np.concatenate([found, false]), scores, said, 3, image_id=name)
    return BoxDataset("world", space_of("world", list("abc")), tuple(samples), labels), seen


@pytest.mark.parametrize("rate", [0.05, 0.25])
def test_missing_boxes_are_counted_rightly(rate):
    """They were told apart by how empty images are into which many boxes' loss was planted at once."""
    data, seen = world(200)
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=rate, seed=1, kinds={"drop": 1}))
    audit = audit_boxes(faulty, seen, BoxAuditOptions(max_findings=10**6))
    missing = (audit.found.probability[:, None] * audit.found.kinds)[:, audit.found.calls.index("missing")]
    assert 0.3 < missing.sum() / len(truth.errors) < 1.5
    assert 0.5 < audit.found.expected()[0] / len(truth.errors) < 2
    assert sum(f.kind == "missing" for f in audit.findings[: len(truth.errors) // 2]) > 0.5 * (
        len(truth.errors) // 2
    )


def test_bad_places_lead_the_list_where_there_are_no_other_errors():
    data, seen = world(200)
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=0.06, seed=1, kinds={"location": 1}))
    audit = audit_boxes(faulty, seen, BoxAuditOptions(max_findings=500))
    score = score_boxes(audit.findings, truth, draws=0)
    assert score.ap.value > 0.4
    by_kind = (audit.found.probability[:, None] * audit.found.kinds).sum(0)
    assert audit.found.calls[int(by_kind.argmax())] == "location"


def test_labels_without_errors_have_few():
    data, seen = world(200, seed=2)
    audit = audit_boxes(data, seen, BoxAuditOptions(max_findings=500))
    assert audit.found.expected()[0] < 0.02 * 12 * len(data)
