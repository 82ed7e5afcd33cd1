"""Detections in Parquet and COCO results."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes import open_detections, write_coco_results
from dubio.data.boxes.parquet import box_schema, write_parquet
from dubio.data.boxes.table import space_of

pq = pytest.importorskip("pyarrow.parquet")
SPACE = space_of("toy", ["cat", "dog", "cow"], [3, 7, 90])
FIELDS = ("boxes", "scores", "classes", "box_aleatoric", "box_epistemic", "expected_entropy")


def dataset(ids=("a", "b/c", "000007"), space=SPACE):
    samples = tuple(BoxSample(name, width=50, height=40) for name in sorted(ids))
    return BoxDataset("toy", space, samples, {s.image_id: BoxLabels() for s in samples})


def detections(seed, n, *, full=True, kind="sigmoid"):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 20, (n, 2))
    scores = rng.dirichlet(np.ones(4), n)[:, :3]
    more = {}
    if full:
        more = {
            "class_scores": scores, "kind": kind, "class_variance": rng.uniform(0, 1, (n, 3)),
            "box_aleatoric": rng.uniform(0, 9, (n, 4)), "box_epistemic": rng.uniform(0, 9, (n, 4)),
            "expected_entropy": rng.uniform(0, 1, n),
        }  # fmt: skip
    return DetPrediction(
        np.hstack([low, low + rng.uniform(0, 20, (n, 2))]), scores.max(1), scores.argmax(1), 3, **more
    )


def same(found, want):
    for name in FIELDS:
        ours, theirs = getattr(want, name), getattr(found, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_array_equal(theirs, ours, err_msg=name)
    for name in ("class_scores", "class_variance"):
        ours, theirs = getattr(want, name), getattr(found, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-9)
    assert found.kind == want.kind


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), full=st.booleans(), kind=st.sampled_from(["sigmoid", "softmax", "logits"]))
def test_all_that_a_detector_says_comes_back(tmp_path_factory, seed, full, kind):
    path = tmp_path_factory.mktemp("d") / "boxes.parquet"
    truth = dataset()
    seen = {s.image_id: detections(seed + k, 2 * k, full=full, kind=kind) for k, s in enumerate(truth)}
    write_parquet(seen, SPACE, path)
    for place in (path, path.parent):
        found = open_detections(truth, place)
        for name, want in seen.items():
            if len(want):
                same(found.predictions[name], want)
            assert len(found.predictions[name]) == len(want)
            assert found.predictions[name].image_id == name


def test_the_table_is_as_documented(tmp_path):
    write_parquet({"a": detections(0, 3)}, SPACE, tmp_path / "boxes.parquet")
    table = pq.read_table(tmp_path / "boxes.parquet")
    want = box_schema(SPACE, "sigmoid")
    assert (table.schema.names, table.schema.metadata) == (want.names, want.metadata)
    # Parquet gives the elements of lists a name of its own
    assert [table.schema.field(n).type for n in want.names[:16]] == [
        want.field(n).type for n in want.names[:16]
    ]
    assert set(table.column("name").to_pylist()) <= set(SPACE.names)
    assert [len(v) for v in table.column("class_scores").to_pylist()] == [3, 3, 3]
    bare = detections(0, 3, full=False)
    write_parquet({"a": bare}, SPACE, tmp_path / "bare.parquet")
    assert pq.read_table(tmp_path / "bare.parquet").column("al_x0").null_count == 3


def test_no_detection_at_all_is_normal(tmp_path):
    write_parquet({}, SPACE, tmp_path / "boxes.parquet")
    found = open_detections(dataset(), tmp_path)
    assert all(len(p) == 0 for p in found.predictions.values())
    assert len(found.predictions) == 3


def test_classes_are_brought_into_the_order_of_the_data_set(tmp_path):
    seen = detections(0, 6)
    write_parquet({"a": seen}, SPACE, tmp_path / "boxes.parquet")
    turned = space_of("other", ["Cow", "cat", "dog"], [1, 2, 3])
    found = open_detections(dataset(space=turned), tmp_path).predictions["a"]
    np.testing.assert_array_equal(found.classes, (seen.classes + 1) % 3)
    np.testing.assert_allclose(found.class_scores, seen.class_scores[:, [2, 0, 1]], rtol=1e-6)
    np.testing.assert_array_equal(found.class_scores.argmax(1), found.classes)
    with pytest.raises(InputError, match="not of the 2 of 'few'"):
        open_detections(dataset(space=space_of("few", ["cat", "dog"])), tmp_path)


def test_image_ids_go_before_numbers(tmp_path):
    """An image called 7 isn't the seventh, nor 000007, when ids are said."""
    truth = dataset(ids=("7", "000007"))
    write_parquet({"7": detections(0, 1), "000007": detections(1, 2)}, SPACE, tmp_path / "boxes.parquet")
    found = open_detections(truth, tmp_path).predictions
    assert (len(found["7"]), len(found["000007"])) == (1, 2)


def test_files_that_are_no_detections(tmp_path):
    import pyarrow as pa

    path = tmp_path / "boxes.parquet"
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(InputError, match="isn't readable Parquet"):
        open_detections(dataset(), path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match="no table of detections"):
        open_detections(dataset(), path)
    with pytest.raises(InputError, match="coco, yolo, parquet"):
        open_detections(dataset(), path, "csv")
    with pytest.raises(InputError, match="several kinds"):
        write_parquet({"a": detections(0, 1), "b/c": detections(0, 1, kind="logits")}, SPACE, path)
    with pytest.raises(InputError, match="3 classes"):
        write_parquet({"a": detections(0, 1)}, space_of("few", ["cat"]), path)


def test_coco_results_carry_all_or_only_what_others_read(tmp_path):
    truth = dataset(ids=("000007", "000139"))
    seen = {s.image_id: detections(k, 3) for k, s in enumerate(truth)}
    write_coco_results(truth, seen, tmp_path / "full.json")
    same(open_detections(truth, tmp_path / "full.json").predictions["000139"], _rounded(seen["000139"]))
    write_coco_results(truth, seen, tmp_path / "plain.json", extras=False)
    records = json.loads((tmp_path / "plain.json").read_text())
    assert {frozenset(r) for r in records} == {frozenset(("image_id", "category_id", "bbox", "score"))}
    write_coco_results(truth, {}, tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []


def _rounded(seen):
    """Corners as they come back from widths."""
    from dataclasses import replace

    size = seen.boxes[:, 2:] - seen.boxes[:, :2]
    return replace(seen, boxes=np.hstack([seen.boxes[:, :2], seen.boxes[:, :2] + size]))


def test_defect_images_named_by_numbers_keep_them(tmp_path):
    """Counted from 1, the results of 000002 would be read as those of 000001's neighbour."""
    truth = dataset(ids=("000002", "000005"))
    write_coco_results(truth, {"000002": detections(0, 1), "000005": detections(1, 2)}, tmp_path / "r.json")
    assert {r["image_id"] for r in json.loads((tmp_path / "r.json").read_text())} == {2, 5}
    found = open_detections(truth, tmp_path / "r.json").predictions
    assert (len(found["000002"]), len(found["000005"])) == (1, 2)
