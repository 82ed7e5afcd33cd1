"""Tiny domains whose right answers are known, and networks that are too sure by a known factor.

A picture is random colours; a pixel's label is drawn with the softmax of ``SCALE`` times its colour, so that
a network whose logits are ``sure`` times as large is calibrated by the temperature ``sure``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from dubio import Domain, load_space, open_folders
from dubio.cli.main import main

SCALE = 6.0
NAMES = ("red", "green", "blue")
VOID = 255
SIZE = (24, 32)


def write_space(path, names=NAMES):
    """A label space of these classes, numbered from 0."""
    classes = [{"id": n, "name": name} for n, name in enumerate(names)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": path.stem, "classes": classes, "void": [VOID]}))
    return path


def draw(seed, size=SIZE, *, hot=1.0):
    """A picture and its label; ``hot`` flattens the probabilities from which labels are drawn."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    z = SCALE * (image / 255.0) / hot
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    label = np.minimum((p.cumsum(-1) < rng.random((*size, 1))).sum(-1), 2).astype(np.uint8)
    label[:2] = VOID
    return image, label


def add_unknown(image, label, value):
    """A square of a dull colour, of which the network knows nothing."""
    image[8:16, 8:16] = np.random.default_rng(int(image.sum()) % 1000).integers(0, 40, (8, 8, 3))
    label[8:16, 8:16] = value


def logits(image, sure=1.0):
    """What a network says of a picture, float32 ``(3, H, W)``."""
    return np.moveaxis(sure * SCALE * (image / 255.0), -1, 0).astype(np.float32)


def write_domain(root, n=6, *, first=0, size=SIZE, hot=1.0, values=(0, 1, 2), unknown=None, sure=3.0):
    """Write pictures, labels (stored as ``values``) and scores in files."""
    for part in ("images", "labels", "scores"):
        (root / part).mkdir(parents=True, exist_ok=True)
    stored = np.full(256, VOID, np.uint8)
    stored[: len(values)] = values
    for k in range(n):
        image, label = draw(first + k, size, hot=hot)
        label = stored[label]
        if unknown is not None:
            add_unknown(image, label, unknown)
        name = f"p{first + k:03d}"
        save(root / f"images/{name}.png", image)
        save(root / f"labels/{name}.png", label)
        np.save(root / f"scores/{name}.npy", logits(image, sure))
    return root


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_network(path, sure=3.0, channels=(0, 1, 2), count=3):
    """An ONNX network of 0-1 RGB: red, green and blue are these channels; others are never likely.

    What comes before its last layer is the picture itself, so that it has features.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight, bias = np.zeros((count, 3, 1, 1), np.float32), np.full(count, -60, np.float32)
    for colour, channel in enumerate(channels):
        weight[channel, colour], bias[channel] = sure * SCALE, 0
    eye = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["image", "eye"], ["early"]),
        helper.make_node("Relu", ["early"], ["late"]),
        helper.make_node("Conv", ["late", "weight", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for a, n in ((eye, "eye"), (weight, "weight"), (bias, "bias"))],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def domain(root, name=None, space="colours.json", **more):
    """A folder with pictures, labels and a label space, as a domain."""
    dataset = open_folders(labels=root / "labels", images=root / "images", space=load_space(root / space))
    return Domain(name or root.name, dataset, **more)


def data(name, root, space, more=""):
    """The argument of --data for folders."""
    return f"{name}={root}?images=images&labels=labels&label-space={space}{more}"


def run_cli(*args) -> Result:
    """Call the command line."""
    return CliRunner().invoke(main, [str(a) for a in args])


def answer(*args, status=0):
    """Call the command line with --json; the object that it prints."""
    result = run_cli(*args, "--json")
    assert result.exit_code == status, result.stderr + str(result.exception)
    return json.loads(result.stdout)


def complaint(*args):
    """The sentence with which a command refuses."""
    result = run_cli(*args)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("dubio: ")
    return last


def cells(found):
    """Figures by model and domain."""
    return {(c["model"], c["domain"]): c for c in found["cells"]}


def shards(out: Path):
    """Finished shards of a run: name to time of change and content."""
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.glob("parts/examine-*/**/*.npz")}
