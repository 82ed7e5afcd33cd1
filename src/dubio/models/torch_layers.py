"""Taps into torch networks: hooks on modules, and exported programs that stop at a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dubio.core.errors import InputError
from dubio.models.card import Size
from dubio.models.layers import Inner, last_stage, unknown_layer

if TYPE_CHECKING:
    import torch

Module = Callable[[Any], Any]


def map_of(out: Any) -> torch.Tensor:
    """Find the feature map in what a layer returns: the last 4-D tensor.

    Raises:
        InputError: there is none.
    """
    parts: list[Any] = list(out.values()) if isinstance(out, Mapping) else [out]
    if isinstance(out, list | tuple):
        parts = list(out)
    maps: list[torch.Tensor] = [part for part in parts if getattr(part, "ndim", 0) == 4]
    if not maps:
        raise InputError("the layer gives no (B, D, h, w) map", remedy="name another layer")
    return maps[-1]


def hooked(network: torch.nn.Module, layer: str, call: Module) -> Module:
    """Return a function that runs ``call`` and gives the output of the module ``layer``.

    Args:
        network: the network.
        layer: path of one of its modules.
        call: runs the network on a batch.

    Raises:
        InputError: there is no such module.
    """
    modules = dict(network.named_modules())
    if not layer or layer not in modules:
        raise unknown_layer(layer, sorted((name for name in modules if name), key=_by_depth, reverse=True))
    module = modules[layer]

    def run(batch: Any) -> Any:
        caught: list[Any] = []
        handle = module.register_forward_hook(lambda _module, _given, out: caught.append(out))
        try:
            call(batch)
        finally:
            handle.remove()
        if not caught:
            raise InputError(f"the layer '{layer}' isn't used", remedy="name another layer")
        return map_of(caught[-1])

    return run


def _by_depth(name: str) -> tuple[int, str]:
    return name.count("."), name


def backbone_of(model: Any) -> tuple[str, Module]:
    """Return the backbone of a transformers network, and a function that gives its last map.

    Token sequences are laid out as the grid of patches they came from; tokens that stand for no patch
    (the class token comes first) are left off.

    Raises:
        InputError: the network keeps no backbone that can be told from the rest.
    """
    backbone = getattr(model, "backbone", None)
    if backbone is not None:
        return "backbone", lambda pixels: map_of(backbone(pixels).feature_maps)
    name, base = model.base_model_prefix, model.base_model
    if base is model:
        raise InputError("the network's backbone can't be told from the rest", remedy="name a layer")
    patch = model.config.patch_size if isinstance(getattr(model.config, "patch_size", None), int) else 0

    def run(pixels: Any) -> Any:
        out = base(pixel_values=pixels, output_hidden_states=True)
        hidden = [*(getattr(out, "hidden_states", None) or ()), getattr(out, "last_hidden_state", None)]
        # networks that classify masks keep their backbone's maps apart
        encoded = [*(getattr(out, "encoder_hidden_states", None) or ())]
        maps = [part for part in encoded or hidden if getattr(part, "ndim", 0) == 4]
        if maps:
            return maps[-1]
        rows, columns = (length // patch for length in pixels.shape[2:]) if patch else (0, 0)
        tokens = hidden[-1]
        if not rows * columns or tokens is None or tokens.ndim != 3 or tokens.shape[1] < rows * columns:
            raise InputError("the network's hidden states are no maps", remedy="name a layer")
        patches = tokens[:, tokens.shape[1] - rows * columns :]
        return patches.transpose(1, 2).unflatten(2, (rows, columns))

    return name, run


def stopped(program: Any, layer: str | None, size: Size, device: torch.device) -> tuple[str, str, Module]:
    """Return a function that runs an exported program up to a node.

    Args:
        program: the module of the program.
        layer: name of a node, or of the module that it came from; ``None``: the end of the backbone.
        size: height and width of a trial image.
        device: where the program runs.

    Returns:
        The node, why it was taken, and the function.

    Raises:
        InputError: there is no such node.
    """
    import torch

    class Stop(torch.fx.Interpreter):
        """Runs node by node; ``seen`` is called with every result and says when to stop."""

        def __init__(self, seen: Callable[[Any, Any], bool]) -> None:
            super().__init__(program, garbage_collect_values=True)
            self.seen = seen

        def run_node(self, n: Any) -> Any:
            result = super().run_node(n)
            if self.seen(n, result):
                raise _Stopped(result)
            return result

    nodes = [node for node in program.graph.nodes if node.op.startswith("call")]
    if layer is None:
        inner: list[Inner] = []
        (image,) = (node.name for node in program.graph.nodes if node.op == "placeholder")
        batch = next(iter(node for node in program.graph.nodes if node.op == "placeholder"))
        count = batch.meta["val"].shape[0] if "val" in batch.meta else 1
        zeros = torch.zeros(count if isinstance(count, int) else 1, 3, *size, device=device)
        with torch.inference_mode():
            Stop(lambda node, result: _note(inner, node, result)).run(zeros)
        name, why = last_stage(inner, image, size)
    else:
        matching = [node.name for node in nodes if layer == node.name or layer in _modules(node)]
        if not matching:
            raise unknown_layer(layer, [node.name for node in nodes])
        name, why = matching[-1], "named"

    def run(batch: Any) -> Any:
        try:
            Stop(lambda node, _result: node.name == name).run(batch)
        except _Stopped as stop:
            return map_of(stop.result)
        raise InputError(f"the layer '{name}' isn't reached")

    return name, why, run


class _Stopped(Exception):  # noqa: N818 - a signal, no error
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def _note(inner: list[Inner], node: Any, result: Any) -> bool:
    if node.op.startswith("call"):
        shape = tuple(result.shape) if hasattr(result, "shape") else ()
        floating = not hasattr(result, "dtype") or result.dtype.is_floating_point
        sources = tuple(source.name for source in node.all_input_nodes)
        weights = [str(source.target) for source in node.all_input_nodes if source.op == "get_attr"]
        # the scores themselves are no features
        if all(user.op != "output" for user in node.users):
            inner.append(Inner(node.name, shape, sources, (*_modules(node), *weights), floating))
    return False


def _modules(node: Any) -> list[str]:
    """Paths of the modules that a node came from, as far as the program tells."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [str(entry[0]) for entry in stack.values() if isinstance(entry, tuple)]
    return [path.removeprefix("L['self'].") for path in paths if path]
