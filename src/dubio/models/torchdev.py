"""What the torch adapters share: choice of device, mixed precision, moving batches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError, MissingExtraError
from dubio.models.pixels import Floats

if TYPE_CHECKING:
    import torch


def require_torch(job: str) -> Any:
    """Import torch.

    Raises:
        MissingExtraError: torch isn't installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(job, "torch") from error
    return torch


def pick_device(device: str) -> torch.device:
    """Choose a device: ``auto`` takes CUDA when there is one.

    Raises:
        InputError: CUDA is asked for and there is none, or the name is unknown.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("there is no CUDA device", remedy="choose --device cpu or auto")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"unknown device '{device}'", remedy="auto, cpu or cuda") from error


def device_line(device: torch.device) -> str:
    """Name the device for the user."""
    import torch

    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def forward(
    module: Callable[[Any], Any], batch: Floats, device: torch.device, *, amp: bool
) -> npt.NDArray[Any]:
    """Run a batch through a module without gradients; mixed precision only on a GPU.

    Raises:
        InputError: the module refuses the batch, or memory runs out.
    """
    import torch

    half = amp and device.type == "cuda"
    dtype = torch.bfloat16 if half and torch.cuda.is_bf16_supported() else torch.float16
    context = torch.autocast("cuda", dtype=dtype) if half else nullcontext()
    try:
        with torch.inference_mode(), context:
            out = module(torch.from_numpy(np.ascontiguousarray(batch)).to(device, non_blocking=True))
            return np.asarray(first_tensor(out).float().cpu().numpy())
    except InputError:
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            "the GPU's memory is too small", remedy="lower --batch-size or set --window"
        ) from error
    except (RuntimeError, ValueError, AssertionError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(
            f"the network can't be run on a batch of shape {tuple(batch.shape)} ({text})",
            remedy="state the input size, or the size rule in a card",
        ) from error


def first_tensor(out: Any) -> Any:
    """Find the scores in what a module returns: a tensor, the first of a tuple, ``logits`` or ``out``."""
    if hasattr(out, "logits"):
        return out.logits
    if isinstance(out, dict):
        for name in ("logits", "out"):
            if name in out:
                return out[name]
        return first_tensor(next(iter(out.values())))
    if isinstance(out, list | tuple):
        return first_tensor(out[0])
    return out
