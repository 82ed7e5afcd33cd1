"""Taps into ONNX files: the graph is cut after an inner tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError, MissingExtraError
from dubio.models.card import Size
from dubio.models.layers import Inner, last_stage, unknown_layer

Session = Callable[[bytes], Any]
_FLOATS = (1, 10, 11, 16)  # float, float16, double, bfloat16 in ONNX's numbering
# what computes shapes, not maps
_NO_MAP = ("Cast", "Constant", "ConstantOfShape", "Gather", "Shape", "Slice", "Squeeze", "Unsqueeze")


def cut(path: Path, layer: str | None, size: Size, *, last: bool, start: Session) -> tuple[str, str, Any]:
    """Open an ONNX file up to one of its layers.

    Args:
        path: the file.
        layer: name of an inner tensor; ``None``: the end of the backbone.
        size: height and width of a trial image.
        last: whether the channels are the last axis of the input.
        start: opens a session on a serialised model.

    Returns:
        The layer, why it was taken, and a session whose only output it is.

    Raises:
        InputError: there is no such layer, or the file can't be read.
        MissingExtraError: the package ``onnx`` isn't installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("taking features from an ONNX file", "onnx") from error
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise InputError("can't be opened for its inner layers", path=path) from error
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    (image,) = (i.name for i in graph.input if i.name not in weights)
    scores = {output.name for output in graph.output}
    if layer is None:
        inner = [t for t in _inner(model, image, size, last, start) if t.name not in scores]
        layer, why = last_stage(inner, image, size)
    else:
        if all(layer not in node.output for node in graph.node):
            maps = [name for node in graph.node if node.op_type not in _NO_MAP for name in node.output]
            raise unknown_layer(layer, filter(None, maps))
        why = "named"
    _keep(graph, [layer])
    return layer, why, start(model.SerializeToString())


def _keep(graph: Any, names: list[str]) -> None:
    """Leave only what the named tensors are computed from; they become the outputs."""
    import onnx

    needed, nodes = set(names), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            # what the bodies of loops and branches take from outside
            for attribute in node.attribute:
                needed.update(name for inner in attribute.g.node for name in inner.input)
            nodes.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    nodes.reverse()
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(weights)
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)


def _inner(model: Any, image: str, size: Size, last: bool, start: Session) -> list[Inner]:
    kinds, shapes = _inferred(model, image, size, last)
    nodes = [(node, name) for node in model.graph.node for name in node.output if name]
    unsure = [n for node, n in nodes if kinds.get(n, 1) in _FLOATS and not shapes.get(n)]
    if unsure:
        shapes.update(_measured(model, image, size, last, unsure, start))
    return [
        Inner(
            name,
            shapes.get(name, ()),
            tuple(node.input),
            (name, node.name, *node.input),
            kinds.get(name, 1) in _FLOATS,
        )
        for node, name in nodes
    ]


def _inferred(
    model: Any, image: str, size: Size, last: bool
) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Types and shapes of all tensors for an image of the given size, as far as the graph tells."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    given = next(i for i in fixed.graph.input if i.name == image)
    dims = given.type.tensor_type.shape.dim
    for dim, length in zip(dims, _shape(dims, size, last), strict=True):
        dim.Clear()
        dim.dim_value = length
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    kinds, shapes = dict[str, int](), dict[str, tuple[int, ...]]()
    for value in inferred.value_info:
        tensor = value.type.tensor_type
        kinds[value.name] = tensor.elem_type
        if all(dim.dim_value > 0 for dim in tensor.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return kinds, shapes


def _shape(dims: Any, size: Size, last: bool) -> tuple[int, ...]:
    batch = dims[0].dim_value or 1
    return (batch, *size, 3) if last else (batch, 3, *size)


def _measured(
    model: Any, image: str, size: Size, last: bool, names: list[str], start: Session
) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors that the graph doesn't tell, from a run on a grey image."""
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    _keep(probe.graph, names)
    try:
        session = start(probe.SerializeToString())
        given = next(i for i in model.graph.input if i.name == image).type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(given.elem_type)
        batch: npt.NDArray[Any] = np.full(_shape(given.shape.dim, size, last), 0.5, dtype)
        values = session.run(names, {image: batch})
    except Exception:
        return {}  # a network that can't be probed is judged by what its graph tells
    return {name: tuple(np.shape(value)) for name, value in zip(names, values, strict=True)}
