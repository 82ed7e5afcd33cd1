"""ONNX export, with the model card in the file's metadata."""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.files import writing
from dubio.models.card import ModelCard, Size
from dubio.models.onnx import METADATA_KEY

if TYPE_CHECKING:
    import torch

_OPSET = 18
_SMALL = 256  # weights of fewer numbers stay float32: they cost nothing and include norms


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: the file.
        exporter: which of torch's exporters did it.
        dynamic: whether height, width and batch are free.
        error: largest difference from torch's scores on the check images.
        bytes: size of the file.
    """

    path: Path
    exporter: str
    dynamic: bool
    error: float
    bytes: int


def export_onnx(
    network: torch.nn.Module,
    path: str | Path,
    card: ModelCard,
    *,
    size: Size | None = None,
    half_weights: bool = False,
    atol: float = 1e-3,
    half_rtol: float = 0.02,
) -> Export:
    """Write a network as one ONNX file that ``load_model`` and ``dubio predict`` read without options.

    torch's exporters are tried in turn (the new one, then the old one, each with free height, width and
    batch; then with a fixed size) until one gives a file whose scores under onnxruntime equal torch's.

    Args:
        network: takes ``(B, 3, H, W)``, gives ``(B, C, h, w)``; put into evaluation mode on the CPU.
        path: the ``.onnx`` file.
        card: goes into the metadata under the key ``"dubio"``.
        size: height and width of the example; default: eight times the card's multiple, at least 128.
        half_weights: store large weights as float16, cast back when the file is opened; half the size.
        atol: largest difference from torch's scores that is accepted, with float32 weights.
        half_rtol: the same with float16 weights, as a share of the scores' range.

    Raises:
        InputError: no exporter succeeds.
        MissingExtraError: the package ``onnx`` is missing.
    """
    try:
        import onnx  # noqa: F401 - better to fail before the work
    except ImportError as error:
        raise MissingExtraError("writing ONNX files", "onnx") from error
    path = Path(path)
    network = network.cpu().eval()
    step = card.size_multiple
    start = size or card.size or card.input_size(*(2 * [max(128, 4 * step)]))
    other = (start[0] + step * 2, start[1] + step)
    faults: list[str] = []
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "model.onnx"
        for name, dynamic, write in _attempts(network, card, start):
            own = card if dynamic else replace(card, size=start)
            try:
                with silence():
                    write(trial)
                _finish(trial, own, half=half_weights)
                found = [_difference(network, trial, s) for s in ([start, other] if dynamic else [start])]
            except Exception as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
                faults.append(f"{name}: {reason}")
                continue
            worst, span = max(e for e, _ in found), max(s for _, s in found)
            if worst <= (half_rtol * span if half_weights else atol):
                with writing(path) as part:
                    shutil.copyfile(trial, part)
                return Export(path, name, dynamic, worst, path.stat().st_size)
            faults.append(f"{name}: scores differ by {worst:.2g}")
    raise InputError(f"the network can't be exported ({'; '.join(faults)})", path=path)


def _attempts(
    network: torch.nn.Module, card: ModelCard, size: Size
) -> Iterator[tuple[str, bool, Callable[[Path], None]]]:
    import torch
    from torch.export import Dim

    example = torch.zeros(2, 3, *size)
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"], "opset_version": _OPSET}
    axes = {0: "n", 2: "h", 3: "w"}
    step, offset = card.size_multiple, card.size_offset
    free: list[dict[int, Any]] = [{0: Dim("n"), 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}]
    if not offset and step > 1:
        free.insert(0, {0: Dim("n"), 2: step * Dim("rows"), 3: step * Dim("columns")})
    for shapes in free if card.size is None else []:
        yield "torch.export", True, _writer(network, example, dynamo=True, dynamic_shapes=(shapes,), **names)
    if card.size is None:
        old = {"image": axes, "logits": axes}
        yield "TorchScript", True, _writer(network, example, dynamo=False, dynamic_axes=old, **names)
    yield "torch.export", False, _writer(network, example[:1], dynamo=True, **names)
    yield "TorchScript", False, _writer(network, example[:1], dynamo=False, **names)


def _writer(network: torch.nn.Module, example: torch.Tensor, **options: Any) -> Callable[[Path], None]:
    import torch

    def write(path: Path) -> None:
        if options["dynamo"]:
            torch.onnx.export(network, (example,), str(path), external_data=False, verbose=False, **options)
        else:
            torch.onnx.export(network, (example,), str(path), verbose=False, **options)

    return write


def _finish(path: Path, card: ModelCard, *, half: bool) -> None:
    import onnx

    model = onnx.load(str(path))
    if half:
        halve_weights(model)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(card.to_dict(), ensure_ascii=False)})
    model.producer_name = "dubio"
    # Traces of the source code (stack traces, local paths) don't belong into a file that is passed on.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(model, str(path))


def halve_weights(model: Any) -> None:
    """Store large float32 weights as float16 and put a cast before their use."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALL:
            continue
        values = numpy_helper.to_array(tensor)
        name, stored = tensor.name, f"{tensor.name}.half"
        limit = float(np.finfo(np.float16).max)
        tensor.CopyFrom(numpy_helper.from_array(np.clip(values, -limit, limit).astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _difference(network: torch.nn.Module, path: Path, size: Size) -> tuple[float, float]:
    """Largest difference between onnxruntime and torch on noise, and the range of torch's scores."""
    import onnxruntime
    import torch

    from dubio.models.torchdev import first_tensor

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    with torch.inference_mode():
        wanted = first_tensor(network(torch.from_numpy(image))).float().numpy()
    (found,) = session.run(None, {session.get_inputs()[0].name: image})
    if found.shape != wanted.shape:
        raise ValueError(f"shape {found.shape} in place of {wanted.shape}")
    return float(np.abs(found - wanted).max()), float(np.ptp(wanted))


@contextmanager
def silence() -> Iterator[None]:
    """Keep the exporters' reports and warnings from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, "w", encoding="utf-8") as sink,
            redirect_stdout(sink),
            redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
