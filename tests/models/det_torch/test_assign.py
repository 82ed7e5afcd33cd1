from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
from dubio.models.det.torch.assign import (  # noqa: E402
    NEITHER,
    NOTHING,
    assign_anchors,
    assign_points,
    deltas,
    distances,
)
from dubio.models.det.torch.network import RawDetections  # noqa: E402
from dubio.models.det.torch.objective import Objective, Target  # noqa: E402

NONE = torch.zeros(0, 4)


def target(boxes, classes, ignore=()):
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4),
    )


def test_anchors_are_assigned_by_overlap():
    anchors = torch.tensor(
        [[0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 23], [50, 50, 60, 60], [0, 0, 9, 10.0]]
    )
    boxes = torch.tensor([[0, 0, 10, 10.0]])
    assert assign_anchors(anchors, boxes, NONE).tolist() == [0, 0, NEITHER, NOTHING, 0]
    assert assign_anchors(anchors, NONE, NONE).tolist() == [NOTHING] * 5
    spared = assign_anchors(anchors, boxes, torch.tensor([[50, 50, 70, 70.0]]))
    assert spared.tolist() == [0, 0, NEITHER, NEITHER, 0]


def test_every_box_gets_an_anchor_though_none_overlaps_it_by_half():
    anchors = torch.tensor([[0, 0, 32, 32], [32, 0, 64, 32.0]])
    boxes = torch.tensor([[2, 2, 12, 12], [40, 4, 50, 12], [44, 14, 50, 20.0]])
    found = assign_anchors(anchors, boxes, NONE).tolist()
    assert found[0] == 0
    assert found[1] == 1


def test_points_answer_for_the_smallest_box_of_their_range(small):
    points = torch.from_numpy(small(family="fcos").reference((64, 64)))
    boxes = torch.tensor([[0, 0, 60, 60], [24, 24, 36, 36.0]])
    found = assign_points(points, boxes, NONE)
    chosen = points[found == 1]
    assert len(chosen)
    assert bool((chosen[:, 2] == 8).all())
    assert bool(((chosen[:, :2] > 24) & (chosen[:, :2] < 36)).all())
    inside = points[found >= 0]
    owner = boxes[found[found >= 0]]
    assert bool((distances(inside, owner) > 0).all())
    everything = torch.tensor([[0, 0, 64, 64.0]])
    assert set(assign_points(points, NONE, everything).tolist()) == {NEITHER}


def test_encoding_is_undone_by_the_coders(small):
    from dubio.uncertainty.boxes import DeltaCoder, DistanceCoder

    boxes = torch.tensor([[3.0, 4, 30, 50], [10, 10, 12, 90]], dtype=torch.float64)
    anchors = torch.tensor([[0.0, 0, 32, 32], [8, 8, 40, 24]], dtype=torch.float64)
    torch.testing.assert_close(DeltaCoder().decode_point(deltas(anchors, boxes), anchors), boxes)
    points = torch.tensor([[12.0, 20, 8], [11, 50, 16]], dtype=torch.float64)
    back = DistanceCoder().decode_point(distances(points, boxes), points[:, :2], points[:, 2:])
    torch.testing.assert_close(back, boxes)


class TestObjective:
    def raw(self, batch, n, classes=2, spread=True):
        torch.manual_seed(0)
        shape = (batch, n, 4)
        log = torch.randn(shape) if spread else None
        return RawDetections(torch.randn(batch, n, classes), torch.randn(shape), log)

    def test_defect_levels_are_summed_and_zero_targets_count(self, small):
        """Defect 3 of the reference: mean over levels, and targets of exactly zero left out."""
        anchors = torch.from_numpy(small(extra=0, scales=(1.0,), ratios=(1.0,)).reference((64, 64)))
        level = anchors[:, 2] - anchors[:, 0]
        # one box that is exactly an anchor on each of two levels: all eight targets are zero
        picks = [int(torch.where(level == s)[0][len(torch.where(level == s)[0]) // 2]) for s in (32, 64)]
        boxes = anchors[picks]
        raw = RawDetections(
            torch.full((1, len(anchors), 2), -9.0),
            torch.zeros(1, len(anchors), 4),
            torch.zeros(1, len(anchors), 4),
        )
        raw.boxes[0, picks] = 0.5
        wanted = Target(boxes, torch.tensor([0, 1]), NONE)
        found = assign_anchors(anchors, boxes, NONE)
        assert found[picks].tolist() == [0, 1]
        goal = deltas(anchors[found >= 0], boxes[found[found >= 0]])
        assert bool((deltas(anchors[picks], boxes) == 0).all())
        parts = Objective("gaussian")(raw, anchors, [wanted])
        error = (raw.boxes[0][found >= 0] - goal) ** 2
        assert float(parts.boxes) == pytest.approx(
            float(0.5 * error.sum() / int((found >= 0).sum())), rel=1e-5
        )

    @pytest.mark.parametrize("family", ["retinanet", "fcos"])
    def test_a_batch_is_its_images_put_together(self, small, family):
        reference = torch.from_numpy(small(family=family).reference((64, 64)))
        raw = self.raw(3, len(reference))
        targets = [
            target([[0, 0, 30, 30], [30, 30, 60, 62]], [0, 1]),
            target([], []),
            target([[10, 10, 40, 44]], [1], [[0, 0, 9, 9]]),
        ]
        whole = Objective()(raw, reference, targets)
        assign = assign_anchors if reference.shape[1] == 4 else assign_points
        counts = [int((assign(reference, t.boxes, t.ignore) >= 0).sum()) for t in targets]
        assert counts[1] == 0
        parts = [
            Objective()(raw.map(lambda x, k=k: x[k : k + 1]), reference, [t]) for k, t in enumerate(targets)
        ]
        for name in ("classes", "boxes"):
            total = sum(max(1, c) * float(getattr(p, name)) for p, c in zip(parts, counts, strict=True))
            assert float(getattr(whole, name)) == pytest.approx(total / sum(counts), rel=1e-4)

    def test_images_without_boxes_have_a_gradient(self, small):
        reference = torch.from_numpy(small().reference((64, 64)))
        raw = self.raw(2, len(reference)).map(lambda x: x.requires_grad_())
        parts = Objective()(raw, reference, [target([], []), target([], [])])
        assert float(parts.boxes.detach()) == 0
        (parts.classes + parts.boxes).backward()
        assert float(raw.logits.grad.abs().sum()) > 0
        # all outputs stay in the graph, which training on several devices needs
        assert float(raw.boxes.grad.abs().sum()) == 0

    def test_warm_means_do_not_feel_the_variances(self, small):
        reference = torch.from_numpy(small().reference((64, 64)))
        labels = [target([[0, 0, 30, 30]], [0])]
        slopes = []
        for shift in (0.0, 3.0):
            raw = self.raw(1, len(reference))
            raw = RawDetections(raw.logits, raw.boxes.requires_grad_(), raw.log_variance + shift)
            Objective("gaussian")(raw, reference, labels, warm=True).boxes.backward()
            slopes.append(raw.boxes.grad.numpy())
        np.testing.assert_array_equal(*slopes)

    def test_without_variances_it_is_an_absolute_error(self, small):
        reference = torch.from_numpy(small().reference((64, 64)))
        raw = self.raw(1, len(reference), spread=False)
        labels = target([[0, 0, 30, 30]], [0])
        found = assign_anchors(reference, labels.boxes, NONE) >= 0
        goal = deltas(reference[found], labels.boxes.expand(int(found.sum()), 4))
        wanted = (raw.boxes[0][found] - goal).abs().sum() / found.sum()
        assert float(Objective("l1")(raw, reference, [labels]).boxes) == pytest.approx(
            float(wanted), rel=1e-5
        )
