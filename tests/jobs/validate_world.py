"""Small sets of boxes with known answers, and random ones with true uncertainties."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of

SPACE = space_of("farm", ["cow", "hen"])


def seen(boxes, scores, classes, **more):
    """Detections; ``n_classes`` is that of the farm."""
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    return DetPrediction(boxes, np.asarray(scores, float), np.asarray(classes, np.int64), len(SPACE), **more)


def labels(boxes, classes, **more):
    """Labelled boxes."""
    return BoxLabels(np.asarray(boxes, float).reshape(-1, 4), np.asarray(classes, np.int64), **more)


def dataset(by_image, size=(100, 200), images=None):
    """A data set of labels by image id."""
    samples = tuple(
        BoxSample(name, None if images is None else images / f"{name}.png", size[1], size[0])
        for name in sorted(by_image)
    )
    return BoxDataset("farm", SPACE, samples, by_image)


def tiny():
    """Three images: found and false, wrong class and missed, and one without anything."""
    truth = {
        "a": labels([[10, 10, 30, 30], [50, 50, 90, 90]], [0, 1]),
        "b": labels([[0, 0, 40, 20], [100, 50, 140, 90]], [1, 0]),
        "c": labels([], []),
    }
    found = {
        "a": seen(
            [[10, 10, 30, 28], [50, 54, 90, 90], [150, 10, 170, 30]], [0.9, 0.8, 0.6], [0, 1, 0],
            box_aleatoric=[[1, 4, 9, 16], [4, 4, 4, 4], [25, 25, 25, 25]],
            box_epistemic=[[0, 0, 0, 0], [12, 12, 12, 12], [0, 0, 0, 0]],
        ),
        "b": seen(
            [[0, 0, 40, 20]], [0.7], [0], box_aleatoric=[[1, 1, 1, 1]], box_epistemic=[[3, 3, 3, 3]]
        ),
    }  # fmt: skip
    return dataset(truth), found


def crowd_of(n_images=40, per_image=6, seed=0, sigma_factor=1.0, epistemic=True):
    """Detections whose residuals are normal with the stated sigma over ``sigma_factor``."""
    rng = np.random.default_rng(seed)
    truth, found = {}, {}
    for k in range(n_images):
        low = rng.uniform([0, 0], [900, 400], (per_image, 2))
        side = rng.uniform(30, 90, (per_image, 2))
        boxes, classes = np.hstack([low, low + side]), rng.integers(0, 2, per_image)
        sigma = rng.uniform(0.5, 4, (per_image, 4))
        got = boxes + rng.normal(size=boxes.shape) * sigma
        score = np.clip(rng.beta(4, 2, per_image), 0.06, 0.99)
        away = low[:1] + np.array([0, 500])  # below all labels: false
        extra = np.hstack([away, away + np.array([20, 40])])
        share = rng.uniform(0.2, 0.8, (per_image + 1, 4))
        variance = (np.vstack([sigma, [[3, 3, 3, 3]]]) * sigma_factor) ** 2
        kinds = {"box_aleatoric": variance * share, "box_epistemic": variance * (1 - share)}
        if not epistemic:
            kinds = {"box_aleatoric": variance}
        all_classes = np.append(classes, 0)
        p = np.full((per_image + 1, 2), 0.1)
        p[np.arange(per_image + 1), all_classes] = np.append(score, 0.3)
        name = f"im{k:03d}"
        truth[name] = labels(boxes, classes, occlusion=rng.integers(0, 3, per_image).astype(float))
        found[name] = seen(
            np.vstack([got, extra]), np.append(score, 0.3), all_classes, class_scores=p, kind="sigmoid",
            image_id=name, **kinds,
        )  # fmt: skip
    return dataset(truth, (1000, 1000)), found


def draw(folder, names, size=(100, 200)):
    """Plain pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        Image.fromarray(np.full((*size, 3), (40 + 10 * k) % 256, np.uint8)).save(folder / f"{name}.png")
    return folder


SIDE, CELL = 64, 8


def squares_detector(path, log_variance=-4.0, coder="delta"):
    """An ONNX detector of squares of 8 x 8 pixels: mean red of a cell is its score of cow, green of hen."""
    import json

    import pytest

    onnx = pytest.importorskip("onnx")
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    y, x = np.mgrid[: SIDE // CELL, : SIDE // CELL].reshape(2, -1) * CELL
    anchors = np.stack([x, y, x + CELL, y + CELL], 1).astype(np.float32)
    zeros = np.full((1, len(anchors), 4), 0, np.float32)
    if coder == "distance":  # half a cell to all sides of its middle
        anchors, zeros = np.stack([x + 4, y + 4, 0 * x + CELL], 1).astype(np.float32), zeros + np.float32(0.5)
    spread = zeros * 0 + np.float32(log_variance)
    values = {"deltas": zeros, "spread": spread, "cells": anchors[None]}
    nodes = [
        helper.make_node(
            "AveragePool", ["images"], ["means"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]
        ),
        helper.make_node("Slice", ["means", "from", "to", "axis"], ["two"]),
        helper.make_node("Reshape", ["two", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["scores"], perm=[0, 2, 1]),
        *[helper.make_node("Identity", [f"{name}_"], [name]) for name in values],
    ]
    tensors = [tensor(v, f"{name}_") for name, v in values.items()]
    tensors += [tensor(np.array(v), n) for n, v in (("from", [0]), ("to", [2]), ("axis", [1]))]
    tensors.append(tensor(np.array([1, 2, len(anchors)]), "shape"))
    info = helper.make_tensor_value_info
    outputs = [info("scores", 1, [1, len(anchors), 2])]
    outputs += [info(name, 1, list(v.shape)) for name, v in values.items()]
    graph = helper.make_graph(nodes, "squares", [info("images", 1, [1, 3, SIDE, SIDE])], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spec = {"coder": coder, "boxes": "deltas", "logits": "scores", "activated": True, "reference": "cells"}
    if coder == "corners":
        spec = {"coder": coder, "boxes": "cells", "logits": "scores", "activated": True}
    else:
        spec["log_variance"] = "spread"
    classes = [{"id": k, "name": n} for k, n in enumerate(SPACE.names)]
    card = {
        "format": 1, "task": "detection", "space": {"name": "farm", "classes": classes, "void": []},
        "input": {"size": [SIDE, SIDE], "pad": 0}, "outputs": spec,
    }  # fmt: skip
    entry = model.metadata_props.add()
    entry.key, entry.value = "dubio.detector", json.dumps(card)
    onnx.save(model, str(path))
    return path


def squares(folder, n=12):
    """Pictures of squares, their COCO file, and one picture of nothing; labels are a pixel off."""
    import json

    (folder / "images").mkdir(parents=True, exist_ok=True)
    records = {"images": [], "annotations": [], "categories": []}
    for k, name in enumerate(SPACE.names):
        records["categories"].append({"id": k + 1, "name": name})
    for number in range(n):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        records["images"].append(
            {"id": number + 1, "file_name": f"p{number:02d}.png", "width": SIDE, "height": SIDE}
        )
        for k in range(number % 4):
            x, y = CELL * ((3 * k + number) % 8), CELL * ((2 * k + 1) % 8)
            pixels[y : y + CELL, x : x + CELL, k % 2] = 250 - 30 * k
            records["annotations"].append(
                {
                    "id": len(records["annotations"]) + 1, "image_id": number + 1, "iscrowd": 0, "area": 56,
                    "category_id": 1 + k % 2, "bbox": [x, y, CELL, CELL - 1],
                }
            )  # fmt: skip
        Image.fromarray(pixels).save(folder / f"images/p{number:02d}.png")
    (folder / "labels.json").write_text(json.dumps(records))
    return folder
