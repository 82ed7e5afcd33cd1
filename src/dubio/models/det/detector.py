"""A detector: an ONNX file with its card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import fingerprint
from dubio.core.labelspace import LabelSpace
from dubio.models.det.card import DetectorCard
from dubio.models.det.decode import candidates
from dubio.models.det.fit import Image, Placed, prepare
from dubio.models.det.heads import RawHead, split_outputs
from dubio.models.det.onnx import OnnxDetectorFile
from dubio.models.det.specs import Size
from dubio.uncertainty.boxes.suppress import Suppression

Decoding = Literal["exact", "l-norm", "n-flow", "sample", "falsedec"]
_VARIANCES = {
    "distribution": "aleatoric, from the distributions of the sides",
    "log": "aleatoric, predicted",
    "samples": "epistemic, from samples within the file",
}


class Detector:
    """A detector in an ONNX file; a :class:`~dubio.models.det.base.DetModel`.

    Args:
        file: the opened file.
        card: what it expects and gives.
        origin: where the card is from, in words.
        suppression: how double detections are removed; its ``score`` is also the least score that is decoded.
        decode: how predicted variances become those of corners (``exact`` unless for comparison).
        n_samples: draws of the decoding ``sample``.
        seed: of these draws.

    Raises:
        InputError: file and card don't fit together.
    """

    def __init__(
        self,
        file: OnnxDetectorFile,
        card: DetectorCard,
        origin: str,
        *,
        suppression: Suppression | None = None,
        decode: Decoding = "exact",
        n_samples: int = 100,
        seed: int = 0,
    ) -> None:
        self.file, self.origin = file, origin
        self.suppression = suppression or Suppression()
        self.decode: Decoding = decode
        self.n_samples, self.seed = n_samples, seed
        self.card = _settled(card, file)
        self.size = _input_size(self.card, file)
        blank = np.zeros((16, 16, 3), np.uint8)
        head = self.raw(blank)
        self._check(head, prepare(blank, self.card.input, self.size)[1])
        background = self.card.outputs.background is not None
        n_classes = head.classes.shape[2] - background
        if self.card.space is None:
            self.card = self.card.with_space(_numbered(n_classes))
        if len(self.space) != n_classes:
            raise InputError(
                f"has scores of {n_classes} classes, but '{self.space.name}' has {len(self.space)}",
                path=file.path,
                remedy="name the label space that the detector was trained on",
            )
        self._samples, self._rows = head.classes.shape[:2]

    @property
    def space(self) -> LabelSpace:
        """Classes of the predictions."""
        assert self.card.space is not None
        return self.card.space

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def detect(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Detections, double ones removed.

        Args:
            images: each ``(H, W, 3)`` uint8 RGB, of any size.
            ids: image ids.

        Raises:
            InputError: the network fails, or gives values that aren't finite.
        """
        return [self.suppression.apply(found) for found in self.candidates(images, ids)]

    def candidates(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """All boxes above the least score, before suppression; see :meth:`detect`."""
        return [
            self._candidates(head, placed, name, floor=self.suppression.score)
            for (head, placed), name in zip(self._heads(images), ids, strict=True)
        ]

    def raw(self, image: Image) -> RawHead:
        """What the network says of an image before decoding: means, variances, references, class outputs.

        Decode with :func:`~dubio.models.det.decode.decode_head`, compare decodings with
        :func:`dubio.uncertainty.boxes.compare_decodings`.
        """
        return next(self._heads([image]))[0]

    def describe(self) -> list[str]:
        """Sentences on the file, its card and the suppression."""
        spec, pixels = self.card.outputs, self.card.input
        normal = "" if pixels.mean == (0, 0, 0) and pixels.std == (1, 1, 1) else ", normalised"
        said = [spec.log_variance and "log", spec.samples and "samples", spec.coder]
        kinds = [_VARIANCES[str(k)] for k in said if k in _VARIANCES]
        samples = f" x {self._samples} samples" if spec.samples else ""
        how = "" if self.decode == "exact" else f"; decoded by '{self.decode}'"
        return [
            self.file.lines()[0],
            f"card: {self.origin}; coder '{spec.coder}', {self._rows} candidates{samples}{how}",
            f"classes: {len(self.space)} of '{self.space.name}', {spec.score_kind}",
            f"pixels: {pixels.channels.upper()} {pixels.scale}{normal}, {self.size[0]} x {self.size[1]}, "
            + ("stretched" if pixels.fit == "stretch" else f"letterbox, {pixels.align}"),
            "variances of corners: " + ("; ".join(kinds) or "none"),
            f"suppression: {self.suppression.describe()}",
            f"device: {self.file.device}",
        ]

    def key(self) -> Any:
        """Fingerprint of the file, the card, decoding and suppression."""
        return {
            "files": fingerprint(self.file.files),
            "card": self.card.to_dict(),
            "decode": [self.decode, self.n_samples, self.seed] if self.decode == "sample" else self.decode,
            "suppression": asdict(self.suppression),
        }

    def _check(self, head: RawHead, placed: Placed) -> None:
        """Find a decoding or fusion for which the head has no variances now, not at every image.

        Raises:
            InputError: there is one.
        """
        try:
            self.suppression.apply(self._candidates(head, placed, "", floor=0.0))
        except InputError as error:
            raise InputError(error.fault, path=self.file.path, remedy=error.remedy) from error

    def _candidates(self, head: RawHead, placed: Placed, image_id: str, *, floor: float) -> DetPrediction:
        return candidates(
            head,
            self.card.outputs,
            placed,
            floor=floor,
            method=self.decode,
            n_samples=self.n_samples,
            seed=self.seed,
            image_id=image_id,
        )

    def _heads(self, images: Sequence[Image]) -> Iterator[tuple[RawHead, Placed]]:
        """Heads of all images, run in the batches that the file takes."""
        step = self.file.batch or max(len(images), 1)
        for start in range(0, len(images), step):
            ready = [prepare(image, self.card.input, self.size) for image in images[start : start + step]]
            filled = [ready[min(k, len(ready) - 1)][0] for k in range(self.file.batch or len(ready))]
            outputs = self._run(np.stack(filled))
            for k, (_, placed) in enumerate(ready):
                own = {name: values[k] for name, values in outputs.items()}
                try:
                    yield split_outputs(own, self.card.outputs, self.size), placed
                except InputError as error:
                    raise InputError(error.fault, path=self.file.path, remedy=error.remedy) from error

    def _run(self, batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
        names = self.card.outputs.names
        found = dict(zip(names, self.file.run_all(batch, names), strict=True))
        for name, values in found.items():
            if name == self.card.outputs.reference and (values.ndim == 2 or len(values) == 1):
                # the same anchors for every image
                found[name] = np.broadcast_to(
                    values.reshape(-1, values.shape[-1]), (len(batch), *values.shape[-2:])
                )
            elif len(values) != len(batch):
                raise InputError(
                    f"gives {len(values)} rows in '{name}' for {len(batch)} images", path=self.file.path
                )
        return found


def _settled(card: DetectorCard, file: OnnxDetectorFile) -> DetectorCard:
    """The card with the names of the file, where there is but one that can be meant.

    Raises:
        InputError: the file lacks an output or input.
    """
    there, spec = list(file.shapes), card.outputs
    missing = [name for name in spec.names if name not in there]
    if missing and len(spec.names) == len(there) == 1:
        spec = replace(spec, boxes=(there[0],))
    elif missing:
        raise InputError(
            f"has no output '{missing[0]}', which its card names",
            path=file.path,
            remedy="it has " + ", ".join(there),
        )
    if card.input.name not in (None, file.input_name):
        # one input is all that a detector has, whatever it is called
        return replace(card, outputs=spec, input=replace(card.input, name=file.input_name))
    return replace(card, outputs=spec)


def _input_size(card: DetectorCard, file: OnnxDetectorFile) -> Size:
    size = card.input.size or file.size
    if size is None:
        raise InputError(
            "takes images of any size, and its card names none", path=file.path, remedy="state the input size"
        )
    if file.size not in (None, size):
        assert file.size is not None
        high, wide = file.size
        raise InputError(
            f"takes images of {high} x {wide} only, not {size[0]} x {size[1]}",
            path=file.path,
            remedy="correct the input size",
        )
    return size


def _numbered(count: int) -> LabelSpace:
    classes = [{"id": n, "name": f"class {n}"} for n in range(count)]
    return LabelSpace.from_dict({"name": "unnamed", "classes": classes, "void": []})
