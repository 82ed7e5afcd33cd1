"""One image as the finder sees it: the prediction's maps, and the picture if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import SegPrediction
from dubio.data.images import fit_image
from dubio.regions.extract import PixelMaps, components, extract

Floats = npt.NDArray[np.float32]


@dataclass
class View:
    """Everything about one image that doesn't depend on its label.

    Attributes:
        n_classes: number of classes of the label space.
        pred: ``(H, W)`` predicted class indices, ``n_classes`` = none.
        pred_ids: components of ``pred``, int32.
        n_pred: their number.
        maps: the pixel maps.
        prediction: the scores behind them.
        gradient: ``(H, W)`` strength of edges in the picture over its mean, or ``None``.
        image: ``(H, W, 3)`` picture, or ``None``.
    """

    n_classes: int
    pred: IndexMap
    pred_ids: npt.NDArray[np.int32]
    n_pred: int
    maps: PixelMaps
    prediction: SegPrediction
    gradient: Floats | None = None
    image: npt.NDArray[np.uint8] | None = None

    def probability_of(self, classes: IndexMap) -> Floats:
        """Probability of a class chosen per pixel, ``(H, W)`` float32; 0 where the class is void.

        With a label map alone it is 1 where the prediction has the class, else 0.
        """
        known = classes < self.n_classes
        scores = self.prediction.scores
        if scores is None:
            agree: Floats = ((self.pred == classes) & known).astype(np.float32)
            return agree
        picked: npt.NDArray[Any] = np.take_along_axis(
            scores, np.where(known, classes, 0)[None].astype(np.int64), axis=0
        )[0].astype(np.float32)
        if self.maps.energy is not None:
            picked = np.exp(np.minimum(picked + self.maps.energy, 0))
        kept: Floats = np.where(known, picked, np.float32(0)).astype(np.float32)
        return kept


def make_view(
    prediction: SegPrediction, space: LabelSpace, image: npt.NDArray[np.uint8] | None = None
) -> View:
    """Compute maps and components of a prediction, without a label.

    A picture whose size differs from the prediction's is resized.
    """
    found = extract(prediction, space=space)
    pred = found.maps.pred
    ids, n = components(pred, len(space))
    gradient = None
    if image is not None:
        image = fit_image(image, prediction.shape)
        gradient = edge_strength(image)
    return View(len(space), pred, ids, n, found.maps, prediction, gradient, image)


def edge_strength(image: npt.NDArray[np.uint8]) -> Floats:
    """Gradient of the brightness (Sobel) over its mean, ``(H, W)`` float32."""
    from scipy import ndimage

    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    strength = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)).astype(np.float32)
    scaled: Floats = strength / np.float32(strength.mean() + 1e-6)
    return scaled
