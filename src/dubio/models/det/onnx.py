"""Detectors in ONNX files: all outputs by name."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.models.det.card import METADATA_KEY, DetectorCard, parse_detector_card
from dubio.models.det.specs import InputSpec, OutputSpec, Size
from dubio.models.onnx import OnnxRuntime

Floats = npt.NDArray[np.float32]


class OnnxDetectorFile(OnnxRuntime):
    """An ONNX file with a detector.

    Args:
        path: the file.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads within one run; default: all processors.

    Raises:
        InputError: the file can't be opened, or takes no single image.
    """

    @property
    def path(self) -> Path:
        """The file."""
        return self.files[0]

    @property
    def size(self) -> Size | None:
        """Height and width of the input if the file fixes them."""
        height, width = self._dims[1:3] if self._last else self._dims[2:4]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    @property
    def input_name(self) -> str:
        """Name of the input."""
        return str(self._input.name)

    @property
    def shapes(self) -> dict[str, list[Any]]:
        """Axes of the outputs by name; what isn't fixed is a name or ``None``."""
        return {o.name: list(o.shape) for o in self._session.get_outputs()}

    def card(self) -> tuple[DetectorCard, str] | None:
        """The card that the file's metadata hold or imply, and where it is from; ``None``: nothing is said.

        dubio's own exports hold one. Those of Ultralytics name task and classes, from which one is made.

        Raises:
            InputError: the card can't be used, or a file of Ultralytics holds no plain detector.
        """
        data = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY in data:
            return parse_detector_card(data[METADATA_KEY], self.path), "metadata of the file"
        if "names" in data and "stride" in data:
            return _ultralytics(data, self.shapes, self.path), "metadata of Ultralytics"
        return None

    def run_all(self, batch: Floats, names: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Outputs of these names for a batch ``(B, 3, H, W)``.

        Raises:
            InputError: the network refuses the batch.
        """
        if self._last:
            batch = np.moveaxis(batch, 1, -1)
        kind = {"float": "float32"}.get(self._input.type[7:-1], self._input.type[7:-1])
        if kind == "uint8":
            batch = np.clip(np.rint(batch), 0, 255)
        try:
            found = self._session.run(list(names), {self.input_name: np.ascontiguousarray(batch, kind)})
        except Exception as error:
            reason = (str(error).strip().splitlines() or ["no reason given"])[0].split(" : ")[-1][:300]
            raise InputError(
                f"can't be run on a batch of shape {batch.shape} ({reason})",
                path=self.path,
                remedy="correct the input size in its card",
            ) from error
        return [np.asarray(part) for part in found]


def _ultralytics(data: dict[str, str], shapes: dict[str, list[Any]], path: Path) -> DetectorCard:
    """Card of an Ultralytics export (YOLOv5 and later): one output, boxes and scores in the same rows."""
    task = data.get("task", "detect")
    if task != "detect":
        raise InputError(f"is a model of Ultralytics for '{task}'", path=path, remedy="give a detector")
    try:
        named = ast.literal_eval(data["names"])
        names = named if isinstance(named, dict) else dict(enumerate(named))
        classes = [{"id": int(k), "name": str(v)} for k, v in sorted(names.items())]
    except (ValueError, SyntaxError, TypeError, AttributeError) as error:
        raise InputError("has class names in its metadata that can't be read", path=path) from error
    space = LabelSpace.from_dict({"name": path.stem, "classes": classes, "void": []})
    name, axes = next(iter(shapes.items()))
    transposed = len(axes) == 3 and axes[1] == 4 + len(space)
    scored = len(axes) == 3 and axes[2] == 5 + len(space)
    if not transposed and not scored:
        raise InputError(
            f"is an export of Ultralytics whose output has the shape {axes}, not (1, {4 + len(space)}, N)",
            path=path,
            remedy="export it with nms=False and end2end=False: the scores of all classes are wanted",
        )
    outputs = OutputSpec(
        "corners", (name,), activated=True, form="cxcywh", transposed=transposed, objectness=not transposed
    )
    pixels = InputSpec(align="center", size=_size(data.get("imgsz", "")))
    return DetectorCard(outputs, pixels, space, "made of the metadata of Ultralytics")


def _size(text: str) -> Size | None:
    try:
        height, width = (int(v) for v in ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError):
        return None
    return height, width
