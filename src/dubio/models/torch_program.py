"""Programs written by ``torch.export.save`` (``.pt2``)."""

from __future__ import annotations

import io
import json
import logging
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.models.card import Layer, ModelCard
from dubio.models.layers import TRIAL, Tap
from dubio.models.pixels import Floats
from dubio.models.torchdev import device_line, forward, pick_device, require_torch

_REMEDY = "export it again with torch.export.save, or to ONNX"


class TorchProgram:
    """An exported torch program with one image input.

    Args:
        path: the ``.pt2`` file.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: the file can't be read, or would need a pickle to be loaded.
        MissingExtraError: torch isn't installed.
    """

    name = "torch program"
    thread_safe = False

    def __init__(self, path: Path, device: str = "auto") -> None:
        torch = require_torch("running an exported torch program")
        self.files: tuple[Path, ...] = (path,)
        refuse_pickles(path)
        self._device = pick_device(device)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logging.getLogger("torch").setLevel(logging.ERROR)
                program = torch.export.load(str(path))
        except Exception as error:
            raise InputError(f"isn't a readable torch program ({_first(error)})", path=path) from error
        self._dims = _input_dims(program, path)
        if self._device.type != "cpu":
            # Devices of constants are written into a program; moving the module alone would miss them.
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, str(self._device))
        self._module = program.module()
        self.device = device_line(self._device)
        self.batch: int | None = self._dims[0]

    def facts(self) -> list[Layer]:
        """Card fields from the example input's axes."""
        height, width = self._dims[2], self._dims[3]
        fixed = height is not None and width is not None
        return [("detected", {"size": (height, width)} if fixed else {})]

    def lines(self) -> list[str]:
        """Sentences on the input."""
        dims = ", ".join("?" if d is None else str(d) for d in self._dims)
        return [f"model: torch program {self.files[0].name}, input ({dims})"]

    def forward(self, batch: Floats, card: ModelCard, *, amp: bool) -> npt.NDArray[Any]:
        """Run a batch ``(B, 3, H, W)``."""
        return forward(self._module, batch, self._device, amp=amp)

    def tap(self, layer: str | None, card: ModelCard) -> Tap:
        """Reach a node of the program, by its name or its module's."""
        from dubio.models.torch_layers import stopped

        name, why, run = stopped(self._module, layer, card.input_size(*TRIAL), self._device)
        return Tap(name, why, lambda batch, _card, amp: forward(run, batch, self._device, amp=amp))


def refuse_pickles(path: Path) -> None:
    """Make sure that loading a ``.pt2`` archive unpickles nothing.

    torch unpickles parts of an archive that are marked so, and falls back to unpickling for example
    inputs that aren't plain tensors. Such files are refused before torch sees them.

    Raises:
        InputError: the file isn't such an archive, or would need a pickle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any(name.endswith(".json") for name in names):
                raise InputError("isn't a torch program", path=path, remedy=_REMEDY)
            for name in names:
                if _unsafe(archive, name):
                    raise InputError("would need a pickle to be loaded", path=path, remedy=_REMEDY)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"isn't a torch program ({_first(error)})", path=path, remedy=_REMEDY) from error


def _unsafe(archive: zipfile.ZipFile, name: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    if base.startswith(("custom_obj_", "opaque_obj_")) or "/aotinductor/" in name:
        return True
    if base.endswith("_config.json"):
        entries = json.loads(archive.read(name)).get("config", {})
        return any(entry.get("use_pickle") for entry in entries.values())
    if base.endswith((".pt", ".pkl")):
        return not _plain_tensors(archive.read(name))
    return False


def _plain_tensors(data: bytes) -> bool:
    import torch

    if not data:
        return True
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:
        return False
    return True


def _input_dims(program: Any, path: Path) -> tuple[int | None, ...]:
    users = set(program.graph_signature.user_inputs)
    shapes = [
        node.meta["val"].shape
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in users and hasattr(node.meta.get("val"), "shape")
    ]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise InputError("takes no single image", path=path, remedy="export it with one (B, 3, H, W) input")
    return tuple(d if isinstance(d, int) else None for d in shapes[0])


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
