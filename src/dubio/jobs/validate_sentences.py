"""A validation in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dubio.jobs.validate_figures import CALIBRATED, RAW

# Shares within 90 % intervals that nobody would call too narrow or too wide.
_NARROW, _WIDE = 0.86, 0.94


def headline(summary: Mapping[str, Any]) -> str:
    """What is found and how much of it is right, and whether the stated corners can be believed."""
    figures, counts = summary["figures"], summary["counts"]
    text = f"Finds {_share(figures['recall'])} of {summary['labels']:,} boxes"
    if counts["found"] + counts["wrong_class"] + counts["false"]:
        text += f"; {_share(figures['precision'])} of what it reports is right"
    verdict = spread_verdict(summary)
    return f"{text}{'' if verdict is None else f'; its stated corners are {verdict}'}."


def spread_verdict(summary: Mapping[str, Any]) -> str | None:
    """Whether the stated 90 % intervals of corners are too narrow or wide; ``None``: nothing is stated."""
    raw = summary["corners"].get("figures", {}).get("total", {}).get(RAW)
    if raw is None or not math.isfinite(raw["coverage_90"]):
        return None
    if raw["coverage_90"] < _NARROW:
        return "too sure"
    return "too careful" if raw["coverage_90"] > _WIDE else "as sure as they should be"


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """What else is worth knowing, most important first."""
    found = [_detection(summary), _places(summary), _worth(summary), _corrupted(summary)]
    return [text for text in found if text]


def _detection(summary: Mapping[str, Any]) -> str:
    precision, counts = summary["average_precision"], summary["counts"]
    text = (
        f"{counts['missed']:,} boxes are missed, {counts['false']:,} detections are false and "
        f"{counts['wrong_class']:,} of a wrong class, at scores from {summary['min_score']:.2f}"
    )
    text += " (where F1 is greatest)" if summary["min_score_chosen"] else ""
    if not math.isfinite(precision["ap"]):
        return text + "."
    return f"{text}. Average precision {precision['ap']:.3f}, at IoU 0.5 {precision['ap50']:.3f}."


def _places(summary: Mapping[str, Any]) -> str:
    corners, rmse = summary["corners"], summary["figures"]["rmse"]
    if "left_out" in corners:
        return f"Nothing can be said of the uncertainty of corners: {corners['left_out']}."
    total = corners["figures"]["total"]
    text = f"Corners are {rmse:.1f} px off (root mean square)"
    after = _share(total[CALIBRATED]["coverage_90"]) if CALIBRATED in total else ""
    seen = " (which has seen these images)" if summary["calibrated_in_sample"] else ""
    if RAW in total:
        text += f"; {_share(total[RAW]['coverage_90'])} lie within their stated 90 % intervals"
        return f"{text}, {after} after calibration{seen}." if after else f"{text}."
    learned = f"{after} lie within 90 % intervals that calibration{seen} learned"
    return f"{text}; {learned}, since the detector states none."


def _worth(summary: Mapping[str, Any]) -> str:
    known = [r for r in summary["worth"] if math.isfinite(r["auroc_wrong"])]
    if not known:
        return ""
    best = max(known, key=lambda r: r["auroc_wrong"])
    how = " (calibrated)" if best["calibrated"] else ""
    text = f"Wrong detections are told best by {best['what']}{how}: AUROC {best['auroc_wrong']:.2f}"
    placed = [r for r in summary["worth"] if math.isfinite(r["spearman_iou"])]
    if placed:
        far = max(placed, key=lambda r: r["spearman_iou"])
        how = " (calibrated)" if far["calibrated"] else ""
        text += f"; badly placed ones by {far['what']}{how}: Spearman {far['spearman_iou']:.2f} with 1 - IoU"
    return text + "."


def _corrupted(summary: Mapping[str, Any]) -> str:
    rows = summary["corruptions"]
    known = [r for r in rows[1:] if r["ap"] is not None and math.isfinite(r["ap"])]
    if not known:
        return ""
    worst = min(known, key=lambda r: float(r["ap"]))
    fell = f"AP {worst['ap']:.3f} in place of {rows[0]['ap']:.3f}"
    return f"Of {len(known)} corruptions {worst['name']} costs most: {fell}."


def _share(value: float) -> str:
    return "none" if not math.isfinite(value) else f"{100 * value:.0f} %"
