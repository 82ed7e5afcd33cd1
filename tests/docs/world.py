"""The files that the pages speak of: a small yard of crates, a street in two published layouts, networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from ..toy import logits, picture, scene

N = 12
YARD = """name = "yard"
void = [255]

[[classes]]
id = 0
name = "ground"
color = [120, 120, 120]

[[classes]]
id = 1
name = "crate"
color = [220, 60, 60]

[[classes]]
id = 2
name = "wall"
color = [60, 60, 220]
"""
# What the toy scenes' ground, box, wall and void are in other label spaces, as stored; 255: void.
RAW = (7, 33, 40, 0)
CITY_IDS = (7, 26, 11, 4)  # road, car, building, static
CAMVID_IDS = (3, 8, 1, 11)
CITY_TRAIN = (0, 13, 2)
# Grey levels of the toy pictures.
GREY = (90.0, 180.0, 140.0)


def make_world(root: Path) -> Path:
    """Write everything once; pages get copies."""
    for name in ("masks", "masks-raw", "pictures", "scores"):
        (root / name).mkdir(parents=True)
    (root / "yard.toml").write_text(YARD)
    for n in range(N):
        truth, label = _scene(n)
        name = f"yard_{n:02d}"
        _save(root / f"masks/{name}.png", label, (0, 1, 2, 255))
        _save(root / f"masks-raw/{name}.png", label, RAW)
        Image.fromarray(picture(truth, n)).save(root / f"pictures/{name}.png")
        np.save(root / f"scores/{name}.npy", logits(truth, n))
    shutil.copytree(root / "scores", root / "train/scores")
    _streets(root)
    network(root / "net.onnx", dict(enumerate(GREY)), 3)
    network(root / "net19.onnx", dict(zip(CITY_TRAIN, GREY, strict=True)), 19)
    return root


def _scene(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A scene, and its label; in every second one a box is not labelled."""
    from scipy import ndimage

    truth = scene(n)
    label = truth.copy()
    if n % 2 == 0:
        ids, _ = ndimage.label(truth == 1)
        label[ids == np.bincount(ids.ravel())[1:].argmax() + 1] = 0
    return truth, label


def _save(path: Path, label: np.ndarray, values: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)[label]).save(path)


def _streets(root: Path) -> None:
    for n in range(6):
        truth, label = _scene(n)
        stem = f"town_{n:06d}_000019"
        city, camvid = root / "cityscapes", root / "CamVid"
        _save(city / f"gtFine/val/town/{stem}_gtFine_labelIds.png", label, CITY_IDS)
        _save(camvid / f"labels/val/0016E5_{n:05d}.png", label, CAMVID_IDS)
        for path in (
            city / f"leftImg8bit/val/town/{stem}_leftImg8bit.png",
            camvid / f"images/val/0016E5_{n:05d}.png",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(truth, n)).save(path)


def network(path: Path, grey: dict[int, float], channels: int) -> None:
    """Write an ONNX network: the mean of 5 x 5 pixels of RGB 0-255, and how near it is to each grey level."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((channels, 3, 1, 1), np.float32)
    bias = np.full(channels, -20, np.float32)
    for index, level in grey.items():
        # -(x - level)² / 400 but for what all classes share
        weight[index], bias[index] = 2 * level / 400 / 3, -(level**2) / 400
    bias[[c for c in range(channels) if c not in grey]] = -100
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["mean"], kernel_shape=[5, 5], pads=[2, 2, 2, 2], count_include_pad=0
        ),
        helper.make_node("Conv", ["mean", "weight", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
