"""Detectors in ONNX files: every kind of head, with known outputs, and three real networks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import special

from dubio.core.errors import InputError
from dubio.models.det.card import DetectorCard
from dubio.models.det.decode import decode_head
from dubio.models.det.load import load_detector
from dubio.uncertainty.boxes import DeltaCoder, DistanceCoder, compare_decodings
from dubio.uncertainty.boxes.suppress import Suppression

SIZE = (32, 48)
ALL = Suppression(score=0, limit=None, iou=1)
PICTURE = np.zeros((64, 96, 3), np.uint8)  # twice the input


def found_by(path, card, picture=PICTURE, **options):
    options.setdefault("suppression", ALL)
    model = load_detector(path, DetectorCard.from_dict(card), **options)
    return model.detect([picture], ["a"])[0], model


def ordered(seen):
    return seen.take(np.lexsort(seen.boxes.T))


def test_corners_with_separate_scores(constant, card):
    boxes = np.array([[0, 0, 8, 4], [10, 10, 30, 20.0]])
    logits = np.array([[2.0, -1, 0], [-3, 1, 0.5]])
    path = constant({"boxes": boxes, "scores": logits})
    seen, model = found_by(path, card("corners", logits="scores", score_kind="softmax", background="last"))
    p = special.softmax(logits, 1)[:, :2]
    np.testing.assert_allclose(ordered(seen).boxes, 2 * boxes, rtol=1e-6)
    np.testing.assert_allclose(ordered(seen).class_scores, p, rtol=1e-6)
    assert ordered(seen).classes.tolist() == [0, 1]
    assert (seen.kind, seen.image_id, seen.box_aleatoric) == ("softmax", "a", None)
    assert any("none" in line for line in model.describe() if line.startswith("variances"))
    first, _ = found_by(path, card("corners", logits="scores", score_kind="softmax", background="first"))
    np.testing.assert_allclose(ordered(first).class_scores, special.softmax(logits, 1)[:, 1:], rtol=1e-6)


def test_corners_relative_centre_in_the_same_rows(constant, card):
    """The forms of YOLOv8 (transposed, pixels) and YOLOv5 (with objectness)."""
    rows = np.array([[0.5, 0.5, 0.25, 0.5, 0.9, 0.2]])
    seen, _ = found_by(
        constant({"boxes": rows.T}),
        card("corners", form="cxcywh", unit="relative", activated=True, transposed=True),
    )
    np.testing.assert_allclose(seen.boxes, [[36, 16, 60, 48]])
    np.testing.assert_allclose(seen.class_scores, [[0.9, 0.2]], rtol=1e-6)
    five = np.array([[24, 16, 12, 16, 0.5, 0.9, 0.2]])
    seen, _ = found_by(
        constant({"boxes": five}), card("corners", form="cxcywh", activated=True, objectness=True)
    )
    np.testing.assert_allclose(seen.boxes, [[36, 16, 60, 48]])
    np.testing.assert_allclose(seen.class_scores, [[0.45, 0.1]], rtol=1e-6)


def delta_net(constant, rng, *, n=6, samples=0, batch=1, shared=()):
    lead = (samples,) if samples else ()
    centre, half = rng.uniform([8, 8], [40, 24], (n, 2)), rng.uniform(2, 6, (n, 2))
    out = {
        "logits": rng.normal(0, 1, (*lead, n, 2)),
        "boxes": rng.normal(0, 0.2, (*lead, n, 4)),
        "log_variance": rng.normal(-4, 0.5, (*lead, n, 4)),
        "reference": np.hstack([centre - half, centre + half]),
    }
    out = {k: v.astype(np.float32) for k, v in out.items()}
    return constant(out, batch=batch, shared=shared), out


def test_deltas_with_predicted_variances(constant, card):
    path, out = delta_net(constant, np.random.default_rng(0))
    how = {"logits": "logits", "log_variance": "log_variance", "reference": "reference", "clamp": 4.0}
    seen, model = found_by(path, card("delta", **how, weights=[10, 10, 5, 5]))
    coder = DeltaCoder((10, 10, 5, 5), 4.0)
    want = coder.decode(out["boxes"], np.exp(out["log_variance"].astype(float)), out["reference"])
    order = np.argsort(-special.expit(out["logits"]).max(1))
    np.testing.assert_allclose(seen.boxes, 2 * want.mean[order], rtol=1e-6)
    np.testing.assert_allclose(seen.box_aleatoric, 4 * want.variance[order], rtol=1e-6)
    assert seen.box_epistemic is None
    assert "aleatoric, predicted" in "\n".join(model.describe())
    plain, _ = found_by(path, card("delta", **{**how, "log_variance": None}))
    assert plain.box_aleatoric is None


def test_samples_within_the_file_give_both_uncertainties(constant, card):
    path, out = delta_net(constant, np.random.default_rng(1), samples=5)
    how = {"logits": "logits", "log_variance": "log_variance", "reference": "reference", "samples": True}
    seen, model = found_by(path, card("delta", **how))
    decoded = [
        DeltaCoder(clamp=None).decode(b, np.exp(v.astype(float)), out["reference"])
        for b, v in zip(out["boxes"], out["log_variance"], strict=True)
    ]
    means = np.stack([d.mean for d in decoded])
    scores = special.expit(out["logits"].astype(float))
    order = np.argsort(-scores.mean(0).max(1))
    np.testing.assert_allclose(seen.boxes, 2 * means.mean(0)[order], rtol=1e-5)
    np.testing.assert_allclose(seen.box_epistemic, 4 * means.var(0)[order], rtol=1e-4)
    aleatoric = np.mean([d.variance for d in decoded], axis=0)
    np.testing.assert_allclose(seen.box_aleatoric, 4 * aleatoric[order], rtol=1e-5)
    np.testing.assert_allclose(seen.class_scores, scores.mean(0)[order], rtol=1e-5)
    np.testing.assert_allclose(seen.class_variance, scores.var(0)[order], rtol=1e-4)
    assert (seen.expected_entropy > 0).all()
    assert "x 5 samples" in "\n".join(model.describe())


@pytest.mark.parametrize("kind", ["linear", "exponential"])
def test_distances(constant, card, kind):
    rng = np.random.default_rng(2)
    out = {
        "logits": rng.normal(0, 1, (4, 2)),
        "boxes": rng.uniform(0.2, 0.6, (4, 4)),
        "log_variance": rng.normal(-4, 0.5, (4, 4)),
        "reference": np.hstack([rng.uniform(12, 20, (4, 2)), np.full((4, 1), 8.0)]),
    }
    out = {k: v.astype(np.float32) for k, v in out.items()}
    how = {"logits": "logits", "log_variance": "log_variance", "reference": "reference", "distances": kind}
    seen, _ = found_by(constant(out), card("distance", **how))
    want = DistanceCoder(kind).decode(
        out["boxes"], np.exp(out["log_variance"].astype(float)), out["reference"][:, :2], 8.0
    )
    order = np.argsort(-out["logits"].max(1))
    np.testing.assert_allclose(seen.boxes, 2 * want.mean[order], rtol=1e-6)
    np.testing.assert_allclose(seen.box_aleatoric, 4 * want.variance[order], rtol=1e-6)


def test_distributions_over_levels(constant, card):
    """Bins of two strides: the mean distance and its variance, from the cells' middles."""
    parts = {"boxes8": np.full((24, 16), -30.0), "boxes16": np.full((6, 16), -30.0)}
    for part in parts.values():
        part[:, 1::4] = 0.0  # one bin: distance 1
    parts["boxes8"][9, [0, 2]] = 0.0  # left of cell 9: distances 0, 1, 2
    scores = {"scores8": np.full((24, 2), 0.01), "scores16": np.full((6, 2), 0.01)}
    scores["scores8"][9] = [0.7, 0.1]
    spec = card(
        "distribution",
        boxes=["boxes8", "boxes16"],
        logits=["scores8", "scores16"],
        strides=[8, 16],
        activated=True,
    )
    seen, _ = found_by(constant({**parts, **scores}), spec, suppression=Suppression(score=0.5))
    # cell 9 of a 4 x 6 grid: row 1, column 3
    np.testing.assert_allclose(seen.boxes, 2 * np.array([[20, 4, 36, 20]]), rtol=1e-6)
    np.testing.assert_allclose(seen.box_aleatoric, [[4 * 64 * 2 / 3, 0, 0, 0]], atol=1e-6)


def test_yolox_cells_and_objectness(constant, card):
    rows = np.zeros((24 + 6, 7))
    rows[:, 4:] = 0.001
    rows[7] = [0.5, 0.25, math.log(2), 0, 0.8, 0.9, 0.5]  # row 1, column 1 of stride 8
    seen, model = found_by(
        constant({"boxes": rows}),
        card("yolox", strides=[8, 16], activated=True),
        suppression=Suppression(score=0.1),
    )
    np.testing.assert_allclose(seen.boxes, 2 * np.array([[4, 6, 20, 14]]), rtol=1e-6)
    np.testing.assert_allclose(seen.class_scores, [[0.72, 0.4]], rtol=1e-6)
    assert model.raw(PICTURE).means.shape == (1, 30, 4)


def test_fastestdet_scores_are_products_of_powers(constant, card):
    field = np.zeros((7, 2, 3))
    field[0], field[5:] = 0.01, 0.5
    field[:, 1, 2] = [
        0.9,
        np.arctanh(0.5),
        np.arctanh(0.25),
        special.logit(0.25),
        special.logit(0.5),
        0.8,
        0.2,
    ]
    how = {
        "strides": [16],
        "activated": True,
        "score_kind": "softmax",
        "score": {"objectness": 0.6, "class": 0.4},
    }
    seen, _ = found_by(
        constant({"boxes": field}), card("fastestdet", **how), suppression=Suppression(score=0.2)
    )
    np.testing.assert_allclose(seen.boxes, 2 * np.array([[34, 12, 46, 28]]), rtol=1e-5)
    np.testing.assert_allclose(seen.scores, [0.9**0.6 * 0.8**0.4], rtol=1e-6)
    np.testing.assert_allclose(seen.class_scores, [[0.72, 0.18]], rtol=1e-6)


@pytest.mark.parametrize("activated", [True, False])
@pytest.mark.parametrize(("kind", "background"), [("sigmoid", None), ("softmax", "last"), ("softmax", None)])
def test_the_quick_look_at_scores_leaves_nothing_out(constant, card, activated, kind, background):
    rng = np.random.default_rng(5)
    n = 300
    boxes = np.sort(rng.uniform(0, 30, (n, 2, 2)), axis=1).reshape(n, 4)
    logits = rng.normal(-2, 3, (n, 3 if background else 2))
    link = special.expit if kind == "sigmoid" else lambda z: special.softmax(z, 1)
    out = {"boxes": boxes, "scores": link(logits) if activated else logits}
    path = constant(out)
    how = card("corners", logits="scores", score_kind=kind, activated=activated, background=background)
    for floor in (0.001, 0.3, 0.9):
        seen, _ = found_by(path, how, suppression=Suppression(score=floor, limit=None, iou=1))
        want = link(logits.astype(np.float32).astype(float))[:, :2].max(1)
        np.testing.assert_allclose(seen.scores, np.sort(want[want >= floor])[::-1], rtol=1e-5)


@pytest.mark.parametrize("shared", [(), ("reference",)])
@pytest.mark.parametrize("batch", [1, 4, None])
def test_images_of_all_sizes_in_any_batch(constant, card, batch, shared):
    """Anchors may have a batch axis or not."""
    path, _ = delta_net(constant, np.random.default_rng(0), batch=batch, shared=shared)
    how = card("delta", logits="logits", log_variance="log_variance", reference="reference")
    _, model = found_by(path, how)
    sizes = [(64, 96), (5, 7), (1, 1), (200, 30), (32, 48), (33, 47), (64, 96)]
    images = [np.zeros((*s, 3), np.uint8) for s in sizes]
    found = model.detect(images, [str(k) for k in range(7)])
    assert [p.image_id for p in found] == [str(k) for k in range(7)]
    for seen, (height, width) in zip(found, sizes, strict=True):
        assert (seen.boxes >= 0).all()
        assert (seen.boxes <= [width, height, width, height]).all()
        assert ((seen.boxes[:, 2:] - seen.boxes[:, :2]) > 0).all()
    np.testing.assert_array_equal(found[0].boxes, found[6].boxes)
    np.testing.assert_allclose(found[4].boxes * 2, found[0].boxes, rtol=1e-9)
    np.testing.assert_allclose(found[4].box_aleatoric * 4, found[0].box_aleatoric, rtol=1e-9)
    assert model.detect([], []) == []


def test_an_image_without_anything_gives_no_box(constant, card):
    path, _ = delta_net(constant, np.random.default_rng(0))
    how = card("delta", logits="logits", log_variance="log_variance", reference="reference")
    seen, _ = found_by(path, how, suppression=Suppression(score=0.999))
    assert len(seen) == 0
    assert seen.box_aleatoric.shape == (0, 4)


def test_decodings_can_be_compared(constant, card):
    path, _ = delta_net(constant, np.random.default_rng(3), n=200)
    how = card("delta", logits="logits", log_variance="log_variance", reference="reference")
    exact, model = found_by(path, how)
    head = model.raw(PICTURE)
    boxes, variances = decode_head(head, model.card.outputs)
    table = compare_decodings(
        head.means[0], head.variances[0], head.reference, boxes[0], coder=DeltaCoder(clamp=None), repeats=1
    )
    assert table.column("rmse_px")[0].as_py() == pytest.approx(0, abs=1e-9)
    sampled, _ = found_by(path, how, decode="sample", seed=4)
    again, _ = found_by(path, how, decode="sample", seed=4)
    np.testing.assert_array_equal(sampled.boxes, again.boxes)
    np.testing.assert_allclose(sampled.boxes, exact.boxes, atol=3)
    assert not np.array_equal(sampled.boxes, exact.boxes)
    flow, _ = found_by(path, how, decode="n-flow")
    np.testing.assert_array_equal(flow.boxes, exact.boxes)
    assert variances.shape == boxes.shape == (1, 200, 4)


def test_the_card_in_the_file_is_read_and_overruled(constant, card):
    spec = card("corners", activated=True)
    out = {"boxes": np.array([[0, 0, 8, 8, 0.9, 0.1]])}
    path = constant(out, metadata={"dubio.detector": spec})
    model = load_detector(path)
    assert "metadata of the file" in "\n".join(model.describe())
    assert model.space.names == ("cat", "dog")
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps(card("corners", space=("x", "y"), activated=True)))
    assert load_detector(path).space.names == ("x", "y")
    assert load_detector(path, DetectorCard.from_dict(spec)).space.names == ("cat", "dog")
    sidecar.write_text('{"epoch": 3}')
    assert load_detector(path).space.names == ("cat", "dog")


def test_exports_of_ultralytics_say_all_themselves(constant):
    rows = np.array([[24.0, 16, 12, 16, 0.9, 0.2]])
    names = {"names": "{0: 'cat', 1: 'dog'}", "stride": "32", "task": "detect", "imgsz": "[32, 48]"}
    path = constant({"output0": np.repeat(rows, 84, 0).T}, metadata=names)
    model = load_detector(path, suppression=Suppression())
    seen = model.detect([PICTURE], ["a"])[0]
    assert model.space.names == ("cat", "dog")
    np.testing.assert_allclose(seen.boxes, [[36, 16, 60, 48]])
    five = constant({"output0": [[24, 16, 12, 16, 0.5, 0.9, 0.2]]}, metadata={**names, "task": "detect"})
    np.testing.assert_allclose(load_detector(five).detect([PICTURE], ["a"])[0].scores, [0.45], rtol=1e-6)
    ended = constant({"output0": np.zeros((300, 6))}, metadata={**names, "names": "{0: 'a', 1: 'b', 2: 'c'}"})
    with pytest.raises(InputError, match="nms=False"):
        load_detector(ended)
    with pytest.raises(InputError, match="'pose'"):
        load_detector(constant({"output0": rows}, metadata={**names, "task": "pose"}))


def test_what_does_not_fit_is_said(constant, card, tmp_path):
    out = {"boxes": np.array([[0, 0, 8, 8, 0.9, 0.1]])}
    path = constant(out)
    with pytest.raises(InputError, match=r"doesn't say.*\(boxes\).*yolox"):
        load_detector(path)
    for spec, words in (
        (card("corners", boxes="elsewhere", logits="scores", activated=True), "has no output 'elsewhere'"),
        (card("corners", space=("a", "b", "c"), activated=True), "2 classes"),
        (card("yolox", strides=[8], activated=True), "1 candidates"),
        (card("corners", activated=True, pixels={"size": [64, 64]}), "32 x 48 only"),
        (card("distribution", logits="boxes", strides=[8]), "multiple of 4|6 columns"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            load_detector(path, DetectorCard.from_dict(spec))
        assert "net.onnx" in str(caught.value) or "multiple" in words
    with pytest.raises(InputError, match="needs predicted variances"):
        load_detector(path, DetectorCard.from_dict(card("corners", activated=True)), decode="sample")
    with pytest.raises(InputError, match="no decoding 'magic'"):
        load_detector(path, DetectorCard.from_dict(card("corners", activated=True)), decode="magic")
    broken = constant({"boxes": np.array([[0, 0, np.nan, 8, 0.9, 0.1]])})
    with pytest.raises(InputError, match="aren't finite"):
        load_detector(broken, DetectorCard.from_dict(card("corners", activated=True)))
    for name, words in (("none.onnx", "doesn't exist"), ("net.pth", "no detector")):
        if words == "no detector":
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match=words):
            load_detector(tmp_path / name)
    (tmp_path / "bad.onnx").write_bytes(b"no network at all")
    with pytest.raises(InputError, match=r"bad\.onnx"):
        load_detector(tmp_path / "bad.onnx", "yolox")


def test_unnamed_classes_are_numbered_and_can_be_named(constant, card):
    spec = {**card("corners", activated=True), "space": None}
    path = constant({"boxes": np.array([[0, 0, 8, 8, 0.9, 0.1]])})
    assert load_detector(path, DetectorCard.from_dict(spec)).space.names == ("class 0", "class 1")
    named = {"name": "own", "classes": [{"id": 3, "name": "a"}, {"id": 5, "name": "b"}]}
    assert load_detector(path, DetectorCard.from_dict({**spec, "space": named})).space.ids == (3, 5)


def test_the_key_changes_with_whatever_changes_detections(constant, card):
    path, _ = delta_net(constant, np.random.default_rng(0))
    how = card("delta", logits="logits", log_variance="log_variance", reference="reference")
    keys = [
        found_by(path, spec, **options)[1].key()
        for spec, options in (
            (how, {}),
            (how, {"suppression": Suppression()}),
            (how, {"decode": "sample"}),
            (how, {"decode": "sample", "seed": 1}),
            ({**how, "input": {"scale": "0-1"}}, {}),
        )
    ]
    assert all(a != b for k, a in enumerate(keys) for b in keys[:k])
    assert found_by(path, how)[1].key() == keys[0]
    json.dumps(keys)


@pytest.mark.parametrize(
    ("file", "name", "ap"),
    [
        ("yolox_nano_coco80", "yolox", 0.369),
        ("nanodet_m_320_coco80", "nanodet", 0.298),
        ("fastestdet_coco80", "fastestdet", 0.220),
    ],
)
def test_average_precision_of_real_networks(shared, file, name, ap):
    """Against a plain implementation on the same 96 images (torch, torchvision NMS, pycocotools)."""
    from dubio.data.boxes import open_boxes
    from dubio.data.images import read_image
    from dubio.reliability.boxes.average_precision import average_precision

    folder = shared / "data/coco_val_subset"
    truth = open_boxes(folder / "object_detection", images=folder / "images/val2017")
    how = Suppression(iou=0.6, score=0.005)
    model = load_detector(shared / f"data/models/{file}.onnx", name, suppression=how)
    seen = {s.image_id: model.detect([read_image(s.image)], [s.image_id])[0] for s in truth}
    assert average_precision(truth, seen).ap == pytest.approx(ap, abs=0.01)
    if name == "nanodet":
        assert all((p.box_aleatoric >= 0).all() for p in seen.values())
