"""ONNX export of a detector: one file with raw outputs, the card, and if wanted dropout samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.files import writing
from dubio.models.det.card import METADATA_KEY, DetectorCard
from dubio.models.det.torch.network import DetNetwork
from dubio.models.export import halve_weights, silence

_OPSET = 18
_ATOL = 1e-4
_HALF_RTOL = 0.02
_INPUT = "images"


@dataclass(frozen=True)
class DetExport:
    """What was written.

    Attributes:
        path: the file.
        samples: dropout masks in it; 0: none.
        error: largest difference from torch's outputs, absolute (float32 weights) or as a share of an
            output's range (float16 weights).
        bytes: size of the file.
    """

    path: Path
    samples: int
    error: float
    bytes: int


def export_detector(
    network: DetNetwork,
    path: str | Path,
    card: DetectorCard,
    *,
    samples: int = 0,
    seed: int = 0,
    half_weights: bool = False,
) -> DetExport:
    """Write a detector as one ONNX file that ``load_detector`` reads without options, and without torch.

    Outputs: ``logits`` ``(B, N, C)``, ``deltas`` or ``distances`` ``(B, N, 4)``, ``log_variance`` of the
    same shape if the network predicts it, and ``reference`` ``(N, 4)`` or ``(N, 3)``, the same for every
    image. With ``samples`` an axis ``T`` follows ``B``: the masks of
    :meth:`~dubio.models.det.torch.network.DetNetwork.fix_dropout` are constants of the graph, and the
    file gives the same samples as torch with the same seed. The card stands in the metadata.

    Args:
        network: put into evaluation mode on the processor.
        path: the ``.onnx`` file.
        card: its card.
        samples: number of dropout masks; 0: without dropout.
        seed: of the masks.
        half_weights: store large weights as float16, cast back when the file is opened; half the size.

    Raises:
        InputError: samples of a network without dropout, or no exporter succeeds.
        MissingExtraError: the package ``onnx`` is missing.
    """
    try:
        import onnx  # noqa: F401 - better to fail before the work
    except ImportError as error:
        raise MissingExtraError("writing ONNX files", "onnx") from error
    if samples and not network.architecture.dropout:
        raise InputError("there are no samples of a network without dropout", remedy="export it without")
    size = card.input.size
    assert size is not None
    path = Path(path)
    network = network.cpu().eval()
    own = replace(
        card,
        input=replace(card.input, name=_INPUT),
        outputs=replace(card.outputs, samples=samples > 0),
    )
    network.fix_dropout(samples, seed)
    flat = _Flat(network, torch.from_numpy(network.architecture.reference(size)))
    faults: list[str] = []
    try:
        with TemporaryDirectory() as folder:
            trial = Path(folder) / "model.onnx"
            for name, write in _attempts(flat, own, size):
                # the exporters raise whatever comes to their minds
                try:
                    with silence():
                        write(trial)
                    _finish(trial, own, half=half_weights)
                    worst = _difference(flat, trial, own, size, relative=half_weights)
                except Exception as error:
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
                    faults.append(f"{name}: {reason}")
                    continue
                if worst <= (_HALF_RTOL if half_weights else _ATOL):
                    with writing(path) as part:
                        shutil.copyfile(trial, part)
                    return DetExport(path, samples, worst, path.stat().st_size)
                faults.append(f"{name}: outputs differ by {worst:.2g}")
    finally:
        network.fix_dropout(0)
    raise InputError(f"the detector can't be exported ({'; '.join(faults)})", path=path)


class _Flat(nn.Module):
    """The network with plain outputs, in the order of :func:`_names`."""

    table: torch.Tensor

    def __init__(self, network: DetNetwork, reference: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("table", reference, persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raw = self.network(images)
        return (*(x for x in raw if x is not None), self.table + 0.0)


def _names(card: DetectorCard) -> list[str]:
    found = [*(card.outputs.logits or ()), *card.outputs.boxes]
    return [*found, *(n for n in (card.outputs.log_variance, card.outputs.reference) if n)]


def _attempts(
    flat: nn.Module, card: DetectorCard, size: tuple[int, int]
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    names: dict[str, Any] = {
        "input_names": [_INPUT],
        "output_names": _names(card),
        "opset_version": _OPSET,
        "verbose": False,
    }
    example = torch.zeros(2, 3, *size)

    def new(path: Path) -> None:
        shapes = ({0: torch.export.Dim("batch")},)
        options: dict[str, Any] = {"dynamo": True, "external_data": False, "dynamic_shapes": shapes}
        torch.onnx.export(flat, (example,), str(path), **options, **names)

    def old(path: Path) -> None:
        axes = {name: {0: "batch"} for name in (_INPUT, *_names(card)) if name != card.outputs.reference}
        torch.onnx.export(flat, (example,), str(path), dynamo=False, dynamic_axes=axes, **names)

    yield "torch.export", new
    yield "TorchScript", old


def _finish(path: Path, card: DetectorCard, *, half: bool) -> None:
    import onnx

    model = onnx.load(str(path))
    if half:
        halve_weights(model)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(card.to_dict(), ensure_ascii=False)})
    model.producer_name = "dubio"
    # Traces of the source code don't belong into a file that is passed on.
    for node in model.graph.node:
        node.doc_string = ""
        with suppress(AttributeError):
            del node.metadata_props[:]
    onnx.save(model, str(path))


def _difference(
    flat: nn.Module, path: Path, card: DetectorCard, size: tuple[int, int], *, relative: bool
) -> float:
    """Largest difference between torch and onnxruntime on batches of one and of three noise images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for count in (1, 3):
        images = rng.standard_normal((count, 3, *size)).astype(np.float32)
        found = session.run(_names(card), {_INPUT: images})
        with torch.inference_mode():
            wanted = [x.numpy() for x in flat(torch.from_numpy(images))]
        for a, b in zip(found, wanted, strict=True):
            if a.shape != b.shape:
                raise ValueError(f"shape {a.shape} in place of {b.shape}")
            span = float(np.ptp(b)) if relative else 1.0
            worst = max(worst, float(np.abs(a - b).max()) / max(span, 1e-9))
    return worst
