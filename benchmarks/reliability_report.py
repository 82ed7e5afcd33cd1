"""Make ``benchmarks/reliability.md`` of the figures of ``benchmarks/reliability.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "reliability.md"
TITLES = {
    "deeplab": "DeepLab, trained on Cityscapes (19 classes mapped to 11 and to 5)",
    "own": "FPN, trained on CamVid's train images (another training per seed)",
    "espnet": "ESPNet's score files (34 images)",
}
SOURCE = "CamVid"
Rows = list[dict[str, Any]]


def is_corruption(domain: str) -> bool:
    return domain.startswith(f"{SOURCE} ")


def chosen(rows: Rows, **wanted: Any) -> Rows:
    return [r for r in rows if all(r[k] == v for k, v in wanted.items())]


def per_seed(rows: Rows, keep: Callable[[str], bool], figure: str) -> list[float]:
    """Mean over the domains that are kept, for each seed."""
    found = []
    for seed in sorted({r["seed"] for r in rows}):
        values = [
            r[figure] for r in rows if r["seed"] == seed and keep(r["domain"]) and r[figure] is not None
        ]
        if values:
            found.append(mean(values))
    return found


def said(values: list[float], digits: int = 3) -> str:
    if not values:
        return "–"
    text = f"{mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f}–{max(values):.{digits}f})"
    return text


def table(rows: Rows, fitted_on: str, shifted: bool) -> list[str]:
    head = ["calibrator", "ECE", "NLL", "PRR", "mIoU"]
    if shifted:
        head += ["ECE, corrupted", "NLL, corrupted", "PRR, corrupted", "ECE, comma10k", "NLL, comma10k",
                 "OOD AUROC"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    used = [r for r in rows if r["fitted_on"] == fitted_on]
    for method in dict.fromkeys(r["method"] for r in used):
        own = chosen(used, method=method)
        cells = [method]
        cells += [said(per_seed(own, SOURCE.__eq__, figure)) for figure in ("ece", "nll", "prr", "mean_iou")]
        if shifted:
            cells += [said(per_seed(own, is_corruption, figure)) for figure in ("ece", "nll", "prr")]
            cells += [said(per_seed(own, "comma10k".__eq__, figure)) for figure in ("ece", "nll")]
            cells += [said(per_seed(own, lambda d: d != SOURCE, "ood_auroc"))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def ratio(rows: Rows, method: str, fitted_on: str, keep: Callable[[str], bool]) -> float | None:
    after = per_seed(chosen(rows, method=method, fitted_on=fitted_on), keep, "ece")
    before = per_seed(chosen(rows, method="none", fitted_on=fitted_on), keep, "ece")
    return mean(after) / mean(before) if after and before else None


def touches(rows: Rows, method: str, fitted_on: str, keep: Callable[[str], bool]) -> float:
    """Change of mIoU."""
    after = per_seed(chosen(rows, method=method, fitted_on=fitted_on), keep, "mean_iou")
    before = per_seed(chosen(rows, method="none", fitted_on=fitted_on), keep, "mean_iou")
    return mean(after) - mean(before) if after and before else 0.0


def keeps_miou(rows: Rows, method: str, fitted_on: str) -> bool:
    """Whether the mIoU falls by no more than 0.01 in any group of domains."""
    groups = (SOURCE.__eq__, is_corruption, "comma10k".__eq__)
    return all(touches(rows, method, fitted_on, keep) > -0.01 for keep in groups)


def aims(rows: Rows) -> list[str]:
    """The best calibrator in-domain and under corruption, and what it costs elsewhere."""
    lines = []
    for title, keep, aim in (
        ("in-domain", SOURCE.__eq__, 1 / 3),
        ("under corruptions that it was not fitted on", is_corruption, 1 / 2),
        ("on comma10k", "comma10k".__eq__, 1 / 2),
    ):
        found = []
        for fitted_on in ("clean", "corrupted"):
            for method in dict.fromkeys(r["method"] for r in rows):
                value = ratio(rows, method, fitted_on, keep)
                if method != "none" and value is not None and keeps_miou(rows, method, fitted_on):
                    found.append((value, method, fitted_on))
        if not found:
            continue
        value, method, fitted_on = min(found)
        verdict = "met" if value <= aim else "**missed**"
        lines.append(
            f"- {title}: {method}, fitted on {fitted_on} images, leaves {value:.2f} of the ECE "
            f"(aim: {aim:.2f}, {verdict})"
        )
    return lines


def unknown_part(found: dict[str, Any]) -> list[str]:
    lines = [
        f"## A class that the network does not know: {found['class']}",
        "",
        f"An FPN trained on CamVid's train images with this class void, judged on {found['images']} "
        "val images. Pixels of the class are the positives; all other labelled pixels the negatives. "
        "Components as in SegmentMeIfYouCan, at the threshold of the best pixel F1 (an upper bound).",
        "",
        "| score | AUROC | AUPR | FPR95 | sIoU | PPV | mean F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in found["pixels"].items():
        part = (found["components"] or {}).get(name, {})
        cells = [
            row["auroc"],
            row["aupr"],
            row["fpr95"],
            part.get("siou"),
            part.get("ppv"),
            part.get("mean_f1"),
        ]
        lines.append(f"| {name} | {' | '.join('–' if c is None else f'{c:.3f}' for c in cells)} |")
    lines += ["", "After calibration (half of val fitted on, the other half judged):", ""]
    lines += [
        "| calibrator | ECE | AUROC of max_prob | AUROC of entropy | AUROC of energy |",
        "|---|---|---|---|---|",
    ]
    for name, row in found["calibrated"].items():
        cells = [row["ece"], *(row["pixels"][s]["auroc"] for s in ("max_prob", "entropy", "energy"))]
        lines.append(f"| {name} | {' | '.join('–' if c is None else f'{c:.3f}' for c in cells)} |")
    return lines


def page(data: dict[str, Any]) -> str:
    rows: Rows = data["rows"]
    lines = [
        "# Reliability and calibration on real images",
        "",
        "Made by `benchmarks/reliability_report.py` from `benchmarks/results/reliability.json`, which "
        "`benchmarks/reliability.py` measures. Means over seeds, in brackets the least and the largest. A "
        "seed draws calibration images, sampled pixels, clusters and starts of networks, and for the FPN "
        f'also the training. Judged under `{data["judged"]}`; "corrupted" is the mean over these. '
        "Calibrators fitted on corrupted images saw the calibration images as they are and under "
        f"`{data['fitted']}`. No image is both fitted on and judged. OOD AUROC: are whole images of the "
        "shifted domains told from CamVid's by their mean largest probability; mean over the shifted domains "
        "(without comma10k for the last three calibrators, which belong to one label space). Where classes "
        "are mapped, a temperature acts before the sum over classes and may change the winner, and the mIoU.",
    ]
    for model, title in TITLES.items():
        own = chosen(rows, model=model)
        if not own:
            continue
        seeds = len({r["seed"] for r in own})
        lines += ["", f"## {title}", "", f"{seeds} seed{'s'[: seeds != 1]}."]
        for fitted_on in ("clean", "corrupted"):
            if chosen(own, fitted_on=fitted_on):
                lines += ["", f"Fitted on {fitted_on} images:", ""]
                lines += table(own, fitted_on, model != "espnet")
        lines += [
            "",
            "Best calibrators, of those that lower the mIoU nowhere by more than 0.01 (best on the judged "
            "images):",
            "",
            *aims(own),
        ]
    if data["unknown"]:
        lines += ["", *unknown_part(data["unknown"])]
    return "\n".join(lines) + "\n"


def main() -> None:
    data = json.loads((HERE / "results" / "reliability.json").read_text())
    PAGE.write_text(page(data))


if __name__ == "__main__":
    main()
