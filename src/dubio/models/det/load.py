"""Open a detector, whatever kind of file or folder it is."""

from __future__ import annotations

from collections.abc import Sequence
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
_CHECKPOINT = "model.json"


def load_detector(
    path: str | Path | Sequence[str | Path],
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
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
) -> DetModel:
    """Open a detector, or several as an ensemble.

    What an ONNX file's outputs mean is said, the later winning, by its metadata (dubio's own exports, those
    of Ultralytics), a sidecar ``<model>.json``, and ``card``.

    Args:
        path: an ``.onnx`` file, a checkpoint of ``dubio train detector``, or a transformers folder (D-FINE).
            Several checkpoints of one architecture are an ensemble; so is the folder of a training with
            ``--folds``.
        card: a card, the name of one that comes with dubio (``yolox``, ``nanodet``, ``fastestdet``), or its
            file. ONNX only.
        space: label space of the classes, its name or its file. ONNX only.
        size: height and width of the input, for ONNX files that leave it open.
        suppression: how double detections are removed.
        decode: how predicted variances become those of corners; not for D-FINE.
        seed: of the decoding ``sample``, and of dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of an ONNX run; default: all processors.
        amp: mixed precision on a GPU; torch only.
        samples: passes through the head with dropout; torch only. ``None``: as the model has it.
        flip: also look at each picture mirrored; checkpoints only.
        scales: of the input, at which each picture is looked at, besides 1; checkpoints only.

    Raises:
        InputError: no such file, one that can't be used, or nothing says what its outputs mean.
        MissingExtraError: a library is missing that this kind of model needs.
    """
    paths = _members(path)
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise InputError(f"unknown device '{device}'", remedy="auto, cpu or cuda")
    onnx = next((p for p in paths if p.suffix.lower() == ".onnx"), None)
    if onnx is not None:
        _check_alone(onnx, samples, len(paths) > 1, flip or tuple(scales) != (1.0,))
        file = OnnxDetectorFile(onnx, device, threads)
        chosen, origin = _card_of(file, card)
        if space is not None:
            chosen = chosen.with_space(read_space(space))
        if size is not None:
            chosen = replace(chosen, input=replace(chosen.input, size=size))
        return Detector(file, chosen, origin, suppression=suppression, decode=decode, seed=seed)
    for one in paths:
        if not one.is_dir() and one.suffix.lower() not in (".safetensors", ".json"):
            raise InputError("is no detector that dubio knows", path=one, remedy=_KINDS)
    if card is not None or space is not None:
        raise InputError(
            "says itself what its outputs mean", path=paths[0], remedy="leave out card and label space"
        )
    more: dict[str, Any] = {} if samples is None else {"samples": samples}
    return _open_torch(
        paths, suppression=suppression, decode=decode, seed=seed, device=device, amp=amp, flip=flip,
        scales=(1.0, *(s for s in scales if s != 1)), **more,
    )  # fmt: skip


def _members(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The detectors that are meant: those named, and all that a training with ``--folds`` made."""
    named = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if not named:
        raise InputError("no detector is given", remedy=_KINDS)
    found: list[Path] = []
    for one in named:
        if not one.exists():
            raise InputError("doesn't exist", path=one, remedy=_KINDS)
        folds = [p for p in one.glob("folds/*") if p.name.isdecimal()]
        if not folds or (one / _CHECKPOINT).is_file():
            found.append(one)
            continue
        folds.sort(key=lambda p: int(p.name))
        for fold in folds:
            if not (fold / _CHECKPOINT).is_file():
                raise InputError(
                    "holds no trained network yet", path=fold, remedy="finish 'dubio train detector --folds'"
                )
        found += folds
    return found


def _check_alone(path: Path, samples: int | None, joined: bool, viewing: bool) -> None:
    """An ONNX file runs as it is.

    Raises:
        InputError: damaged, or something is asked of it that takes a checkpoint.
    """
    check_file(path)
    if samples is not None:
        raise InputError(
            "is an ONNX file, which has its samples within or none",
            path=path,
            remedy="leave out their number, or export the detector with samples",
        )
    if joined or viewing:
        what = "can't be part of an ensemble" if joined else "can't look at a picture several times"
        raise InputError(
            f"is an ONNX file, which {what}",
            path=path,
            remedy="name checkpoints of 'dubio train detector'",
        )


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


def _open_torch(paths: Sequence[Path], **options: Any) -> DetModel:
    from dubio.models.det.torch.load import load_torch_detector

    return cast(DetModel, load_torch_detector(paths, **options))
