"""Which cluster an image belongs to, by its features."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array
from dubio.calibration.files import array_of, positive_of
from dubio.calibration.kernels import describe_logits
from dubio.core.seeds import derive_seed
from dubio.data.logits import Floats

Method = Literal["kmeans", "gmm"]
Wide = npt.NDArray[np.float64]
_BATCH = 2048
_STARTS = 5
_MOST_STEPS = 10_000
_NEAR = 1e-6  # added to distances, so that an image on a centre has a finite weight


def logit_features(logits: Array) -> Floats:
    """Features of an image from its logits alone.

    Args:
        logits: ``(K, H, W)`` or ``(K, N)``.

    Returns:
        ``(K + 2,)`` float32: mean probability of each channel, mean largest probability, mean entropy
        divided by ln K. Zeros if there are no pixels.

    >>> logit_features(np.zeros((4, 2, 2), np.float32)).tolist()
    [0.25, 0.25, 0.25, 0.25, 0.25, 1.0]
    """
    flat = np.ascontiguousarray(np.reshape(logits, (len(logits), -1)), np.float32)
    k, n = flat.shape
    sums = np.zeros(k + 2)
    if n:
        describe_logits(flat, sums)
        sums /= n
        sums[k + 1] /= np.log(max(k, 2))
    return sums.astype(np.float32)


def sample_features(logits: Floats, images: npt.NDArray[Any], n_images: int) -> Floats:
    """:func:`logit_features` of every image of a sample, ``(n_images, K + 2)``."""
    order = np.argsort(images, kind="stable")
    edges = np.searchsorted(images[order], np.arange(n_images + 1))
    parts = [order[a:b] for a, b in pairwise(edges)]
    return np.stack([logit_features(logits[part].T) for part in parts])


class Clusters:
    """Clusters in scaled feature space, with hard and soft assignment.

    k-means: hard = nearest centre; soft = inverse distance (plus 1e-6), normalised. Gaussian mixture with
    diagonal covariances: soft = posterior, hard = its largest.

    Attributes:
        method: ``kmeans`` or ``gmm``.
        shift: ``(D,)`` mean of the features.
        scale: ``(D,)`` their standard deviation; 1 for a constant feature.
        centers: ``(G, D)`` centres, after scaling.
        variances: ``(G, D)`` of a mixture; ones for k-means.
        shares: ``(G,)`` mixing proportions; equal for k-means.
    """

    def __init__(
        self,
        method: Method,
        centers: Wide,
        *,
        shift: Wide | None = None,
        scale: Wide | None = None,
        variances: Wide | None = None,
        shares: Wide | None = None,
    ) -> None:
        count, size = centers.shape
        self.method = method
        self.centers = centers
        self.shift = np.zeros(size) if shift is None else shift
        self.scale = np.ones(size) if scale is None else scale
        self.variances = np.ones((count, size)) if variances is None else variances
        self.shares = np.full(count, 1 / count) if shares is None else shares

    @classmethod
    def of(cls, features: Array, count: int, method: Method, reg_covar: float, seed: int) -> Clusters:
        """Find clusters of ``(n_images, D)`` features, rows in an order that doesn't depend on files."""
        from threadpoolctl import threadpool_limits

        wide = np.asarray(features, np.float64)
        shift, spread = wide.mean(axis=0), wide.std(axis=0)
        scale = np.where(spread > 1e-12, spread, 1.0)
        scaled = (wide - shift) / scale
        state = derive_seed(seed, "clusters") % 2**32
        # few images: threads would wait for each other longer than they work
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # equal images make empty clusters; that is no fault
            if method == "gmm":
                from sklearn.mixture import GaussianMixture

                found = GaussianMixture(
                    count,
                    covariance_type="diag",
                    n_init=_STARTS,
                    max_iter=_MOST_STEPS,
                    reg_covar=reg_covar,
                    random_state=state,
                ).fit(scaled)
                parts = {"variances": found.covariances_, "shares": found.weights_}
                return cls(method, found.means_, shift=shift, scale=scale, **parts)
            from sklearn.cluster import MiniBatchKMeans

            means = MiniBatchKMeans(count, batch_size=_BATCH, n_init=_STARTS, random_state=state).fit(scaled)
        return cls(method, np.asarray(means.cluster_centers_, np.float64), shift=shift, scale=scale)

    def weights(self, features: Array) -> Wide:
        """Soft assignment ``(n, G)`` of features ``(n, D)``; rows sum to one."""
        x = (np.asarray(features, np.float64) - self.shift) / self.scale
        away = x[:, None, :] - self.centers
        if self.method == "kmeans":
            near = 1 / (np.sqrt((away**2).sum(axis=2)) + _NEAR)
            return np.asarray(near / near.sum(axis=1, keepdims=True))
        logs = np.log(np.maximum(self.shares, 1e-300)) - 0.5 * (
            (away**2 / self.variances).sum(axis=2) + np.log(self.variances).sum(axis=1)
        )
        raised = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def nearest(self, features: Array) -> npt.NDArray[np.int64]:
        """Hard assignment ``(n,)``."""
        return np.asarray(self.weights(features).argmax(axis=1), np.int64)

    def arrays(self) -> dict[str, Array]:
        """All arrays, for a file."""
        names = ("centers", "shift", "scale", "variances", "shares")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, method: Method, arrays: dict[str, Array]) -> Clusters:
        """What :meth:`arrays` gave; raises if the shapes disagree."""
        centers = array_of(arrays, "centers", (None, None))
        count, size = centers.shape
        return cls(
            method,
            centers,
            shift=array_of(arrays, "shift", (size,)),
            scale=positive_of(arrays, "scale", (size,)),
            variances=positive_of(arrays, "variances", (count, size)),
            shares=array_of(arrays, "shares", (count,)),
        )
