"""Open a detector, whatever kind of file or folder it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.core.labelspace import LabelSpace
from dubio.data.damage import check_file
from dubio.models.det.base import DetModel
from dubio.models.det.card import (
    DetectorCard,
    builtin_detector_cards,
    parse_detector_card,
    read_detector_card,
    read_space,
)
from dubio.models.det.detector import Decoding, Detector
from dubio.models.det.onnx import OnnxDetectorFile
from dubio.models.det.specs import Size
from dubio.uncertainty.boxes.suppress import Suppression

_KINDS = "a detector is an .onnx file, a checkpoint of 'dubio train detector' or a transformers folder"


def load_detector(
    path: str | Path,
    card: str | Path | DetectorCard | None = None,
    *,
    space: LabelSpace | str | Path | None = None,
    size: Size | None = None,
    suppression: Suppression | None = None,
    decode: Decoding = "exact",
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    amp: bool = False,
    samples: int | None = None,
) -> DetModel:
    """Open a detector.

    What an ONNX file's outputs mean is said, the later winning, by its metadata (dubio's own exports, those
    of Ultralytics), a sidecar ``<model>.json``, and ``card``.

    Args:
        path: an ``.onnx`` file, a checkpoint of ``dubio train detector``, or a transformers folder (D-FINE).
        card: a card, the name of one that comes with dubio (``yolox``, ``nanodet``, ``fastestdet``), or its
            file. ONNX only.
        space: label space of the classes, its name or its file. ONNX only.
        size: height and width of the input, for ONNX files that leave it open.
        suppression: how double detections are removed.
        decode: how predicted variances become those of corners.
        seed: of the decoding ``sample``, or of dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of an ONNX run; default: all processors.
        amp: mixed precision on a GPU; torch only.
        samples: passes through the head with dropout; torch only. ``None``: as the model has it.

    Raises:
        InputError: no such file, one that can't be used, or nothing says what its outputs mean.
        MissingExtraError: a library is missing that this kind of model needs.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("doesn't exist", path=path, remedy=_KINDS)
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise InputError(f"unknown device '{device}'", remedy="auto, cpu or cuda")
    if path.suffix.lower() == ".onnx":
        check_file(path)
        if samples is not None:
            raise InputError(
                "is an ONNX file, which has its samples within or none",
                path=path,
                remedy="leave out their number, or export the detector with samples",
            )
        file = OnnxDetectorFile(path, device, threads)
        chosen, origin = _card_of(file, card)
        if space is not None:
            chosen = chosen.with_space(read_space(space))
        if size is not None:
            chosen = replace(chosen, input=replace(chosen.input, size=size))
        return Detector(file, chosen, origin, suppression=suppression, decode=decode, seed=seed)
    if path.is_dir() or path.suffix.lower() in (".safetensors", ".json"):
        if card is not None or space is not None or decode != "exact":
            raise InputError(
                "says itself what its outputs mean",
                path=path,
                remedy="leave out card, label space and decoding",
            )
        return _open_torch(path, suppression, seed=seed, device=device, amp=amp, samples=samples)
    raise InputError("is no detector that dubio knows", path=path, remedy=_KINDS)


def _card_of(file: OnnxDetectorFile, card: str | Path | DetectorCard | None) -> tuple[DetectorCard, str]:
    if isinstance(card, DetectorCard):
        return card, "as given"
    if card is not None:
        return read_detector_card(card), f"'{card}'"
    beside = file.path.with_suffix(".json")
    text = _detector_text(beside)
    if text is not None:
        return parse_detector_card(text, beside), f"sidecar {beside.name}"
    found = file.card()
    if found is None:
        known = ", ".join(sorted(builtin_detector_cards()))
        raise InputError(
            f"doesn't say what its outputs mean ({', '.join(file.shapes)})",
            path=file.path,
            remedy=f"give a card: {known}, or a .json file",
        )
    return found


def _detector_text(path: Path) -> str | None:
    """Text of a sidecar; a JSON file beside a model is often something else."""
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"isn't readable ({plain_reason(error)})", path=path) from error
    # dubio's own checkpoints keep a card in the file of their architecture: it is that of no other model
    own = '"dubio detection model"' in text
    return text if '"outputs"' in text and '"coder"' in text and not own else None


def _open_torch(
    path: Path, suppression: Suppression | None, *, samples: int | None, **options: Any
) -> DetModel:
    from dubio.models.det.torch.load import load_torch_detector

    if samples is not None:
        options["samples"] = samples
    return cast(DetModel, load_torch_detector(path, suppression=suppression, **options))
