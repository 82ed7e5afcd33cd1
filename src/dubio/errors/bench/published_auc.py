"""The area under a precision-recall curve as the published benchmark measures it.

For comparison with published figures only. It is not average precision:

* it knows 21 thresholds, on scores cut to 8 bits;
* points of equal recall overwrite each other: the last threshold's precision counts;
* a point (0, 0) is put in front, which takes area away, and the last precision is extended to recall 1,
  which invents area for errors that are never found;
* between the points the curve is drawn straight, which precision is not.

On the published tool's own example it says 0.491 where the area up to the largest recall is 0.569.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def auc_of_counts(tp: npt.ArrayLike, fp: npt.ArrayLike, fn: npt.ArrayLike) -> float:
    """The published area from counts at rising thresholds.

    Args:
        tp: ``(T,)`` found errors at each threshold.
        fp: ``(T,)`` false findings.
        fn: ``(T,)`` missed errors.

    Returns:
        The area. As published, precision and recall that are not defined count as 0.

    >>> auc_of_counts([2, 1, 0], [2, 0, 0], [0, 1, 2])  # precision 0.5, 1 and 0 at recall 1, 0.5 and 0
    0.625
    """
    hits, false, missed = (np.asarray(v, np.float64) for v in (tp, fp, fn))
    precision = hits / np.maximum(hits + false, 1)
    found = hits / np.maximum(hits + missed, 1)
    by_recall = dict(zip(found.tolist(), precision.tolist(), strict=True))
    points = [(0.0, 0.0), *sorted(by_recall.items())]
    points.append((1.0, points[-1][1]))
    x, y = np.array(points).T
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
