"""Local folders of the transformers library (``save_pretrained``); nothing is downloaded."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.files import read_json
from dubio.core.labelspace import LabelSpace
from dubio.models.card import IMAGENET_MEAN, IMAGENET_STD, Layer, ModelCard
from dubio.models.hf_masks import SENTENCE, class_probabilities, is_mask_classification
from dubio.models.layers import Tap
from dubio.models.pixels import Floats
from dubio.models.torchdev import device_line, forward, pick_device, require_torch

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic", 4: "box"}
_RESCALE_255 = 1 / 255


class TransformersFolder:
    """A semantic segmentation network saved by transformers, with safetensors weights.

    Args:
        path: the folder with ``config.json``, weights and perhaps ``preprocessor_config.json``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: the folder holds no such network, or its weights are a pickle.
        MissingExtraError: torch or transformers isn't installed.
    """

    name = "transformers"
    thread_safe = False
    batch: int | None = None

    def __init__(self, path: Path, device: str = "auto") -> None:
        require_torch("running a transformers model")
        try:
            import transformers
        except ImportError as error:
            raise MissingExtraError("running a transformers model", "torch") from error
        weights = [path / name for name in _WEIGHTS if (path / name).is_file()]
        if not weights:
            raise InputError(
                "holds no safetensors weights", path=path, remedy="save it with save_pretrained(folder)"
            )
        self.path = path
        self._pixels = path / "preprocessor_config.json"
        self.files: tuple[Path, ...] = (
            path,
            path / "config.json",
            self._pixels,
            *sorted(path.glob("*.safetensors")),
        )
        self._config: dict[str, Any] = read_json(path / "config.json")
        self._masks = is_mask_classification(self._config)
        self._device = pick_device(device)
        chatter: Any = transformers.logging  # untyped
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        logging.getLogger("transformers").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = self._family(transformers).from_pretrained(
                    str(path), local_files_only=True, use_safetensors=True, trust_remote_code=False
                )
        except Exception as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise InputError(f"holds no semantic segmentation network ({text})", path=path) from error
        self._model = model.to(self._device).eval()
        self.device = device_line(self._device)

    def _family(self, transformers: Any) -> Any:
        if self._masks and self._config["model_type"] == "maskformer":
            return transformers.MaskFormerForInstanceSegmentation
        if self._masks:
            return transformers.AutoModelForUniversalSegmentation
        return transformers.AutoModelForSemanticSegmentation

    def facts(self) -> list[Layer]:
        """Label space from ``id2label``; pixels and sizes from the image processor."""
        layers: list[Layer] = [
            (
                "config.json",
                {
                    "space": _space(self._config, self.path),
                    "output": "probabilities" if self._masks else "logits",
                },
            )
        ]
        if self._pixels.is_file():
            layers.append(("preprocessor_config.json", _processor(read_json(self._pixels))))
        return layers

    def lines(self) -> list[str]:
        """Sentences on the architecture."""
        names = self._config.get("architectures") or [self._config.get("model_type", "network")]
        lines = [f"model: transformers folder {self.path.name}, {names[0]}"]
        return [*lines, SENTENCE] if self._masks else lines

    def forward(self, batch: Floats, card: ModelCard, *, amp: bool) -> npt.NDArray[Any]:
        """Run a batch ``(B, 3, H, W)``."""
        return forward(self._call, batch, self._device, amp=amp)

    def _call(self, pixels: Any) -> Any:
        output = self._model(pixel_values=pixels)
        return class_probabilities(output) if self._masks else output

    def tap(self, layer: str | None, card: ModelCard) -> Tap:
        """Reach a module of the network; the default is the last hidden map of its backbone."""
        from dubio.models.torch_layers import backbone_of, hooked

        if layer is None:
            name, run = backbone_of(self._model)
            why = "the backbone's last hidden map"
        else:
            name, why, run = layer, "named", hooked(self._model, layer, self._call)
        return Tap(name, why, lambda batch, _card, amp: forward(run, batch, self._device, amp=amp))


def _space(config: Mapping[str, Any], path: Path) -> LabelSpace:
    labels = {int(k): str(v) for k, v in (config.get("id2label") or {}).items()}
    if not labels:
        labels = dict.fromkeys(range(int(config.get("num_labels", 2))), "")
    seen: dict[str, int] = {}
    classes = []
    for number in sorted(labels):
        name = labels[number] or f"class {number}"
        seen[name.casefold()] = seen.get(name.casefold(), 0) + 1
        # Published configurations repeat names; a label space can't.
        unique = name if seen[name.casefold()] == 1 else f"{name} ({number})"
        classes.append({"id": number, "name": unique})
    void = int(config.get("semantic_loss_ignore_index", 255))
    void = void if void not in labels else max(labels) + 1
    return LabelSpace.from_dict({"name": path.name, "classes": classes, "void": [void]})


def _processor(data: Mapping[str, Any]) -> dict[str, Any]:
    """Translate an image processor's configuration to card fields."""
    found: dict[str, Any] = {}
    rescaled = data.get("do_rescale", True)
    factor = float(data.get("rescale_factor", _RESCALE_255))
    found["scale"] = "0-1" if rescaled else "0-255"
    if data.get("do_normalize", True):
        found["mean"] = data.get("image_mean") or list(IMAGENET_MEAN)
        found["std"] = data.get("image_std") or list(IMAGENET_STD)
        if rescaled and abs(factor - _RESCALE_255) > 1e-6:
            # The processor normalises pixel * factor; a card normalises pixel / 255.
            ratio = factor / _RESCALE_255
            found["mean"] = [m / ratio for m in found["mean"]]
            found["std"] = [s / ratio for s in found["std"]]
    if data.get("do_flip_channel_order"):
        found["channels"] = "bgr"
    if data.get("do_resize", True):
        found.update(_resize_rule(data.get("size")))
        if data.get("resample") in _RESAMPLE:
            found["resize"] = _RESAMPLE[data["resample"]]
    return found


def _resize_rule(size: Any) -> dict[str, Any]:
    if isinstance(size, int):
        return {"size": (size, size)}
    if isinstance(size, Mapping):
        if "height" in size and "width" in size:
            return {"size": (int(size["height"]), int(size["width"]))}
        if "shortest_edge" in size:
            return {"short_edge": int(size["shortest_edge"]), "size_multiple": 32}
    return {}
