"""Tables of the benchmarks on boxes, for :mod:`claims`."""

from __future__ import annotations

from typing import Any

RAW = "as it is"


def _cell(values: list[float], digits: int = 3) -> str:
    mean, low, high = values
    if round(low, digits) == round(high, digits):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def calibration_claim(found: dict[str, Any]) -> str:
    """The short table of the README."""
    part = next(v for v in found["results"].values() if v["usual"]["verdict"])
    name = next(k for k, v in found["results"].items() if v is part)
    usual = part["usual"]
    best = usual["verdict"]["best_published"]
    rows = {
        "as the detector states it": usual["figures"][RAW],
        f"best published by ECE ({best['ece'].removeprefix('published: ')})": usual["figures"][best["ece"]],
        f"best published by NLL ({best['nll'].removeprefix('published: ')})": usual["figures"][best["nll"]],
        f"dubio ({usual['default']})": usual["figures"][usual["default"]],
    }
    lines = [
        f"Corners of {name} ({part['images']} images, {usual['matched']} matched boxes, five parts by image, "
        f"{found['seeds']} seeds; mean and range, on images that the method did not see):",
        "",
        "| calibration of corners | ECE | NLL | CRPS, pixels |",
        "|---|---|---|---|",
    ]
    for label, row in rows.items():
        lines.append(f"| {label} | {_cell(row['ece'])} | {_cell(row['nll'], 2)} | {_cell(row['crps'], 2)} |")
    return "\n".join(lines)


def calibration_tables(found: dict[str, Any]) -> str:
    """All tables of the page on benchmarks."""
    parts: list[str] = []
    for name, part in found["results"].items():
        parts += [f"**{name}**, {part['images']} images.", ""]
        for key, words in (("usual", "usual"), ("loose", "loose, nearer to the published matching")):
            usual = part[key]
            parts += [
                f"Corners, {words}: IoU from {usual['iou']:g}, score from {usual['min_score']:g}, "
                f"{usual['matched']} matched boxes.",
                "",
                "| method | ECE of its own law | ECE, normal law | NLL | CRPS | 90 % interval holds |",
                "|---|---|---|---|---|---|",
            ]
            ordered = sorted(usual["figures"].items(), key=lambda item: item[1]["nll"][0])
            for method, row in ordered:
                mark = " (default)" if method == usual["default"] else ""
                cells = " | ".join(
                    (
                        _cell(row["ece"]), _cell(row["published_ece"]), _cell(row["nll"], 2),
                        _cell(row["crps"], 2), f"{100 * row['coverage_90'][0]:.0f} %",
                    )
                )  # fmt: skip
                parts.append(f"| {method}{mark} | {cells} |")
            parts.append("")
        parts += ["| confidence | ECE | Brier | NLL |", "|---|---|---|---|"]
        for method, row in part["confidence"].items():
            parts.append(f"| {method} | {_cell(row['ece'])} | {_cell(row['brier'])} | {_cell(row['nll'])} |")
        parts += ["", "| classes | ECE | Brier | NLL |", "|---|---|---|---|"]
        for method, row in part["classes"].items():
            parts.append(f"| {method} | {_cell(row['ece'])} | {_cell(row['brier'])} | {_cell(row['nll'])} |")
        parts.append("")
    return "\n".join(parts).rstrip()
