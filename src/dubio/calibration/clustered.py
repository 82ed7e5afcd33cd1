"""Temperatures by kind of image: images are clustered by features, each cluster has its own temperature."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration.assign import Clusters, Method, Wide, logit_features, sample_features
from dubio.calibration.base import Array, Calibrator, as_map, as_sample, check_choice, rows, take_rows
from dubio.calibration.classwise import by_winner, fit_channels
from dubio.calibration.files import Storage, positive_of
from dubio.calibration.objective import BINS
from dubio.calibration.temperature import Objective, fit_temperature, temperature_sentence
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample


class ClusteredTemperature(Calibrator):
    """One temperature per cluster of images (*Reliability in Semantic Segmentation*, CVPR 2023).

    Features are standardised, each dimension by mean and standard deviation of the sample; distances then
    don't depend on units. (Published: features divided by their maximum, and full covariances with 1.25
    added, which leaves little but spheres; here covariances are diagonal.) Without features in the sample,
    those of :func:`~dubio.calibration.assign.logit_features` serve, when fitting and when applying.

    A cluster of fewer than ``min_images`` images or ``min_pixels`` pixels takes the temperature of all
    images. The others are drawn towards it, as if ``shrinkage`` more images had that temperature (a weighted
    mean of log T). One cluster equals :class:`~dubio.calibration.temperature.TemperatureScaling` and needs
    no features.

    Args:
        n_clusters: number of clusters; no more than there are images.
        method: ``kmeans`` (mini-batches of 2048, 5 starts) or ``gmm`` (Gaussian mixture, 5 starts).
        assignment: ``hard``: the nearest cluster's temperature; ``soft``: the mean of all, weighted by
            inverse distance (k-means) or posterior (mixture).
        per_class: a temperature per cluster and winning channel, which never changes the winner.
        objective: see :class:`~dubio.calibration.temperature.TemperatureScaling`.
        min_images: fewest images of a cluster.
        min_pixels: fewest pixels of a cluster, or of a channel in it with ``per_class``.
        shrinkage: in images.
        reg_covar: added to the variances of standardised features.
        bounds: least and largest temperature for ``nll``.
        bins: equal-width bins of the ECE.
        step: step of the grid for ``ece``.
        seed: seed of the clustering; the order of the images doesn't matter.

    Attributes:
        clusters_: the clusters; ``None`` if there is one only.
        temperatures_: ``(G,)``, or ``(G, K)`` with ``per_class``.
        pooled_: temperature of all images together.
        source_: ``given`` features, or those of the ``logits``.

    >>> found = ClusteredTemperature.from_centers(np.array([[0.0], [1.0]]), np.array([1.0, 2.0]), "soft")
    >>> found.image_temperatures(np.array([[0.0], [0.5]])).round(2).tolist()
    [1.0, 1.5]
    """

    storage: ClassVar[Storage] = "npz"
    clusters_: Clusters | None
    temperatures_: Wide
    pooled_: float
    source_: str

    def __init__(
        self,
        n_clusters: int = 8,
        method: Method = "kmeans",
        assignment: Literal["hard", "soft"] = "hard",
        per_class: bool = False,
        objective: Objective = "nll",
        min_images: int = 3,
        min_pixels: int = 1000,
        shrinkage: float = 2.0,
        reg_covar: float = 0.1,
        bounds: tuple[float, float] = (0.05, 20.0),
        bins: int = BINS,
        step: float = 0.01,
        seed: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.method = method
        self.assignment = assignment
        self.per_class = per_class
        self.objective = objective
        self.min_images = min_images
        self.min_pixels = min_pixels
        self.shrinkage = shrinkage
        self.reg_covar = reg_covar
        self.bounds = bounds
        self.bins = bins
        self.step = step
        self.seed = seed

    @classmethod
    def from_centers(
        cls, centers: Array, temperatures: Array, assignment: Literal["hard", "soft"] = "hard"
    ) -> Self:
        """A calibrator of known k-means centres ``(G, D)`` and temperatures ``(G,)`` or ``(G, K)``.

        Raises:
            InputError: shapes that don't belong together, or a temperature that isn't above zero.
        """
        t = np.asarray(temperatures, np.float64)
        if t.ndim not in (1, 2) or len(t) != len(centers) or not ((t > 0) & np.isfinite(t)).all():
            raise InputError(f"temperatures of shape {t.shape} for {len(centers)} centres, or not above zero")
        found = cls(len(t), assignment=assignment, per_class=t.ndim == 2)
        found.clusters_ = Clusters("kmeans", np.asarray(centers, np.float64))
        found.temperatures_, found.pooled_ = t, float(np.exp(np.log(t).mean()))
        found.source_, found.notes_ = "given", []
        return found

    @property
    def needs(self) -> frozenset[str]:
        """``features`` once fitted with given ones on more than one cluster."""
        given = self.fitted and self.clusters_ is not None and self.source_ == "given"
        return frozenset({"features"}) if given else frozenset()

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Cluster the images and learn the temperatures; see :meth:`Calibrator.fit`."""
        self._check()
        sample = as_sample(sample, labels)
        pooled, notes = fit_temperature(sample, self.objective, self.bounds, self.bins, self.step)
        n_images = len(sample.image_ids)
        count = min(self.n_clusters, n_images)
        if count < self.n_clusters:
            notes.append(f"{n_images} images make no {self.n_clusters} clusters; there are {count}")
        source, clusters, member = "logits", None, np.zeros(n_images, np.int64)
        if count > 1:
            source, features = _features(sample)
            # sorted by name, since mini-batches depend on the order
            order = np.argsort(np.array(sample.image_ids), kind="stable")
            clusters = Clusters.of(features[order], count, self.method, self.reg_covar, self.seed)
            member = clusters.nearest(features)
        self.temperatures_ = self._temperatures(sample, member, count, pooled, notes)
        self.clusters_, self.pooled_, self.source_, self.notes_ = clusters, pooled, source, notes
        return self

    def _temperatures(
        self, sample: LogitSample, member: npt.NDArray[np.int64], count: int, pooled: float, notes: list[str]
    ) -> Wide:
        options = (self.objective, self.bounds, self.bins, self.step)
        base: Any = fit_channels(sample, pooled, self.min_pixels, options)[0] if self.per_class else pooled
        found, few = np.array([base] * count), 0
        for g in range(count if count > 1 else 0):
            images = int((member == g).sum())
            part = take_rows(sample, member[sample.image] == g)
            if images < self.min_images or len(part) < self.min_pixels:
                few += 1
                continue
            drawn = images / (images + self.shrinkage)
            raw = fit_temperature(part, *options)[0]
            own = float(np.exp(drawn * np.log(raw) + (1 - drawn) * np.log(pooled)))
            found[g] = fit_channels(part, own, self.min_pixels, options)[0] if self.per_class else own
        if few:
            notes.append(f"{few} of {count} clusters are too small and take the temperature of all images")
        return found

    def _check(self) -> None:
        check_choice("method", self.method, ("kmeans", "gmm"))
        check_choice("assignment", self.assignment, ("hard", "soft"))
        if self.n_clusters < 1:
            raise InputError(
                f"there can't be {self.n_clusters} clusters",
                remedy="one per image has no meaning for new images",
            )
        if self.min_images < 1 or self.min_pixels < 1 or not self.shrinkage >= 0 or not self.reg_covar > 0:
            raise InputError("min_images, min_pixels and reg_covar must be above zero, shrinkage not below")

    def image_temperatures(self, features: Array) -> Wide:
        """Temperatures of images by their features ``(n, D)``: ``(n,)``, or ``(n, K)`` with ``per_class``.

        Raises:
            InputError: not fitted, or features of another length.
        """
        self.check_fitted()
        found = np.asarray(features)
        if self.clusters_ is None:
            return np.repeat(self.temperatures_, len(found), axis=0)
        if found.ndim != 2 or found.shape[1] != self.clusters_.centers.shape[1]:
            raise InputError(
                f"image features have shape {found.shape}, the clusters are of "
                f"{self.clusters_.centers.shape[1]} features",
                remedy="use features of the same layer of the same model",
            )
        if not np.isfinite(found).all():
            raise InputError("image features hold NaN or infinite values")
        if self.assignment == "hard":
            return np.asarray(self.temperatures_[self.clusters_.nearest(found)])
        return np.asarray(self.clusters_.weights(found) @ self.temperatures_)

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the rows by the temperatures of their images."""
        self.check_fitted()
        found = rows(logits, self.temperatures_.shape[1] if self.per_class else None)
        number = np.zeros(len(found), np.int64) if images is None else np.asarray(images)
        if number.shape != (len(found),) or (len(number) and int(number.min()) < 0):
            raise InputError(f"{len(found)} rows and image numbers of shape {number.shape}, or below 0")
        n_images = int(number.max()) + 1 if len(number) else 1
        if self.needs:
            features = self._given(features)
            if len(features) < n_images:
                raise InputError(f"features of {len(features)} images, the rows name {n_images}")
        elif self.clusters_ is not None:
            features = sample_features(found, number, n_images)
        else:
            features = np.zeros((n_images, 1))
        t = self.image_temperatures(features)[number]
        t = t[np.arange(len(found)), found.argmax(axis=1)] if self.per_class else t
        return np.asarray(found / t[:, None], np.float32)

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the map by the temperature of its image."""
        t = self._of_image(logits, features)
        if self.per_class:
            return by_winner(logits, t)[0]
        return as_map(logits) * np.float32(1 / t)

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """The image's temperature, or that of the winner at each pixel."""
        t = self._of_image(logits, features)
        return by_winner(logits, t)[1] if self.per_class else np.full(np.shape(logits)[1:], t, np.float32)

    def _of_image(self, logits: Array, features: Array | None) -> npt.NDArray[np.float64]:
        self.check_fitted()
        if self.needs:
            features = self._given(features)
        elif self.clusters_ is not None:
            features = logit_features(as_map(logits))
        else:
            features = np.zeros(1)
        return np.asarray(self.image_temperatures(np.reshape(features, (1, -1)))[0])

    def _given(self, features: Array | None) -> Array:
        if features is None:
            raise InputError(
                "the clustered temperature needs features of the images", remedy="extract them as for the fit"
            )
        return np.asarray(features)

    def describe(self) -> list[str]:
        """Temperatures of the clusters and where features come from."""
        self.check_fitted()
        if self.clusters_ is None and not self.per_class:
            return [temperature_sentence(float(self.temperatures_[0])), *self.notes_]
        t = self.temperatures_
        by = "image features" if self.source_ == "given" else "features of the logits"
        what = "clusters and predicted classes" if self.per_class else "clusters"
        return [
            f"temperatures {t.min():.2f} … {t.max():.2f} of {len(t)} {what} by {by}; "
            f"all together: {temperature_sentence(self.pooled_)}",
            *self.notes_,
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Clusters and temperatures."""
        arrays = {} if self.clusters_ is None else self.clusters_.arrays()
        return {"pooled": self.pooled_, "source": self.source_}, {
            "temperatures": self.temperatures_,
            **arrays,
        }

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up clusters and temperatures."""
        self.bounds = (float(self.bounds[0]), float(self.bounds[1]))
        self.pooled_, self.source_ = float(data["pooled"]), str(data["source"])
        self.clusters_ = Clusters.from_arrays(self.method, arrays) if "centers" in arrays else None
        count = 1 if self.clusters_ is None else len(self.clusters_.centers)
        shape = (count, None) if self.per_class else (count,)
        self.temperatures_ = positive_of(arrays, "temperatures", shape).astype(np.float64)


def _features(sample: LogitSample) -> tuple[str, Array]:
    if sample.features is None:
        return "logits", sample_features(sample.logits, sample.image, len(sample.image_ids))
    if not np.isfinite(sample.features).all():
        raise InputError("image features hold NaN or infinite values")
    return "given", sample.features
