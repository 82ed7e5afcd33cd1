"""Pretrained encoder weights from a file: a state dict as safetensors or ``.pt`` / ``.pth``.

Names are matched with and without the prefixes ``encoder.``, ``model.``, ``backbone.`` and ``module.``;
what the encoder doesn't have (a classifier, usually) is left aside.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.core.errors import InputError

if TYPE_CHECKING:
    import torch

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_PREFIXES = ("module.", "model.", "encoder.", "backbone.")
# With less of the encoder in the file, it is a file for another one.
_ENOUGH = 0.9


def weights_file(name: str | None) -> Path | None:
    """The path, if ``name`` is a file of weights and not the name of weights to download.

    Raises:
        InputError: it looks like a file and isn't there.

    >>> weights_file("imagenet") is None
    True
    """
    if name is None or Path(name).suffix.lower() not in _SUFFIXES:
        return None
    path = Path(name)
    if not path.is_file():
        raise InputError("doesn't exist", path=path, remedy="name a file with the encoder's weights")
    return path


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict; nothing but tensors is ever unpickled.

    Raises:
        InputError: the file can't be read as one.
    """
    import torch

    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(str(path))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(
            f"can't be read as weights ({text})",
            path=path,
            remedy="save the state dict alone, or safetensors",
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError("holds no state dict", path=path, remedy="save model.state_dict()")
    return {str(k): v for k, v in state.items()}


def load_encoder(network: torch.nn.Module, path: Path) -> int:
    """Fill a network's encoder from a file.

    Args:
        network: a network of segmentation-models-pytorch.
        path: the file.

    Returns:
        The number of tensors taken over.

    Raises:
        InputError: unreadable, or less than 90 % of the encoder's tensors are in it with the same shape.
    """
    state = {_bare(k): v for k, v in read_state(path).items()}
    encoder: Any = network.encoder
    wanted = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    taken = {}
    for name, tensor in wanted.items():
        found = state.get(_bare(name))
        if found is not None and found.shape == tensor.shape:
            taken[name] = found.to(tensor.dtype)
    if len(taken) < _ENOUGH * len(wanted):
        raise InputError(
            f"fits {len(taken)} of the encoder's {len(wanted)} tensors",
            path=path,
            remedy="name weights of the same encoder",
        )
    missing = encoder.state_dict()
    missing.update(taken)
    encoder.load_state_dict(missing)
    return len(taken)


def _bare(name: str) -> str:
    changed = True
    while changed:
        changed = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, changed = name[len(prefix) :], True
    return name
