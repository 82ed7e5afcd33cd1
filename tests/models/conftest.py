"""Tiny networks and data sets for the tests of the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample

# Three classes that prefer red, green and blue; scores depend on a pixel alone.
WEIGHTS = np.array([[4, -1, -1], [-1, 4, -1], [-1, -1, 4]], np.float32)


@pytest.fixture
def space() -> LabelSpace:
    """Red, green and blue things."""
    return LabelSpace.from_dict(
        {
            "name": "primaries",
            "classes": [{"id": n, "name": c} for n, c in enumerate(("red", "green", "blue"))],
        }
    )


@pytest.fixture
def onnx_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a pointwise ONNX network: a 1 x 1 convolution and what the keywords ask for."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto

    def write(
        *,
        name: str = "net.onnx",
        tail: str = "",
        dims: tuple[Any, ...] = ("n", 3, "h", "w"),
        weights: np.ndarray = WEIGHTS,
        metadata: dict[str, str] | None = None,
        kind: int = kinds.FLOAT,
    ) -> Path:
        kernel = onnx.numpy_helper.from_array(weights.reshape(len(weights), 3, 1, 1), "kernel")
        nodes, last = [], "image"
        if kind != kinds.FLOAT:
            nodes.append(helper.make_node("Cast", [last], ["floats"], to=kinds.FLOAT))
            last = "floats"
        if dims[-1] == 3:
            nodes.append(helper.make_node("Transpose", [last], ["planes"], perm=[0, 3, 1, 2]))
            last = "planes"
        nodes.append(helper.make_node("Conv", [last, "kernel"], ["conv"]))
        last, out_kind = "conv", kinds.FLOAT
        if tail == "softmax":
            nodes.append(helper.make_node("Softmax", [last], ["soft"], axis=1))
            last = "soft"
        if tail == "argmax":
            nodes.append(helper.make_node("ArgMax", [last], ["best"], axis=1, keepdims=0))
            last, out_kind = "best", kinds.INT64
        if dims[-1] == 3:
            nodes.append(helper.make_node("Transpose", [last], ["back"], perm=[0, 2, 3, 1]))
            last = "back"
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("image", kind, list(dims))],
            [helper.make_tensor_value_info(last, out_kind, None)],
            [kernel],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if metadata:
            helper.set_model_props(model, metadata)
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    return write


def blocks(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of coloured blocks with noise, and its label."""
    rng = np.random.default_rng(seed)
    label = np.kron(rng.integers(0, 3, (-(-height // 8), -(-width // 8))), np.ones((8, 8), int))
    label = label[:height, :width].astype(np.uint8)
    image = np.eye(3)[label] * 160 + rng.integers(0, 60, (height, width, 3))
    return image.astype(np.uint8), label


@pytest.fixture
def block_data(tmp_path: Path, space: LabelSpace) -> Callable[..., Dataset]:
    """Write pictures of coloured blocks with labels and open them as a data set."""

    def write(
        count: int = 4, sizes: tuple[tuple[int, int], ...] = ((40, 56),), name: str = "blocks"
    ) -> Dataset:
        root, samples = tmp_path / name, []
        for part in ("images", "labels"):
            (root / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, label = blocks(number, *sizes[number % len(sizes)])
            paths = root / "images" / f"p{number}.png", root / "labels" / f"p{number}.png"
            Image.fromarray(image).save(paths[0])
            Image.fromarray(label).save(paths[1])
            samples.append(Sample(f"p{number}", *paths))
        return Dataset(name, space, tuple(samples), root=root)

    return write
