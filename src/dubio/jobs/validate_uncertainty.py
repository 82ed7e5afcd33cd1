"""Whether the stated uncertainties are true, and what each is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.spread import LEAST_SIGMA
from dubio.core.boxes import Floats
from dubio.core.seeds import rng_for
from dubio.jobs.validate_calibrators import Calibrators
from dubio.jobs.validate_figures import CALIBRATED, RAW, ends_of
from dubio.jobs.validate_pairs import FOUND, IGNORED, MISSED
from dubio.jobs.validate_rows import KINDS, KNOWN, ValidationRows
from dubio.reliability.boxes.intervals import LEVELS, ence, urmse
from dubio.reliability.boxes.quality import auroc, spearman
from dubio.reliability.boxes.resample import BLOCK, image_weights, level_figures, level_intervals
from dubio.uncertainty.boxes.residuals import ResidualLaw

_BINS = 12
# figures that ask whether a spread holds all residuals
_OF_THE_WHOLE = ("ece", "coverage_90", "nll", "crps", "urmse", "ence")
# what is ranked, in words; the first part of each pair is its column
DOUBTS = {
    "score": "1 - confidence",
    "entropy": "class entropy",
    "mutual_information": "mutual information of the class",
    "class_std": "spread of the class score",
    "al_rel": "aleatoric spread, relative to the box",
    "ep_rel": "epistemic spread, relative to the box",
    "sigma_rel": "total spread, relative to the box",
}
FACTORS = {
    "occlusion": "occlusion",
    "truncation": "truncation",
    "distance": "distance",
    "size": "size of the box",
    "score": "confidence",
}
_SPREAD_WORDS = {("al",): "aleatoric spread", ("ep",): "epistemic spread", (): "learned spread"}
NO_SPREAD = "the detections state no variances of their corners"


def doubts_in(rows: ValidationRows) -> dict[str, str]:
    """Uncertainties that are known, raw or calibrated, and what they are in words.

    Of a detector that states one kind of spread only, that kind is the total, and is named once.
    """
    stated = tuple(kind for kind in ("al", "ep") if kind in rows)
    found = {c: w for c, w in DOUBTS.items() if c in rows or f"cal_{c}" in rows}
    if len(stated) < 2 and "sigma_rel" in found:
        found = {c: w for c, w in found.items() if c not in ("al_rel", "ep_rel")}
        found["sigma_rel"] = f"{_SPREAD_WORDS[stated]}, relative to the box"
    return found


def corner_part(
    rows: ValidationRows, calibrators: Calibrators | None, *, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Quality of the stated spread of corners, for each kind, raw and calibrated.

    Each calibrated figure is by the law of the calibration that the image got; raw ones are by a normal law.
    Aleatoric or epistemic spread alone is less than the whole: it can't cover all residuals. Calibration
    fits the whole and shares it out as stated, so that where the whole shrinks, so do the parts, and would
    look worse "calibrated" than stated. Calibrated parts are thus judged by what they tell apart only; how
    well they cover is NaN.

    Returns:
        ``figures[kind][raw or calibrated]``; ``curves``, ``residuals`` and ``intervals`` of the total;
        ``left_out``: why there is nothing, if there is nothing.
    """
    kept = np.flatnonzero(rows.paired)
    if not len(kept):
        return {"left_out": "no detection stands for a labelled box"}
    if "sigma" not in rows and "cal_sigma" not in rows:
        return {"left_out": NO_SPREAD}
    off = rows.residual[kept]
    image, overlap = rows["image"][kept], rows["iou"][kept]
    figures: dict[str, dict[str, Any]] = {}
    curves: dict[str, Any] = {}
    residuals: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for column, kind in KINDS.items():
        for name, own in ((RAW, column), (CALIBRATED, f"cal_{column}")):
            if own not in rows:
                continue
            sigma = np.maximum(rows[own][kept].astype(np.float64), LEAST_SIGMA)
            level, values = _judged(off, sigma, rows, kept, calibrators if name == CALIBRATED else None)
            figures.setdefault(kind, {})[name] = level_figures(level, values) | {
                "sharpness": float(np.sqrt((sigma**2).mean())),
                "urmse": urmse(off, sigma),
                "ence": ence(off, sigma),
                "spearman_residual": spearman(sigma, np.abs(off)),
                "spearman_iou": spearman(rows[f"{own}_rel"][kept], 1 - overlap),
                "auroc_wrong": _auroc(rows, f"{own}_rel"),
            }
            if name == CALIBRATED and column != "sigma" and {"al", "ep"} <= rows.columns.keys():
                figures[kind][name] |= dict.fromkeys(_OF_THE_WHOLE, float("nan"))
            if column == "sigma":
                curves[name] = _reached(level)
                residuals[name] = against_sigma(off, sigma)
                intervals[name] = level_intervals(level, values, image, replicates=replicates, seed=seed)
    return {
        "boxes": len(kept), "kinds": [KINDS[k] for k in ("al", "ep") if k in rows], "figures": figures,
        "curves": curves, "residuals": residuals, "intervals": intervals,
    }  # fmt: skip


def _judged(
    off: Floats, sigma: Floats, rows: ValidationRows, kept: npt.NDArray[np.int64],
    calibrators: Calibrators | None,
) -> tuple[Floats, dict[str, Floats]]:  # fmt: skip
    """Level of the interval that just holds each residual, and its scores, by the law of each image."""
    if calibrators is None:
        return _by_law(ResidualLaw(), off, sigma)
    fold = rows["fold"][kept]
    level, values = np.full(off.shape, np.nan), {n: np.full(off.shape, np.nan) for n in ("nll", "crps")}
    for k, calibration in enumerate(calibrators.parts):
        here = fold == k
        if calibration.spread is None or not here.any():
            continue
        level[here], found = _by_law(calibration.spread.law, off[here], sigma[here])
        for name, value in found.items():
            values[name][here] = value
    return level, values


def _by_law(law: ResidualLaw, off: Floats, sigma: Floats) -> tuple[Floats, dict[str, Floats]]:
    return law.central(off / sigma), {"nll": law.nll(off, sigma), "crps": law.crps(off, sigma)}


def _reached(level: Floats) -> dict[str, list[float]]:
    ordered = np.sort(level[np.isfinite(level)])
    reached = np.searchsorted(ordered, LEVELS, side="right") / max(len(ordered), 1)
    return {"level": LEVELS.tolist(), "reached": reached.tolist()}


def along(x: npt.ArrayLike, y: npt.ArrayLike, bins: int = _BINS) -> dict[str, Floats]:
    """Means of ``y`` in bins of equal population along ``x``; every value is in one.

    The published code drops the smallest.

    Returns:
        ``x`` (mean), ``mean``, ``std`` (population), ``count``, each ``(bins,)`` or shorter.

    >>> {k: v.tolist() for k, v in along([3, 1, 2, 4], [30, 10, 20, 40], 2).items() if k != "std"}
    {'x': [1.5, 3.5], 'mean': [15.0, 35.0], 'count': [2.0, 2.0]}
    """
    u, v = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    parts = [p for p in np.array_split(np.argsort(u, kind="stable"), bins) if len(p)]
    values = [(u[p].mean(), v[p].mean(), v[p].std(), float(len(p))) for p in parts]
    columns = np.array(values, np.float64).reshape(-1, 4).T
    return dict(zip(("x", "mean", "std", "count"), columns, strict=True))


def against_sigma(off: Floats, sigma: Floats, bins: int = _BINS) -> dict[str, list[float]]:
    """Mean sigma, and the distance that holds 68.27 % of the residuals, in bins along sigma, pixels."""
    order = np.argsort(sigma, axis=None, kind="stable")
    r, s = np.abs(off).ravel(), sigma.ravel()
    parts = [p for p in np.array_split(order, bins) if len(p)]
    return {
        "sigma": [float(s[p].mean()) for p in parts],
        "residual": [float(np.quantile(r[p], 0.6827)) for p in parts],
    }


def worth(rows: ValidationRows) -> list[dict[str, Any]]:
    """How each uncertainty of a detection goes with its errors, raw and calibrated.

    ``spearman_residual`` with the mean distance of the corners relative to the box, ``spearman_iou`` with
    1 - IoU, both of paired boxes; ``auroc_wrong``: probability that a false detection or one of a wrong class
    is less certain than a right one.
    """
    kept = np.flatnonzero(rows.paired)
    box = rows["box"][kept]
    sides = np.maximum(np.tile(box[:, 2:] - box[:, :2], 2), 1e-9)
    far = (np.abs(rows.residual[kept]) / sides).mean(1)
    found = []
    for column, words in doubts_in(rows).items():
        for name, own in ((RAW, column), (CALIBRATED, f"cal_{column}")):
            if own not in rows:
                continue
            doubt = _doubt(rows, own)
            found.append(
                {
                    "uncertainty": column,
                    "what": words,
                    "calibrated": name == CALIBRATED,
                    "spearman_residual": spearman(doubt[kept], far),
                    "spearman_iou": spearman(doubt[kept], 1 - rows["iou"][kept]),
                    "auroc_wrong": _auroc(rows, own),
                }
            )
    return found


def errors_along(rows: ValidationRows, bins: int = 10) -> dict[str, dict[str, list[float]]]:
    """Share of wrong detections in bins of equal population along each uncertainty."""
    state = rows["state"]
    judged = (state != IGNORED) & (state != MISSED)
    wrong = (state != FOUND).astype(np.float64)
    found = {}
    for own in (n for c in doubts_in(rows) for n in (c, f"cal_{c}") if n in rows):
        doubt = _doubt(rows, own)
        known = judged & np.isfinite(doubt)
        if known.any():
            found[own] = {k: v.tolist() for k, v in along(doubt[known], wrong[known], bins).items()}
    return found


def _doubt(rows: ValidationRows, column: str) -> Floats:
    values = rows[column].astype(np.float64)
    return 1 - values if column.endswith("score") else values


def _auroc(rows: ValidationRows, column: str) -> float:
    state = rows["state"]
    judged = (state != IGNORED) & (state != MISSED)
    return auroc(_doubt(rows, column)[judged], state[judged] != FOUND)


def correlations(rows: ValidationRows, *, replicates: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """Rank correlation of uncertainties with what makes boxes hard, with 90 % intervals over images.

    The draws weigh the images; ranks stay those of all boxes.

    Returns:
        Per uncertainty and factor: ``uncertainty``, ``factor``, ``spearman``, ``low``, ``high``, ``n`` paired
        boxes. Factors that no box knows, or that are the same for all, are left out.
    """
    kept = np.flatnonzero(rows.paired)
    doubts = [n for c in doubts_in(rows) for n in (c, f"cal_{c}") if n in rows and c != "score"]
    factors = [f for f in FACTORS if f in rows and f in (*KNOWN, "size", "score")]
    asked, sums = [], []
    image, n = rows["image"][kept], len(rows.names)
    for doubt in doubts:
        for factor in factors:
            x, y = rows[doubt][kept].astype(np.float64), rows[factor][kept].astype(np.float64)
            value = spearman(x, y)
            if np.isnan(value):
                continue
            known = np.isfinite(x) & np.isfinite(y)
            asked.append({"uncertainty": doubt, "factor": factor, "spearman": value, "n": int(known.sum())})
            sums.append(_rank_sums(x[known], y[known], image[known], n))
    if asked and replicates > 0:
        for row, (low, high) in zip(asked, _drawn(np.stack(sums), replicates, seed), strict=True):
            row |= {"low": low, "high": high}
    return asked


def _rank_sums(x: Floats, y: Floats, image: npt.NDArray[np.int64], n: int) -> Floats:
    """``(n, 6)`` sums per image from which a correlation of ranks follows."""
    from scipy.stats import rankdata

    u, v = (rankdata(values) / len(values) - 0.5 for values in (x, y))
    columns = (np.ones(len(u)), u, v, u * u, v * v, u * v)
    return np.column_stack([np.bincount(image, c, n) for c in columns])


def _drawn(sums: Floats, replicates: int, seed: int) -> list[tuple[float, float]]:
    pairs, n, columns = sums.shape
    table = sums.transpose(1, 0, 2).reshape(n, pairs * columns)
    rng = rng_for(seed, "validation correlations")
    drawn = []
    for start in range(0, replicates, BLOCK):
        total = image_weights(rng, n, min(BLOCK, replicates - start)) @ table
        count, u, v, uu, vv, uv = np.moveaxis(total.reshape(-1, pairs, columns), 2, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            top = uv / count - u * v / count**2
            drawn.append(top / np.sqrt((uu / count - (u / count) ** 2) * (vv / count - (v / count) ** 2)))
    nan = float("nan")
    return [ends_of(values) or (nan, nan) for values in np.concatenate(drawn).T]
