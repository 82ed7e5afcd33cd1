"""One pass over the class scores: pixel maps, components, and class probabilities per region.

The scores are by far the largest array, so they are read once. Row by row the kernel computes the
winner, entropy, margin and energy of each pixel; joins the row's runs of equal class to the
components of the row above (union-find; 8-connectivity); and adds the run's class probabilities to
its component and to the label component below it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.uncertainty.fastmath import exp_negative, log_positive

_F = np.float32
_ZERO, _ONE = _F(0.0), _F(1.0)
_LOWEST = _F(-3.0e38)
_FLOOR = _F(-87.0)  # exp of less is 0 in single precision
# smallest float32 increment, added under the logarithm as in MetaSeg (Rottmann et al., 2018)
_EPS = _F(2.0**-23)
_FAST = {"contract", "nsz", "reassoc"}  # sums may be reordered; NaN and infinity keep their meaning
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": _FAST, "error_model": "numpy"}


@njit(**_OPTIONS)
def find_root(parent: Any, label: int) -> int:
    """Root of a provisional label, halving the path on the way."""
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@njit(**_OPTIONS)
def join_run(parent: Any, above: Any, seg_above: Any, value: int, x0: int, x1: int, fresh: int) -> int:
    """Label of the run ``[x0, x1)``: that of a touching run of the same value above, else ``fresh``.

    All touching labels become one; the smallest stays the root, so that final ids follow the first
    pixel of each component in row-major order.
    """
    label = -1
    start, stop = max(x0 - 1, 0), min(x1 + 1, above.size)
    x = start
    while x < stop:
        if seg_above[x] == value and above[x] > 0:
            root = find_root(parent, above[x])
            if label < 0:
                label = root
            elif root != label:
                low, high = min(root, label), max(root, label)
                parent[high] = low
                label = low
            # one look per run above is enough
            here = above[x]
            while x < stop and above[x] == here:
                x += 1
        else:
            x += 1
    if label < 0:
        parent[fresh] = fresh
        return fresh
    return label


@njit(**_OPTIONS)
def winners(scores: Any, r: int, best: Any, second: Any, arg: Any) -> None:
    """Largest and second largest value of each pixel of row ``r``, and the winner's channel."""
    k, _, w = scores.shape
    first = scores[0, r]
    for x in range(w):
        best[x] = first[x]
        second[x] = _LOWEST
        arg[x] = 0
    for c in range(1, k):
        channel = np.int32(c)
        row = scores[c, r]
        for x in range(w):
            v = row[x]
            top = best[x]
            arg[x] = channel if v > top else arg[x]
            second[x] = max(second[x], min(v, top))
            best[x] = max(v, top)


@njit(**_OPTIONS)
def logit_row(
    scores: Any,
    r: int,
    unit: Any,
    best: Any,
    second: Any,
    p: Any,
    total: Any,
    weighted: Any,
    h: Any,
    d: Any,
    v: Any,
    energy: Any,
) -> None:
    """Probabilities, entropy times ``unit``, margin, variation and energy of one row of logits."""
    k, _, w = scores.shape
    total[:] = _ZERO
    weighted[:] = _ZERO
    for c in range(k):
        row = scores[c, r]
        q = p[c]
        for x in range(w):
            t = max(row[x] - best[x], _FLOOR)
            e = exp_negative(t)
            q[x] = e
            total[x] += e
            weighted[x] += e * t
    for x in range(w):
        inverse = _ONE / total[x]
        log_total = log_positive(total[x])
        h[x] = max(log_total - weighted[x] * inverse, _ZERO) * unit
        d[x] = _ONE - inverse + exp_negative(second[x] - best[x]) * inverse
        v[x] = _ONE - inverse
        energy[x] = -(best[x] + log_total)
        total[x] = inverse


@njit(**_OPTIONS)
def probability_row(
    scores: Any, r: int, unit: Any, best: Any, second: Any, p: Any, total: Any, h: Any, d: Any, v: Any
) -> None:
    """Entropy times ``unit``, margin and variation of one row of probabilities."""
    k, _, w = scores.shape
    h[:] = _ZERO
    for c in range(k):
        row = scores[c, r]
        q = p[c]
        for x in range(w):
            value = row[x]
            q[x] = value
            h[x] -= value * log_positive(max(value, _ZERO) + _EPS)
    for x in range(w):
        h[x] *= unit
        d[x] = _ONE - best[x] + second[x]
        v[x] = _ONE - best[x]
        total[x] = _ONE


@njit(**_OPTIONS)
def add_span(p: Any, scale: Any, x0: int, x1: int, first: Any, second: Any) -> None:
    """Add the class probabilities of columns ``[x0, x1)`` to two float64 accumulators."""
    for c in range(p.shape[0]):
        s = _ZERO
        q = p[c]
        for x in range(x0, x1):
            s += q[x] * scale[x]
        first[c] += s
        second[c] += s


@njit(**_OPTIONS)
def scan_band(
    band: Any,  # (K, >= top + h, W) float32 scores, C-contiguous
    top: int,  # first row within ``band``
    rows: int,  # number of rows
    y0: int,  # first row in the image
    logits: bool,
    unit: Any,  # float32 factor of the entropy: 1 / log(K)
    n_classes: int,
    cut_void: bool,  # void of the label is no part of the segmentation
    label: Any,  # (H, W) uint16 label or (0, 0)
    label_ids: Any,  # (H, W) int32 components of the label or (0, 0)
    seg: Any,  # (H, W) uint16, out: predicted class, n_classes where there is none
    ids: Any,  # (H, W) int32, out: provisional components, 0 where there is none
    maps: Any,  # (4 or 3, H, W) float32, out: entropy, margin, variation, and for logits energy
    parent: Any,  # (cap,) int32 union-find, in and out
    sums: Any,  # (cap, K) float64 probability sums of provisional components, in and out
    label_sums: Any,  # (L + 1, K) float64 of label components, in and out
    n_labels: int,  # provisional labels used so far
) -> int:
    """Process a band of rows; return the number of provisional labels used."""
    k, _, w = band.shape
    with_label = label.size > 0
    best, second = np.empty(w, np.float32), np.empty(w, np.float32)
    total, weighted = np.empty(w, np.float32), np.empty(w, np.float32)
    arg = np.empty(w, np.int32)
    p = np.empty((k, w), np.float32)
    nothing = np.zeros(k, np.float64)
    for r in range(rows):
        y = y0 + r
        h, d, v = maps[0, y], maps[1, y], maps[2, y]
        winners(band, top + r, best, second, arg)
        if logits:
            logit_row(band, top + r, unit, best, second, p, total, weighted, h, d, v, maps[3, y])
        else:
            probability_row(band, top + r, unit, best, second, p, total, h, d, v)
        for x in range(w):
            seg[y, x] = min(arg[x], n_classes)
        if with_label and cut_void:
            for x in range(w):
                seg[y, x] = n_classes if label[y, x] >= n_classes else seg[y, x]
        x0 = 0
        while x0 < w:
            value = seg[y, x0]
            x1 = x0 + 1
            while x1 < w and seg[y, x1] == value:
                x1 += 1
            root = 0
            if value < n_classes:
                if y > 0:
                    root = join_run(parent, ids[y - 1], seg[y - 1], value, x0, x1, n_labels + 1)
                else:
                    root = n_labels + 1
                    parent[root] = root
                n_labels = max(n_labels, root)
            ids[y, x0:x1] = root
            target = sums[root] if root > 0 else nothing
            if with_label:
                a = x0
                while a < x1:
                    below = label_ids[y, a]
                    b = a + 1
                    while b < x1 and label_ids[y, b] == below:
                        b += 1
                    add_span(p, total, a, b, target, label_sums[below])
                    a = b
            elif root > 0:
                add_span(p, total, x0, x1, target, nothing)
            x0 = x1
    return n_labels


@njit(**_OPTIONS)
def settle(parent: Any, n_labels: int, ids: Any, sums: Any) -> int:
    """Replace provisional labels by final ids 1 … n in row-major order of first pixels; sum up."""
    final = np.zeros(n_labels + 1, np.int32)
    n = 0
    for label in range(1, n_labels + 1):
        root = find_root(parent, label)
        if root == label:
            n += 1
            final[label] = n
            if sums.size and n != label:
                sums[n, :] = sums[label, :]
        else:
            final[label] = final[root]
            if sums.size:
                sums[final[root], :] += sums[label, :]
    h, w = ids.shape
    for y in range(h):
        for x in range(w):
            ids[y, x] = final[ids[y, x]]
    return n


@njit(**_OPTIONS)
def components_of(seg: Any, n_classes: int, ids: Any, parent: Any) -> int:
    """8-connected components of equal class < ``n_classes``; returns their number."""
    h, w = seg.shape
    n_labels = 0
    for y in range(h):
        x0 = 0
        while x0 < w:
            value = seg[y, x0]
            x1 = x0 + 1
            while x1 < w and seg[y, x1] == value:
                x1 += 1
            root = 0
            if value < n_classes:
                root = n_labels + 1
                if y > 0:
                    root = join_run(parent, ids[y - 1], seg[y - 1], value, x0, x1, root)
                else:
                    parent[root] = root
                n_labels = max(n_labels, root)
            ids[y, x0:x1] = root
            x0 = x1
    return settle(parent, n_labels, ids, np.zeros((0, 0), np.float64))
