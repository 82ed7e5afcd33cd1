"""D-FINE detectors of transformers: each side of a box is a distribution, so σ comes without training."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import InputError, MissingExtraError
from dubio.core.files import fingerprint, read_json
from dubio.core.labelspace import LabelSpace
from dubio.models.pixels import Image
from dubio.models.torchdev import device_line, pick_device, require_torch
from dubio.uncertainty.boxes.bins import DistributionCoder
from dubio.uncertainty.boxes.suppress import Suppression

MODEL_TYPE = "d_fine"
_WEIGHTS = "model.safetensors"


def bin_values(max_num_bins: int, up: float, reg_scale: float) -> tuple[float, ...]:
    """Distances that D-FINE's bins stand for, in units of the box's size over ``reg_scale``.

    The weighting function W(n) of Peng et al., *D-FINE* (ICLR 2025): dense near zero, growing as a power
    towards the ends, with one far bin on either side.

    Args:
        max_num_bins: number of intervals; there is one bin more.
        up: largest ordinary distance in units of the box's size.
        reg_scale: how flat the function is near zero.

    >>> [round(v, 3) for v in bin_values(8, 0.5, 4.0)]
    [-4.0, -2.0, -1.08, -0.442, 0.0, 0.442, 1.08, 2.0, 4.0]
    """
    end = abs(up) * abs(reg_scale)
    steps = np.arange(1, max_num_bins // 2)
    right = (end + 1.0) ** (2.0 * steps / (max_num_bins - 2)) - 1.0
    return tuple(float(v) for v in (-2 * end, *-right[::-1], 0.0, *right, 2 * end))


def decode_sides(
    corners: npt.NDArray[Any], reference: npt.NDArray[Any], values: Sequence[float], reg_scale: float
) -> tuple[Floats, Floats]:
    """Means and variances of corners from D-FINE's distributions; the exact moments.

    Args:
        corners: ``(N, 4 * B)`` logits of the bins of left, top, right, bottom
            (``intermediate_predicted_corners``).
        reference: ``(N, 4)`` first boxes as centre and size (``initial_reference_points``), any unit.
        values: ``(B,)`` what the bins stand for (see :func:`bin_values`).
        reg_scale: the model's.

    Returns:
        Boxes ``(N, 4)`` xyxy and variances of their corners, in the unit of ``reference`` and its square.
    """
    box = np.asarray(reference, np.float64)
    logits = np.asarray(corners, np.float64).reshape(len(box), 4, -1)
    coder = DistributionCoder(tuple(values))
    scale = box[:, 2:] / abs(reg_scale)
    found = coder.decode(logits, box[:, :2], scale, offset=0.5 * box[:, 2:])
    return np.asarray(found.mean), np.asarray(found.variance)


class DFineDetector:
    """A D-FINE network saved by transformers; a ``DetModel``. Nothing is downloaded.

    Box variances are aleatoric, from the distributions of the last decoder layer. There is no epistemic
    part: the network has no dropout to sample.

    Args:
        path: folder with ``config.json``, safetensors weights and perhaps ``preprocessor_config.json``.
        device: ``auto``, ``cpu`` or ``cuda``.
        amp: mixed precision on a GPU.
        suppression: how double detections are removed; D-FINE makes few, so by default only boxes that all
            but coincide within a class are.
        batch_size: images per run.

    Raises:
        InputError: the folder holds no such network, or its weights are a pickle.
        MissingExtraError: torch or transformers isn't installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        amp: bool = False,
        suppression: Suppression | None = None,
        batch_size: int = 4,
    ) -> None:
        require_torch("running a D-FINE detector")
        try:
            import transformers
        except ImportError as error:
            raise MissingExtraError("running a D-FINE detector", "torch") from error
        if not list(path.glob("*.safetensors")):
            raise InputError(
                "holds no safetensors weights", path=path, remedy="save it with save_pretrained(folder)"
            )
        config: dict[str, Any] = read_json(path / "config.json")
        if config.get("model_type") != MODEL_TYPE:
            raise InputError(f"holds a '{config.get('model_type')}', not a D-FINE network", path=path)
        self.path, self.amp, self.batch_size = path, amp, batch_size
        self.suppression = suppression or Suppression(iou=0.95)
        self._space = _space(config, path)
        self._device = pick_device(device)
        self._lock = threading.Lock()
        model, self._processor = _open(path, transformers)
        self._model = model.to(self._device).eval()
        decoder = self._model.model.decoder
        self._reg_scale = abs(float(decoder.reg_scale.detach().reshape(-1)[0]))
        self._values = bin_values(
            int(decoder.max_num_bins), float(decoder.up.detach().reshape(-1)[0]), self._reg_scale
        )

    @property
    def space(self) -> LabelSpace:
        """Label space of the class scores."""
        return self._space

    def describe(self) -> list[str]:
        """Sentences on the network."""
        return [
            f"model: transformers folder {self.path.name}, D-FINE",
            f"classes: {len(self.space)} of '{self.space.name}', each with its own sigmoid",
            "aleatoric variances of boxes: from the distributions of their sides, exact",
            "epistemic uncertainty: none (one network without dropout)",
            f"suppression: {self.suppression.describe()}",
            f"device: {device_line(self._device)}",
        ]

    def key(self) -> Any:
        """Plain data that changes whenever the detections may change."""
        files = [self.path / "config.json", self.path / "preprocessor_config.json"]
        return {
            "runtime": "transformers",
            "files": fingerprint([*files, *sorted(self.path.glob("*.safetensors"))]),
            "suppression": asdict(self.suppression),
            "amp": self.amp,
        }

    def detect(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Detect objects in RGB images ``(H, W, 3)`` uint8; one prediction each, after suppression.

        Raises:
            InputError: the network gives values that aren't finite.
        """
        return [self.suppression.apply(p) for p in self.candidates(images, ids)]

    def candidates(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """All boxes from the suppression's score on; see :meth:`detect`."""
        found: list[DetPrediction] = []
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            found += self._batch(images[part], ids[part])
        return found

    def _batch(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        import torch

        pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"]
        half = self.amp and self._device.type == "cuda"
        context: Any = torch.autocast("cuda", dtype=torch.bfloat16) if half else nullcontext()
        with self._lock, torch.inference_mode(), context:
            out = self._model(pixel_values=pixels.to(self._device))
        arrays = [
            x.float().cpu().numpy()
            for x in (
                out.logits,
                out.intermediate_predicted_corners[:, -1],
                out.initial_reference_points[:, -1],
            )
        ]
        if not all(np.isfinite(a).all() for a in arrays):
            raise InputError("gives values that aren't finite", path=self.path, remedy="switch --amp off")
        logits, corners, reference = arrays
        return [
            self._one(logits[k], corners[k], reference[k], (image.shape[0], image.shape[1]), name)
            for k, (image, name) in enumerate(zip(images, ids, strict=True))
        ]

    def _one(
        self,
        logits: npt.NDArray[Any],
        corners: npt.NDArray[Any],
        reference: npt.NDArray[Any],
        size: tuple[int, int],
        image_id: str,
    ) -> DetPrediction:
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        good = np.flatnonzero(scores.max(1) >= self.suppression.score)
        boxes, variance = decode_sides(corners[good], reference[good], self._values, self._reg_scale)
        frame = np.array([size[1], size[0], size[1], size[0]], np.float64)
        boxes = np.clip(boxes * frame, 0, frame)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(1)
        kept = scores[good][solid]
        return DetPrediction(
            boxes[solid],
            kept.max(1, initial=0.0),
            kept.argmax(1),
            len(self.space),
            class_scores=kept,
            kind="sigmoid",
            box_aleatoric=(variance * frame**2)[solid],
            image_id=image_id,
        )


def _open(path: Path, transformers: Any) -> tuple[Any, Any]:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = transformers.DFineForObjectDetection.from_pretrained(
                str(path), local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
            if (path / "preprocessor_config.json").is_file():
                processor = transformers.RTDetrImageProcessor.from_pretrained(
                    str(path), local_files_only=True
                )
            else:
                processor = transformers.RTDetrImageProcessor()
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"holds no D-FINE network that can be opened ({text})", path=path) from error
    return model, processor


def _space(config: Mapping[str, Any], path: Path) -> LabelSpace:
    labels = {int(k): str(v) for k, v in (config.get("id2label") or {}).items()}
    if not labels:
        labels = {k: f"class {k}" for k in range(int(config.get("num_labels", 2)))}
    names = [labels[k] for k in sorted(labels)]
    # published configurations repeat names; a label space can't
    unique = [n if names.index(n) == k else f"{n} ({k})" for k, n in enumerate(names)]
    classes = [{"id": k, "name": n} for k, n in zip(sorted(labels), unique, strict=True)]
    return LabelSpace.from_dict({"name": path.name, "classes": classes, "void": [max(255, max(labels) + 1)]})
