"""Features of networks: the maps of an inner layer, and vectors pooled from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.models.base import Network
from dubio.models.card import Size
from dubio.models.inference import window_starts
from dubio.models.layers import Tap
from dubio.models.pixels import Floats, Image, prepare

Pooling = Literal["mean", "sum_over_max"]


class FeatureExtractor:
    """Gives the feature maps of one layer of a network.

    Images are prepared as the network's card says, as for prediction. A network with a sliding window
    sees the windows one by one; their maps are laid side by side and averaged where they overlap.

    Args:
        model: the network (see ``load_model``).
        layer: the layer: a tensor of an ONNX file, a node or module of an exported program, a module
            path of a transformers network or a dubio checkpoint. ``None``: the last stage of the
            backbone.
        batch_size: the most images or windows in one run; results don't depend on it.
        amp: mixed precision on a GPU.

    Attributes:
        layer: the layer that is taken.

    Raises:
        InputError: there is no such layer, or none that looks like the end of a backbone.
        MissingExtraError: an ONNX file is given and the package ``onnx`` isn't installed.
    """

    def __init__(
        self, model: Network, layer: str | None = None, *, batch_size: int = 8, amp: bool = False
    ) -> None:
        if batch_size < 1:
            raise InputError(f"a batch can't hold {batch_size} images", remedy="give 1 or more")
        self.model, self.batch_size, self.amp = model, batch_size, amp
        self._tap: Tap = model.runtime.tap(layer, model.card)
        self.layer = self._tap.layer

    def maps(self, images: Sequence[Image]) -> list[Floats]:
        """Give the feature map of each image.

        Args:
            images: each ``(H, W, 3)`` uint8 RGB; sizes may differ.

        Returns:
            One ``(D, h, w)`` float32 array per image.

        Raises:
            InputError: an image isn't ``(H, W, 3)`` uint8, the layer gives no map, or values that aren't
                finite.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise InputError(f"an image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
        if self.model.card.window is not None:
            return [self._slide(image, self.model.card.window) for image in images]
        groups: dict[Size, list[int]] = defaultdict(list)
        for number, image in enumerate(images):
            groups[self.model.card.input_size(*image.shape[:2])].append(number)
        out: list[Floats | None] = [None] * len(images)
        for size, members in groups.items():
            for part in _parts(members, self.batch_size):
                batch = np.concatenate([prepare([images[n]], self.model.card, size) for n in part])
                for number, found in zip(part, self._run(batch), strict=True):
                    out[number] = found
        return [found for found in out if found is not None]

    def pooled(self, images: Sequence[Image], how: Pooling = "mean") -> Floats:
        """Give one pooled vector per image: ``(N, D)`` float32; see :func:`pooled`."""
        found = [pooled(each, how) for each in self.maps(images)]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def describe(self) -> list[str]:
        """Sentences on the layer that is taken."""
        return [f"features: layer '{self.layer}' ({self._tap.why})"]

    def key(self) -> Any:
        """Plain data that changes whenever the features may change."""
        return {"model": self.model.key(), "layer": self.layer, "amp": self.amp}

    def _run(self, batch: Floats) -> Floats:
        card = self.model.card
        found = self.model.apply(lambda part: self._tap.run(part, card, self.amp), batch)
        if found.ndim != 4:
            raise InputError(
                f"the layer '{self.layer}' gives an array of shape {found.shape}, no (B, D, h, w) map",
                remedy="name another layer",
            )
        found = np.ascontiguousarray(found, np.float32)
        if not np.isfinite(found).all():
            raise InputError(
                f"the layer '{self.layer}' gives values that are not finite",
                path=self.model.runtime.files[0],
                remedy="check the input scale, or switch mixed precision off",
            )
        return found

    def _slide(self, image: Image, window: Size) -> Floats:
        card, (height, width) = self.model.card, image.shape[:2]
        fixed = card.size is not None
        tile = window if fixed else (min(window[0], height), min(window[1], width))
        places = [
            (top, left)
            for top in window_starts(height, tile[0], card.overlap)
            for left in window_starts(width, tile[1], card.overlap)
        ]
        canvas: Floats | None = None
        for part in _parts(places, self.batch_size):
            batch = np.concatenate([self._tile(image, place, tile, fixed) for place in part])
            for (top, left), found in zip(part, self._run(batch), strict=True):
                depth, rows, columns = found.shape
                if canvas is None:
                    wide = max(columns, round(width * columns / tile[1]))
                    canvas = np.zeros((depth, max(rows, round(height * rows / tile[0])), wide), np.float32)
                    seen = np.zeros(canvas.shape[1:], np.float32)
                # the last windows end with the canvas, whatever rounding says
                row = min(round(top * rows / tile[0]), canvas.shape[1] - rows)
                column = min(round(left * columns / tile[1]), canvas.shape[2] - columns)
                canvas[:, row : row + rows, column : column + columns] += found
                seen[row : row + rows, column : column + columns] += 1
        assert canvas is not None
        return np.asarray(canvas / np.maximum(seen, 1))

    def _tile(self, image: Image, place: Size, tile: Size, fixed: bool) -> Floats:
        piece = image[place[0] : place[0] + tile[0], place[1] : place[1] + tile[1]]
        if not fixed:
            return prepare([piece], self.model.card, self.model.card.input_size(*tile))
        # A network of fixed size: small images are filled up with the mean colour, as for prediction.
        gaps = ((0, 0), (0, 0), (0, tile[0] - piece.shape[0]), (0, tile[1] - piece.shape[1]))
        return np.pad(prepare([piece], self.model.card), gaps)


def pooled(features: npt.NDArray[Any], how: Pooling = "mean") -> Floats:
    """Pool a feature map to a vector.

    Args:
        features: ``(D, h, w)``.
        how: ``mean`` over the positions; or ``sum_over_max``: the sums over the positions divided by the
            largest of them, which doesn't depend on the scale of the features (de Jorge et al., CVPR
            2023, who cluster images by it).

    Returns:
        ``(D,)`` float32. All NaN if the largest sum is 0: the quotient is undefined.

    Raises:
        InputError: no map, or an unknown way.

    >>> pooled(np.array([[[1, 2]], [[4, 8]]]), "sum_over_max").tolist()
    [0.25, 1.0]
    """
    if features.ndim != 3 or 0 in features.shape:
        raise InputError(f"a feature map has the shape (D, h, w), not {features.shape}")
    if how == "mean":
        return np.asarray(features.mean(axis=(1, 2), dtype=np.float64), np.float32)
    if how != "sum_over_max":
        raise InputError(f"there is no pooling '{how}'", remedy="mean or sum_over_max")
    sums = features.sum(axis=(1, 2), dtype=np.float64)
    largest = sums.max()
    return np.asarray(sums / largest if largest else np.full_like(sums, np.nan), np.float32)


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
