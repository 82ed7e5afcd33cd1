"""The region table of boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.regions.boxes.matching import match_boxes
from dubio.regions.boxes.table import FEATURES, box_features, box_table, schema

SPACE = LabelSpace("two", (LabelClass(1, "a", (1, 1, 1)), LabelClass(2, "b", (2, 2, 2))))


def _world() -> tuple[BoxDataset, dict[str, DetPrediction]]:
    labels = {
        "one": BoxLabels(
            np.array([[10, 10, 30, 20], [60, 60, 80, 80], [0, 0, 4, 4.0]]), np.array([0, 1, 0]),
            occlusion=np.array([2, np.nan, 0]),
        ),
        "two": BoxLabels(),
    }  # fmt: skip
    samples = (BoxSample("one", width=100, height=200), BoxSample("two"))
    seen = DetPrediction(
        np.array([[10, 10, 30, 20], [60, 60, 80, 80], [11, 10, 30, 20]]),
        np.array([0.9, 0.8, 0.3]), np.array([0, 0, 0]), 2,
        class_scores=np.array([[0.9, 0.05], [0.8, 0.2], [0.3, 0.3]]), kind="softmax",
        box_aleatoric=np.array([[1.0, 4, 1, 4]] * 3), class_variance=np.full((3, 2), 0.04), image_id="one",
    )  # fmt: skip
    none = DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 2, image_id="two")
    return BoxDataset("toy", SPACE, samples, labels), {"one": seen, "two": none}


def test_rows_by_hand() -> None:
    dataset, seen = _world()
    matches = {k: match_boxes(seen[k], dataset.labels[k], class_aware=False) for k in seen}
    table = box_table(dataset, seen, matches)
    rows = table.to_pylist()
    assert [r["source"] for r in rows] == ["prediction"] * 3 + ["label"] * 3
    assert [r["state"] for r in rows] == ["found", "wrong_class", "false", "found", "wrong_class", "missed"]
    first = rows[0]
    assert (first["match"], first["iou"], first["near"], first["near_same"]) == (1, 1.0, 1, 1)
    assert first["near_score"] == 0.3
    assert first["occlusion"] == 2
    assert rows[1]["occlusion"] is None
    assert (first["center_x"], first["center_y"], first["border"]) == (0.2, 0.075, 0.5)
    assert (first["al_x0"], first["al_y0"], first["ep_x0"], first["class_std"]) == (1, 2, None, 0.2)
    np.testing.assert_allclose(first["sigma"], np.sqrt((2 * (1 / 20) ** 2 + 2 * (2 / 10) ** 2) / 4))
    assert first["margin"] == 1 - 0.85
    assert rows[3]["score"] is None
    assert rows[3]["size"] == 200


def test_survives_the_disk(tmp_path: Path) -> None:
    dataset, seen = _world()
    table = box_table(dataset, seen)
    pq.write_table(table, tmp_path / "boxes.parquet")
    back = pq.read_table(tmp_path / "boxes.parquet")
    assert back.to_pylist() == table.to_pylist()
    assert back.column("iou").null_count == len(back)
    assert box_table(BoxDataset("none", SPACE, (), {}), {}).schema == schema(SPACE)


def test_features_are_finite_and_know_nothing_of_labels() -> None:
    dataset, seen = _world()
    x, names = box_features(box_table(dataset, seen))
    assert x.shape == (3, len(names))
    assert np.isfinite(x).all()
    assert set(names) <= {*FEATURES, "cprob0", "cprob1"}
    assert "ep_rel_x" not in names


@given(st.integers(0, 10**6), st.floats(0.5, 4))
def test_relative_columns_do_not_change_with_the_scale(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    low = rng.random((5, 2)) * 50
    boxes = np.concatenate([low, low + 1 + rng.random((5, 2)) * 40], 1)
    variance = rng.random((5, 4)) + 0.1

    def features(factor: float) -> np.ndarray:
        seen = DetPrediction(
            boxes * factor, np.full(5, 0.5), np.zeros(5, int), 2, box_aleatoric=variance * factor**2
        )
        size = round(100 * factor)
        dataset = BoxDataset("t", SPACE, (BoxSample("i", width=size, height=size),), {"i": BoxLabels()})
        table = box_table(dataset, {"i": seen})
        return np.column_stack([table.column(n).to_numpy() for n in ("sigma", "aspect", "near", "near_iou")])

    np.testing.assert_allclose(features(1.0), features(scale), rtol=1e-9)


def test_ignored_boxes_are_told() -> None:
    labels = BoxLabels(np.array([[0, 0, 10, 10.0]]), np.array([0]), crowd=np.array([True]))
    dataset = BoxDataset("t", SPACE, (BoxSample("i"),), {"i": labels})
    seen = {"i": DetPrediction(np.array([[0, 0, 9, 9.0]]), np.array([0.9]), np.array([0]), 2)}
    table = box_table(dataset, seen, {"i": match_boxes(seen["i"], labels)})
    assert pc.unique(table.column("state")).to_pylist() == ["ignored"]
