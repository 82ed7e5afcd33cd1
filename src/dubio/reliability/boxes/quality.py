"""What an uncertainty is worth: does it grow with the error, and does it tell false detections?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_JSD_POINTS, _JSD_REACH, _JSD_BINS = 1000, 3.0, 30


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Rank correlation; NaN for fewer than three pairs or where one of the two is constant.

    >>> spearman([1, 2, 3, 4], [1, 8, 27, 64])
    1.0
    """
    x, y = _known(a, b)
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    from scipy.stats import rankdata

    rx, ry = rankdata(x), rankdata(y)
    return float(np.clip(np.corrcoef(rx, ry)[0, 1], -1, 1))


def auroc(uncertainty: npt.ArrayLike, wrong: npt.ArrayLike) -> float:
    """Probability that a wrong detection is less certain than a right one; NaN without both kinds.

    >>> auroc([0.1, 0.9, 0.8], [False, True, False])
    1.0
    """
    from scipy.stats import rankdata

    u, w = np.asarray(uncertainty, np.float64).ravel(), np.asarray(wrong, bool).ravel()
    known = np.isfinite(u)
    u, w = u[known], w[known]
    n, m = int(w.sum()), int((~w).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(u)[w].sum() - n * (n + 1) / 2) / (n * m))


def sparsification_error(uncertainty: npt.ArrayLike, error: npt.ArrayLike) -> float:
    """Area between the error left when the least certain go first and when the worst do (AUSE).

    Both curves are divided by the mean error; 0 is perfect. Source: Ilg et al., Uncertainty Estimates and
    Multi-Hypotheses Networks for Optical Flow, ECCV 2018. NaN without an error.

    >>> sparsification_error([1, 2, 3], [1, 2, 3])
    0.0
    """
    u, e = _known(uncertainty, np.abs(np.asarray(error, np.float64)))
    if not len(e) or e.mean() == 0:
        return float("nan")

    def left(key: Floats) -> Floats:
        kept = e[np.argsort(key, kind="stable")]
        return np.asarray(np.cumsum(kept) / np.arange(1, len(e) + 1))

    return float((left(u) - left(e)).mean() / e.mean())


def jensen_shannon(a: npt.ArrayLike, b: npt.ArrayLike, *, published: bool = False) -> float:
    """Jensen-Shannon distance of two samples: square root of the divergence, nats, at most 0.8326.

    Args:
        a: values of one kind, such as the uncertainty of right detections.
        b: values of the other.
        published: of normal laws fitted to the two, over 1000 points within three standard deviations, as
            in Kassem Sbeyti et al. (UAI 2024): it sees means and spreads, but no shape. Else of histograms
            with bins of equal population.

    Returns:
        NaN if one of them has fewer than two values.
    """
    x, y = (np.asarray(v, np.float64).ravel() for v in (a, b))
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if min(len(x), len(y)) < 2:
        return float("nan")
    p, q = _normal_fits(x, y) if published else _histograms(x, y)
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(v > 0, v * np.log(v / middle), 0.0).sum() for v in (p, q)]
    return float(np.sqrt(max(sum(parts) / 2, 0.0)))


def _normal_fits(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    means, stds = np.array([x.mean(), y.mean()]), np.maximum([x.std(), y.std()], 1e-12)
    low, high = (means - _JSD_REACH * stds).min(), (means + _JSD_REACH * stds).max()
    grid = np.linspace(low, high, _JSD_POINTS)
    found = [np.exp(-0.5 * ((grid - m) / s) ** 2) / s for m, s in zip(means, stds, strict=True)]
    return found[0], found[1]


def _histograms(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    edges = np.unique(np.quantile(np.concatenate([x, y]), np.linspace(0, 1, _JSD_BINS + 1)))
    if len(edges) < 2:
        return np.ones(1), np.ones(1)
    return np.histogram(x, edges)[0] / len(x), np.histogram(y, edges)[0] / len(y)


def _known(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]
