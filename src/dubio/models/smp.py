"""dubio's own checkpoints: ``model.safetensors`` and ``model.json``, built by segmentation-models-pytorch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.files import read_json, write_json, writing
from dubio.models.card import Layer, ModelCard
from dubio.models.encoder_file import load_encoder, weights_file
from dubio.models.layers import Tap
from dubio.models.pixels import Floats
from dubio.models.torchdev import device_line, forward, pick_device, require_torch

if TYPE_CHECKING:
    import torch

FORMAT = "dubio segmentation model"
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Architecture:
    """What segmentation-models-pytorch needs to build a network.

    Args:
        name: ``Unet``, ``DeepLabV3Plus``, ``FPN``, ``Segformer`` …, in any case.
        encoder: name of the encoder; ``tu-NAME`` takes any of timm's.
        classes: number of output channels.
        extra: further arguments of the architecture (``decoder_channels`` …), plain data.
    """

    name: str
    encoder: str
    classes: int
    extra: tuple[tuple[str, Any], ...] = ()


def build(architecture: Architecture, encoder_weights: str | None = None) -> torch.nn.Module:
    """Build a network.

    Args:
        architecture: its parts.
        encoder_weights: name of pretrained encoder weights, which are downloaded, or a file with a state
            dict of the encoder (see :mod:`dubio.models.encoder_file`); ``None`` is random.

    Raises:
        InputError: there is no such architecture or encoder, or the file doesn't fit it.
        MissingExtraError: torch or segmentation-models-pytorch isn't installed.
    """
    require_torch("building a segmentation network")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtraError("building a segmentation network", "torch") from error
    file = weights_file(encoder_weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: torch.nn.Module = smp.create_model(
                architecture.name,
                encoder_name=architecture.encoder,
                encoder_weights=None if file else encoder_weights,
                in_channels=3,
                classes=architecture.classes,
                **dict(architecture.extra),
            )
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        text = (str(error).strip("'\" ").splitlines() or [type(error).__name__])[0][:240]
        raise InputError(
            f"there is no network '{architecture.name}' with the encoder '{architecture.encoder}' ({text})",
            remedy="see the architectures and encoders of segmentation-models-pytorch; tu-NAME takes timm's",
        ) from error
    if file:
        load_encoder(network, file)
    return network


def stride_of(network: torch.nn.Module) -> int:
    """Multiple of which input sizes must be (1 if the architecture doesn't mind)."""
    encoder = getattr(network, "encoder", None)
    return int(getattr(encoder, "output_stride", 32) or 32)


def save_checkpoint(
    folder: Path, network: torch.nn.Module, architecture: Architecture, card: ModelCard, **notes: Any
) -> None:
    """Write ``model.safetensors`` and ``model.json`` (architecture, card, notes) into a folder."""
    from safetensors.torch import save_file

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with writing(folder / WEIGHTS) as part:
        save_file(state, str(part))
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "version": 1,
            "architecture": architecture.name,
            "encoder": architecture.encoder,
            "classes": architecture.classes,
            "extra": dict(architecture.extra),
            "card": card.to_dict(),
            **notes,
        },
    )


def load_network(path: Path) -> tuple[torch.nn.Module, Architecture, dict[str, Any]]:
    """Build the network of a checkpoint and fill in its weights.

    Args:
        path: the folder, or one of its two files.

    Returns:
        The network in evaluation mode on the CPU, its architecture, and the description.

    Raises:
        InputError: a file is missing or doesn't fit.
    """
    folder = path if path.is_dir() else path.parent
    data = read_json(folder / DESCRIPTION)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError("is no dubio checkpoint", path=folder / DESCRIPTION)
    require_torch("loading a checkpoint")
    from safetensors.torch import load_file

    try:
        extra = tuple(sorted(dict(data.get("extra", {})).items()))
        architecture = Architecture(
            str(data["architecture"]), str(data["encoder"]), int(data["classes"]), extra
        )
        network = build(architecture)
        network.load_state_dict(load_file(str(folder / WEIGHTS)))
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=folder / WEIGHTS) from error
    except KeyError as error:
        raise InputError(f"lacks the field {error}", path=folder / DESCRIPTION) from error
    except InputError:
        raise
    except Exception as error:
        text = str(error).strip().splitlines()[0][:200]
        raise InputError(f"doesn't fit {DESCRIPTION} ({text})", path=folder / WEIGHTS) from error
    return network.eval(), architecture, data


class SmpCheckpoint:
    """A checkpoint written by ``dubio train``.

    Args:
        path: the folder, or one of its two files.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    name = "dubio checkpoint"
    thread_safe = False
    batch: int | None = None

    def __init__(self, path: Path, device: str = "auto") -> None:
        folder = path if path.is_dir() else path.parent
        network, self.architecture, self._data = load_network(path)
        self.files: tuple[Path, ...] = (folder / WEIGHTS, folder / DESCRIPTION)
        self._device = pick_device(device)
        self._network = network.to(self._device)
        self.device = device_line(self._device)

    def facts(self) -> list[Layer]:
        """The card in ``model.json``."""
        return [(DESCRIPTION, dict(self._data.get("card", {})))]

    def lines(self) -> list[str]:
        """Sentence on the architecture."""
        return [f"model: dubio checkpoint, {self.architecture.name} with encoder {self.architecture.encoder}"]

    def forward(self, batch: Floats, card: ModelCard, *, amp: bool) -> npt.NDArray[Any]:
        """Run a batch ``(B, 3, H, W)``."""
        return forward(self._network, batch, self._device, amp=amp)

    def tap(self, layer: str | None, card: ModelCard) -> Tap:
        """Reach a module of the network; the default is the last map of its encoder."""
        from dubio.models.torch_layers import hooked, map_of

        encoder: Any = self._network.encoder
        if layer is None:
            name, why, run = "encoder", "the encoder's last map", lambda batch: map_of(encoder(batch))
        else:
            name, why, run = layer, "named", hooked(self._network, layer, self._network)
        return Tap(name, why, lambda batch, _card, amp: forward(run, batch, self._device, amp=amp))
