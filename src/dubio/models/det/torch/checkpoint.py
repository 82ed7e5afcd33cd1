"""dubio's checkpoints of detectors: ``model.safetensors`` and ``model.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_json, writing
from dubio.models.det.card import DetectorCard
from dubio.models.det.torch.architecture import DetArchitecture
from dubio.models.det.torch.network import DetNetwork
from dubio.models.smp import DESCRIPTION, WEIGHTS

FORMAT = "dubio detection model"


def save_detector(folder: Path, network: DetNetwork, card: DetectorCard, **notes: Any) -> None:
    """Write ``model.safetensors`` and ``model.json`` (architecture, card, notes) into a folder.

    Raises:
        InputError: they can't be written.
    """
    from safetensors.torch import save_file

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with writing(folder / WEIGHTS) as part:
        save_file(state, str(part))
    data = {"format": FORMAT, "version": 1, "architecture": network.architecture.to_dict()}
    write_json(folder / DESCRIPTION, {**data, "card": card.to_dict(), **notes})


def is_detector(path: Path) -> bool:
    """Whether a folder (or one of its files) is such a checkpoint."""
    folder = path if path.is_dir() else path.parent
    try:
        data = read_json(folder / DESCRIPTION)
    except InputError:
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT


def load_network(path: Path) -> tuple[DetNetwork, DetectorCard]:
    """Build the network of a checkpoint and fill in its weights; evaluation mode, on the processor.

    Args:
        path: the folder, or one of its two files.

    Raises:
        InputError: a file is missing or doesn't fit.
    """
    from safetensors.torch import load_file

    folder = path if path.is_dir() else path.parent
    data = read_json(folder / DESCRIPTION)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError("is no dubio detector", path=folder / DESCRIPTION)
    if not (folder / WEIGHTS).is_file():
        raise InputError("doesn't exist", path=folder / WEIGHTS)
    try:
        network = DetNetwork(DetArchitecture.from_dict(data["architecture"]))
        card = DetectorCard.from_dict(data["card"], path=folder / DESCRIPTION)
        network.load_state_dict(load_file(str(folder / WEIGHTS)))
    except KeyError as error:
        raise InputError(f"lacks the field {error}", path=folder / DESCRIPTION) from error
    except InputError:
        raise
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"doesn't fit {DESCRIPTION} ({text})", path=folder / WEIGHTS) from error
    return network.eval(), card
