"""Small ONNX detectors whose outputs are known."""

from __future__ import annotations

import json

import numpy as np
import pytest


def _constant(path, outputs, *, size=(32, 48), batch=1, metadata=None, shared=()):
    """A network that gives these outputs for every image; those of ``shared`` have no batch axis."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "nought"], ["zero"]),
    ]
    tensors = [numpy_helper.from_array(np.zeros(1, np.float32), "nought")]
    infos = []
    for name in shared:
        values = np.asarray(outputs[name], np.float32)
        tensors.append(numpy_helper.from_array(values, f"{name}_values"))
        nodes.append(helper.make_node("Identity", [f"{name}_values"], [name]))
        infos.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values.shape))
    for name, output in outputs.items():
        if name in shared:
            continue
        values = np.asarray(output, np.float32)[None]
        tensors += [
            numpy_helper.from_array(values, f"{name}_values"),
            numpy_helper.from_array(np.array([-1] + [1] * (values.ndim - 1)), f"{name}_shape"),
        ]
        nodes += [
            helper.make_node("Reshape", ["zero", f"{name}_shape"], [f"{name}_zero"]),
            helper.make_node("Add", [f"{name}_values", f"{name}_zero"], [name]),
        ]
        infos.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *values.shape[1:]]))
    taken = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [batch, 3, *size])
    graph = helper.make_graph(nodes, "constant", [taken], infos, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def constant(tmp_path):
    """Make such a network: ``constant(outputs, size=…, batch=…, metadata=…)`` gives its path."""

    def make(outputs, name="net.onnx", **options):
        return _constant(tmp_path / name, outputs, **options)

    return make


@pytest.fixture
def card():
    """Make a card: ``card(coder, input={…}, **outputs)`` as plain data."""

    def make(coder, *, space=("cat", "dog"), pixels=None, **outputs):
        classes = [{"id": k, "name": n} for k, n in enumerate(space)]
        return {
            "format": 1,
            "task": "detection",
            "space": {"name": "toy", "classes": classes, "void": []},
            "input": {"scale": "0-255", "pad": 0, **(pixels or {})},
            "outputs": {"coder": coder, "boxes": "boxes", **outputs},
        }

    return make
