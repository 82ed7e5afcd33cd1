"""A network as a source of predictions in the label space of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.core.records import RawScores, Sample, ScoreCalibrator, SegPrediction
from dubio.data.relabel import to_prediction
from dubio.models.base import SegModel
from dubio.models.card import Size
from dubio.models.inference import predict_scores
from dubio.models.pixels import Floats, Image

if TYPE_CHECKING:
    from dubio.data.classmap import ClassMap
    from dubio.models.features import FeatureExtractor


class ModelSource:
    """Predictions of a network, brought into a label space; a ``PredictionSource``.

    Args:
        model: the network (see ``load_model``).
        space: the label space of the predictions; ``None``: the network's own.
        class_map: map from the network's classes to ``space``: a map, its name or its file. Not needed if
            the network's classes are those of ``space``, by number if nobody has named them.
        window: height and width of a sliding window; default: the card's.
        overlap: share by which windows overlap; default: the card's.
        batch_size: the most images or windows in one run.
        amp: mixed precision on a GPU.
        calibrator: applied to the network's scores (see :mod:`dubio.calibration`).
        features: what gives a calibrator the features that it needs; default: the network's own.

    Raises:
        InputError: the network's classes and the label space don't fit together.
    """

    def __init__(
        self,
        model: SegModel,
        space: LabelSpace | None = None,
        *,
        class_map: ClassMap | str | Path | None = None,
        window: Size | None = None,
        overlap: float | None = None,
        batch_size: int = 8,
        amp: bool = False,
        calibrator: ScoreCalibrator | None = None,
        features: FeatureExtractor | None = None,
    ) -> None:
        self.model = model
        self.calibrator = calibrator
        self._features = features
        self.space = space or model.space or numbered_space(model.n_channels)
        self.window, self.overlap, self.batch_size, self.amp = window, overlap, batch_size, amp
        self.class_map = _choose_map(model, self.space, class_map)

    def describe(self) -> list[str]:
        """Sentences on the network and the class map."""
        lines = list(self.model.describe())
        if self.class_map is not None:
            lines.extend(self.class_map.describe())
        elif self.model.space is None:
            lines.append(
                f"class map: channel number = class number of '{self.space.name}' (assumed; "
                "change with --model-space and --class-map)"
            )
        if self.window is not None:
            share = self.model.card.overlap if self.overlap is None else self.overlap
            lines.append(f"sliding window: {self.window[0]} x {self.window[1]}, overlap {share:g}")
        if self.calibrator is not None:
            lines.extend(f"calibrated: {line}" for line in self.calibrator.describe())
        return lines

    def key(self) -> Any:
        """Plain data that changes whenever the predictions may change."""
        mapping = self.class_map
        return {
            "model": self.model.key(),
            "space": self.space.to_dict(),
            "map": None if mapping is None else list(mapping.pairs),
            "window": self.window,
            "overlap": self.overlap,
            "amp": self.amp,
            "calibrator": None if self.calibrator is None else self.calibrator.key(),
        }

    def read(self, sample: Sample, size: Size | None) -> SegPrediction | None:
        """Predict one sample at ``size`` (default: the image's size); ``None`` if it has no image.

        Raises:
            InputError: the image can't be read or used, or has other proportions than ``size``.
        """
        if sample.image is None:
            return None
        from dubio.data.images import read_image
        from dubio.data.resize import ASPECT_TOLERANCE, check_aspect

        image = read_image(sample.image)
        if size is not None:
            try:
                check_aspect(image.shape[:2], size, ASPECT_TOLERANCE, what="the image")
            except InputError as error:
                raise InputError(error.fault, path=sample.image, remedy=error.remedy) from error
        return self.predict([sample.image_id], [image], [size])[0]

    def predict(
        self, ids: Sequence[str], images: Sequence[Image], sizes: Sequence[Size | None] | None = None
    ) -> list[SegPrediction]:
        """Predict several images at once; images of equal size share a run of the network.

        Args:
            ids: image ids.
            images: each ``(H, W, 3)`` uint8 RGB.
            sizes: height and width of each prediction; ``None``: the image's own.
        """
        out = []
        for image_id, image, raw in zip(ids, images, self.raw(images, sizes), strict=True):
            wanted = self.calibrator is not None and "features" in self.calibrator.needs
            features = self.image_features(image) if wanted else None
            out.append(
                to_prediction(
                    raw, calibrator=self.calibrator, image=image, features=features, image_id=image_id
                )
            )
        return out

    def image_features(self, image: Image) -> Floats:
        """Pooled features ``(D,)`` of an image (see :class:`dubio.models.features.FeatureExtractor`).

        Raises:
            InputError: the network has no layer that looks like the end of a backbone.
        """
        if self._features is None:
            from dubio.models.base import Network
            from dubio.models.features import FeatureExtractor

            if not isinstance(self.model, Network):
                raise InputError("features are wanted, which this model can't give")
            self._features = FeatureExtractor(self.model)
        found: Floats = self._features.pooled([image])[0]
        return found

    def raw(self, images: Sequence[Image], sizes: Sequence[Size | None] | None = None) -> list[RawScores]:
        """What the network itself says, before calibrator and class map; see :meth:`predict`."""
        pairs = None if self.class_map is None else self.class_map.pairs
        scores = self._run(images, sizes)
        return [RawScores(s, self.model.kind, _filled(pairs, len(s)), len(self.space)) for s in scores]

    def _run(self, images: Sequence[Image], sizes: Sequence[Size | None] | None) -> list[Floats]:
        found = predict_scores(
            self.model,
            images,
            size=list(sizes) if sizes is not None else None,
            window=self.window,
            overlap=self.overlap,
            batch_size=self.batch_size,
            amp=self.amp,
        )
        return found


def numbered_space(count: int) -> LabelSpace:
    """Make a label space for channels that nobody has named.

    >>> numbered_space(3).names
    ('class 0', 'class 1', 'class 2')
    """
    classes = [{"id": n, "name": f"class {n}"} for n in range(count)]
    return LabelSpace.from_dict({"name": "unnamed", "classes": classes, "void": [max(255, count)]})


def _filled(pairs: tuple[int, ...] | None, count: int) -> tuple[int, ...] | None:
    """A class map for all channels: what comes after the named ones counts as nothing."""
    return None if pairs is None else pairs + (-1,) * (count - len(pairs))


def _choose_map(model: SegModel, space: LabelSpace, wanted: Any) -> ClassMap | None:
    own = model.space
    if own is None:
        if wanted is not None:
            raise InputError("a class map needs the model's label space", remedy="name it with --model-space")
        if model.n_channels < len(space):
            raise InputError(
                f"the model has {model.n_channels} channels for the {len(space)} classes of '{space.name}'",
                remedy="name the model's label space with --model-space, and a class map with --class-map",
            )
        return None
    if wanted is None and _same(own, space):
        return None
    from dubio.data.classmap import ClassMap, load_class_map

    return wanted if isinstance(wanted, ClassMap) else load_class_map(wanted, own, space)


def _same(one: LabelSpace, other: LabelSpace) -> bool:
    return [n.casefold() for n in one.names] == [n.casefold() for n in other.names]
