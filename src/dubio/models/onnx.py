"""ONNX files, run by onnxruntime; works without torch."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.engine.map import cpu_count
from dubio.models.card import Layer, ModelCard
from dubio.models.layers import TRIAL, Tap
from dubio.models.pixels import Floats

METADATA_KEY = "dubio"
_LONGEST_REASON = 300
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxRuntime:
    """An ONNX file.

    The card that dubio's own exports carry in the metadata (key ``"dubio"``, JSON) is read.

    Args:
        path: the file.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads within one run; default: all processors.

    Raises:
        InputError: the file can't be opened, or takes no image.
    """

    name = "ONNX"
    thread_safe = True

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads or cpu_count()
        providers: list[Any] = ["CPUExecutionProvider"]
        has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if device.startswith("cuda") and not has_cuda:
            raise InputError(
                "onnxruntime has no CUDA provider", remedy="install onnxruntime-gpu or choose --device cpu"
            )
        if has_cuda and device != "cpu":
            number = device.partition(":")[2]
            providers.insert(
                0, ("CUDAExecutionProvider", {"device_id": int(number) if number.isdigit() else 0})
            )

        def start(model: str | bytes) -> Any:
            return onnxruntime.InferenceSession(
                model,
                options,
                providers=providers,
                # Falling back from CPU to CPU only prints a banner on standard output.
                enable_fallback=int(len(providers) > 1),
            )

        self._start = start
        try:
            self._session = start(str(path))
        except Exception as error:
            raise InputError(
                f"isn't a readable ONNX file ({_reason(error)})", path=path, remedy="export or copy it again"
            ) from error
        used = self._session.get_providers()[0]
        self.device = "cuda" if used.startswith("CUDA") else f"cpu, {options.intra_op_num_threads} threads"
        # Weights beside the file (external data) change the scores too.
        self.files: tuple[Path, ...] = (
            path,
            path.with_name(path.name + ".data"),
            path.with_name(path.name + "_data"),
        )
        self._input = self._pick_input(path)
        self._dims = list(self._input.shape)
        self._last = self._dims[3] == 3 and self._dims[1] != 3
        self.batch: int | None = self._dims[0] if isinstance(self._dims[0], int) else None

    def _pick_input(self, path: Path) -> Any:
        inputs = [i for i in self._session.get_inputs() if len(i.shape) == 4]
        if len(self._session.get_inputs()) != 1 or not inputs:
            raise InputError("takes more than one image", path=path, remedy="export it with one 4-D input")
        chosen = inputs[0]
        if chosen.type not in _TYPES:
            raise InputError(
                f"takes {chosen.type}", path=path, remedy="float, float16 and uint8 are possible"
            )
        return chosen

    def facts(self) -> list[Layer]:
        """Card fields from the input's axes and from the metadata."""
        found: dict[str, Any] = {"input_name": self._input.name}
        height, width = self._dims[1:3] if self._last else self._dims[2:4]
        if self._last:
            found["layout"] = "nhwc"
        if isinstance(height, int) and isinstance(width, int):
            found["size"] = (height, width)
        if self._input.type == "tensor(uint8)":
            found["scale"] = "0-255"
        layers: list[Layer] = [("detected", found)]
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text:
            layers.append(("metadata of the file", _metadata(text, self.files[0])))
        return layers

    def lines(self) -> list[str]:
        """Sentences on inputs and outputs."""
        outputs = ", ".join(f"'{o.name}' {_shape(o.shape)}" for o in self._session.get_outputs())
        taken = f"'{self._input.name}' {_shape(self._dims)} {self._input.type[7:-1]}"
        return [f"model: ONNX file {self.files[0].name}, input {taken}, output {outputs}"]

    def forward(self, batch: Floats, card: ModelCard, *, amp: bool) -> npt.NDArray[Any]:
        """Run a batch ``(B, 3, H, W)``; ``amp`` has no meaning here: the file fixes the precision."""
        names = [o.name for o in self._session.get_outputs()]
        name = card.output_name or names[0]
        if name not in names:
            raise InputError(
                f"has no output '{name}'", path=self.files[0], remedy="it has " + ", ".join(names)
            )
        return self._run(self._session, name, batch, card)

    def tap(self, layer: str | None, card: ModelCard) -> Tap:
        """Reach an inner tensor; the graph is cut after it."""
        from dubio.models.onnx_layers import cut

        size = card.input_size(*TRIAL)
        name, why, session = cut(self.files[0], layer, size, last=card.layout == "nhwc", start=self._start)
        return Tap(name, why, lambda batch, card, _amp: self._run(session, name, batch, card))

    def _run(self, session: Any, output: str, batch: Floats, card: ModelCard) -> npt.NDArray[Any]:
        if card.layout == "nhwc":
            batch = np.moveaxis(batch, 1, -1)
        wanted = _TYPES[self._input.type]
        if wanted is np.uint8:
            batch = np.clip(np.rint(batch), 0, 255)
        try:
            (result,) = session.run([output], {self._input.name: np.ascontiguousarray(batch, wanted)})
        except Exception as error:
            raise InputError(
                f"can't be run on a batch of shape {batch.shape} ({_reason(error)})",
                path=self.files[0],
                remedy="state the input size, or the size rule in a card",
            ) from error
        return np.asarray(result)


def _metadata(text: str, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError("has a model card in its metadata that isn't JSON", path=path) from error
    if not isinstance(data, dict):
        raise InputError("has metadata that are no model card", path=path)
    return data


def _shape(dims: list[Any]) -> str:
    return "(" + ", ".join(str(d) if d is not None else "?" for d in dims) + ")"


def _reason(error: Exception) -> str:
    """Give the last clause of onnxruntime's long messages."""
    text = str(error).strip()
    if "Protobuf parsing failed" in text or "No graph was found" in text:
        return "it is truncated, damaged or no ONNX file"
    if not text:
        return "onnxruntime gives no reason"
    clause = text.splitlines()[0].split(" : ")[-1]
    return textwrap.shorten(clause, _LONGEST_REASON, placeholder=" …")
