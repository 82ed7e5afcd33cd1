"""Open a model, whatever kind of file or folder it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import read_json
from dubio.core.labelspace import LabelSpace
from dubio.data.damage import check_file
from dubio.models.base import Network, Runtime
from dubio.models.card import Layer, ModelCard, Size, combine
from dubio.models.cardfile import read_card, sidecar

_KINDS = (
    "an .onnx file, a torch program (.pt2), a transformers folder, or a dubio checkpoint "
    "(model.safetensors and model.json)"
)


def load_model(
    path: str | Path,
    *,
    card: str | Path | ModelCard | None = None,
    space: LabelSpace | str | Path | None = None,
    input_scale: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels: str | None = None,
    size: Size | None = None,
    window: Size | None = None,
    overlap: float | None = None,
    output: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Network:
    """Open a segmentation network.

    What is known of it is gathered, the later winning: what can be detected, the file's own metadata,
    a sidecar ``<model>.toml`` or ``.json``, ``card``, and the other options. ``describe()`` of the
    result says where each came from and what had to be assumed.

    Args:
        path: an ``.onnx`` file, a ``.pt2`` file, a transformers folder, or a dubio checkpoint.
        card: a card, its name (see ``builtin_cards``) or its file.
        space: label space of the output channels, its name or its file.
        input_scale: ``0-1``, ``0-255`` (plain pixels unless mean and std are given) or ``imagenet``.
        mean: one or three numbers in units of the scale.
        std: one or three numbers in units of the scale.
        channels: ``rgb`` or ``bgr``.
        size: height and width to which every image is resized.
        window: height and width of a sliding window.
        overlap: share by which windows overlap.
        output: ``logits``, ``probabilities`` or ``auto``.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of an ONNX run; default: all processors.

    Raises:
        InputError: the file is of no known kind, can't be read or run, or an option doesn't fit.
        MissingExtraError: a library is missing that this kind of model needs.
    """
    path = Path(path)
    runtime = _open(path, device, threads)
    layers: list[Layer] = runtime.facts()
    fixed = layers[0][1].get("size") if layers else None
    beside = sidecar(path)
    if beside is not None and runtime.name in ("ONNX", "torch program"):
        layers.append(beside)
    if isinstance(card, ModelCard):
        layers.append(("card", {**card.to_dict(), **({"space": card.space} if card.space else {})}))
    elif card is not None:
        layers.append(read_card(card))
    options: dict[str, Any] = {
        "space": space,
        "scale": input_scale,
        "mean": mean,
        "std": std,
        "channels": channels,
        "size": size,
        "window": window,
        "overlap": overlap,
        "output": output,
    }
    layers.append(("option", {k: v for k, v in options.items() if v is not None}))
    merged, origin = combine(layers)
    if fixed is not None and (merged.window or merged.size) not in (None, fixed):
        raise InputError(
            f"takes images of {fixed[0]} x {fixed[1]} only",
            path=path,
            remedy="choose that size for the window, or export the model with dynamic axes",
        )
    return Network(runtime, merged, origin)


def _open(path: Path, device: str, threads: int | None) -> Runtime:
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise InputError(f"unknown device '{device}'", remedy="auto, cpu or cuda")
    if not path.exists():
        raise InputError("doesn't exist", path=path, remedy=f"a model is {_KINDS}")
    suffix = path.suffix.lower()
    if suffix in (".onnx", ".pt2"):
        check_file(path)
    if suffix == ".onnx":
        from dubio.models.onnx import OnnxRuntime

        return OnnxRuntime(path, device, threads)
    if suffix == ".pt2":
        from dubio.models.torch_program import TorchProgram

        return TorchProgram(path, device)
    if path.is_dir() or suffix in (".safetensors", ".json"):
        return _open_folder(path, device)
    if suffix in (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"):
        raise InputError(
            "may hold a pickle, which can run any code; dubio loads none",
            path=path,
            remedy="export the network to ONNX or with torch.export.save, or use model.safetensors",
        )
    raise InputError("is no model that dubio knows", path=path, remedy=f"a model is {_KINDS}")


def _open_folder(path: Path, device: str) -> Runtime:
    from dubio.models.smp import DESCRIPTION, SmpCheckpoint

    folder = path if path.is_dir() else path.parent
    if (folder / DESCRIPTION).is_file():
        return SmpCheckpoint(path, device)
    if (folder / "config.json").is_file():
        from dubio.models.hf import TransformersFolder

        config = read_json(folder / "config.json")
        if not isinstance(config, dict) or "model_type" not in config:
            raise InputError(
                "has a config.json without model_type", path=folder, remedy=f"a model is {_KINDS}"
            )
        return TransformersFolder(folder, device)
    inside = sorted(folder.glob("*.onnx")) + sorted(folder.glob("*.pt2"))
    if len(inside) == 1 and path.is_dir():
        return _open(inside[0], device, None)
    raise InputError("holds no model that dubio knows", path=folder, remedy=f"a model is {_KINDS}")
