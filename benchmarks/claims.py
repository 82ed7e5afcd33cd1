"""Write the measured figures into README and docs: ``python benchmarks/claims.py [--check]``.

Text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` is replaced by what the committed results say. With
``--check`` nothing is written; the exit status says whether the pages are up to date.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import box_claims
import reliability_report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")


def demo_table(demo: dict[str, Any]) -> str:
    lines = ["| ranking | precision | recall | average precision (range over seeds) |", "|---|---|---|---|"]
    for name, score in demo["mean"].items():
        low, high = demo["range_of_ap"][name]
        figures = (
            f"{score['precision']:.2f} | {score['recall']:.2f} | {score['ap']:.2f} ({low:.2f} – {high:.2f})"
        )
        lines.append(f"| {name} | {figures} |")
    return "\n".join(lines)


def demo_expected(demo: dict[str, Any]) -> str:
    lines = [
        "| seed | planted | expected (90 % interval) | planted errors in the list of 500 |",
        "|---|---|---|---|",
    ]
    for run in demo["runs"]:
        low, high = run["interval_90"]
        expected = f"{run['expected']:.0f} ({low:.0f} – {high:.0f})"
        lines.append(f"| {run['seed']} | {run['planted']} | {expected} | {100 * run['in_list']:.0f} % |")
    return "\n".join(lines)


def regions_claim(regions: dict[str, Any]) -> str:
    ratio, memory = regions["ratio"], regions["extra_memory_mb"]
    return (
        f"The whole region table of a 19 × 1024 × 2048 float32 image ({regions['rows']} regions) takes "
        f"{ratio['median']:.2f} times as long as `torch.softmax` of the same array on one thread "
        f"(median of paired runs; {ratio['min']:.2f} – {ratio['max']:.2f}), and {memory:.0f} MB beyond the "
        f"input; two threads work {regions['two_threads_speed_up']:.1f} times as fast as one "
        f"(`benchmarks/regions.py`; {regions['machine']}, numba {regions['versions']['numba']}, "
        f"torch {regions['versions']['torch']})."
    )


def between(values: list[float], digits: int = 2) -> str:
    return f"{values[0]:.{digits}f} – {values[1]:.{digits}f}"


def label_errors(results: dict[str, Any]) -> str:
    parts = []
    for source, found in results["summary"].items():
        errors = ", ".join(map(str, found["errors"]))
        parts += [
            f"**{source}**: {found['images']} images, {errors} planted errors (one number per seed). "
            f"{100 * found['candidate_recall']:.0f} % of the errors are among the candidates. The audit's "
            f"average precision is {found['ratio_to_best']:.1f} times that of the best of the others "
            f"({found['best_peer']}).",
            "",
            "| ranking | average precision (range over seeds) | precision = recall | read for 25 % "
            "| for 50 % |",
            "|---|---|---|---|---|",
        ]
        rows = sorted(found["rankings"].items(), key=lambda item: -item[1]["ap"])
        for name, row in rows:
            effort = (row["read_for_quarter"], row["read_for_half"])
            quarter, half = ("never" if v is None else f"{v:.0f}" for v in effort)
            parts.append(
                f"| {name} | {row['ap']:.3f} ({between(row['ap_range'], 3)}) "
                f"| {row['precision_at_errors']:.2f} | {quarter} | {half} |"
            )
        parts.append("")
    return "\n".join(parts).rstrip()


def _ranks(title: str, rows: dict[str, Any]) -> list[str]:
    lines = [f"| {title} | average precision (90 % interval) | AUROC |", "|---|---|---|"]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["ap"]):
        auroc = f"{row['auroc']:.2f}" if "auroc" in row else "–"
        lines.append(f"| {name} | {row['ap']:.2f} ({between(row['ap_90'])}) | {auroc} |")
    return [*lines, ""]


def nuclei(results: dict[str, Any]) -> str:
    real = results["real"]
    lines = [
        f"{real['with_known_corrections']} of the {real['images']} images have known corrections; "
        f"{real['changed']} of these were changed, {real['changed_substantially']} by a region of at least "
        f"16 pixels or dropped altogether; {real['regions']} such regions.",
        "",
        *_ranks("images, any change", real["by_image_any_change"]),
        *_ranks("images, a change of at least 16 pixels", real["by_image_substantial"]),
        *_ranks("regions", real["by_region"]),
    ]
    runs = results["whole_image"]
    if not runs:
        return "\n".join(lines).rstrip()
    faults, first = sum(r["faults"] for r in runs), sum(r["among_first"] for r in runs)
    lines += [
        f"Whole-image faults put into some images (most objects unlabelled, label shifted, label of another "
        f"image; {len(runs)} seed{'s' * (len(runs) > 1)}): {first} of {faults} "
        "are among the first images of their list.",
        "",
        "| images, whole-image faults | average precision |",
        "|---|---|",
    ]
    means = {n: sum(r["rankings"][n]["ap"] for r in runs) / len(runs) for n in runs[0]["rankings"]}
    lines += [f"| {n} | {v:.2f} |" for n, v in sorted(means.items(), key=lambda item: -item[1])]
    return "\n".join(lines)


def speed(results: dict[str, Any]) -> str:
    lines = ["| | images | CPU s | extra memory, MB | precision | recall |", "|---|---|---|---|---|---|"]
    for row in results["rows"]:
        lines.append(
            f"| {row['tool']} | {row['images']} | {row['cpu_s']:.2f} | {row['extra_mb']:.0f} "
            f"| {row['precision']:.3f} | {row['recall']:.3f} |"
        )
    versions = ", ".join(f"{k} {v}" for k, v in results["versions"].items())
    return "\n".join(
        [
            f"{results['ratio_one_job']:.0f} times less CPU time than cleanlab with one job, "
            f"{results['ratio_default']:.0f} times less than its default ({results['machine']}; {versions}).",
            "",
            *lines,
        ]
    )


def reviewed(results: dict[str, Any]) -> str:
    runs = {r["seed"] for r in results["runs"]}
    lines = [
        f"Factor by which the expected number of errors misses the planted one, "
        f"{len(runs)} seed{'s' * (len(runs) > 1)}; "
        "in how many seeds the 90 % interval holds it; average precision among what was not judged.",
        "",
        "| verdicts | factor before | after | intervals that hold, before | after | AP of the rest before "
        "| after |",
        "|---|---|---|---|---|---|---|",
    ]
    for budget, row in results["by_budget"].items():
        lines.append(
            f"| {budget} | {row['expected_before']:.2f} | {row['expected_after']:.2f} "
            f"| {row['covered_before']} of {len(runs)} | {row['covered_after']} of {len(runs)} "
            f"| {row['rest_ap_before']:.2f} | {row['rest_ap_after']:.2f} |"
        )
    return "\n".join(lines)


def reliability(results: dict[str, Any]) -> str:
    """The aims by model; the tables themselves are in benchmarks/reliability.md."""
    rows = results["rows"]
    parts = []
    for model, title in reliability_report.TITLES.items():
        own = reliability_report.chosen(rows, model=model)
        if own:
            seeds = len({r["seed"] for r in own})
            parts += [f"**{title}**, {seeds} seed{'s' * (seeds > 1)}:", "", *reliability_report.aims(own), ""]
    return "\n".join(parts).rstrip()


def reliability_claim(results: dict[str, Any]) -> str:
    """One model before and after, for the README."""
    report, rows = reliability_report, results["rows"]
    own = report.chosen(rows, model="deeplab")
    lines = [
        "| DeepLab of Cityscapes, ECE (range over three seeds) | CamVid | CamVid corrupted | comma10k |",
        "|---|---|---|---|",
    ]
    shown = (
        ("none", "clean", "as it is"),
        ("temperature", "clean", "one temperature"),
        ("temperature", "corrupted", "one temperature, fitted under other corruptions too"),
        ("adaptive", "corrupted", "a temperature per image, fitted under other corruptions too"),
    )
    for method, fitted_on, title in shown:
        found = report.chosen(own, method=method, fitted_on=fitted_on)
        cells = [
            report.said(report.per_seed(found, keep, "ece"))
            for keep in (report.SOURCE.__eq__, report.is_corruption, "comma10k".__eq__)
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reliability_speed(results: dict[str, Any]) -> str:
    lines = ["| | million pixels | ns per pixel | extra memory, MB |", "|---|---|---|---|"]
    for row in results["rows"]:
        lines.append(
            f"| {row['tool']} | {row['pixels'] / 1e6:.0f} | {row['ns_per_pixel']:.0f} "
            f"| {row['extra_mb']:.0f} |"
        )
    return "\n".join(lines)


BLOCKS = {
    "reliability": ("reliability", reliability),
    "reliability-claim": ("reliability", reliability_claim),
    "reliability-speed": ("reliability_speed", reliability_speed),
    "demo-table": ("demo", demo_table),
    "demo-expected": ("demo", demo_expected),
    "regions-claim": ("regions", regions_claim),
    "label-errors": ("label_errors", label_errors),
    "nuclei": ("nuclei", nuclei),
    "speed": ("speed", speed),
    "reviewed": ("reviewed", reviewed),
    "box-calibration-claim": ("box_calibration", box_claims.calibration_claim),
    "box-calibration": ("box_calibration", box_claims.calibration_tables),
    "box-errors-claim": ("box_errors", box_claims.errors_claim),
    "box-errors": ("box_errors", box_claims.planted_errors),
    "box-fiftyone": ("box_fiftyone", box_claims.fiftyone_boxes),
    "box-nuclei": ("boxes_nuclei", box_claims.nuclei_boxes),
    "box-real": ("boxes_real", box_claims.real_labels),
}


def fill(text: str) -> str:
    """Put the figures into a page."""
    blocks = {
        name: write(json.loads((RESULTS / f"{result}.json").read_text()))
        for name, (result, write) in BLOCKS.items()
        if f"<!-- {name} -->" in text
    }
    for name, block in blocks.items():
        pattern = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        text = pattern.sub(lambda _, n=name, b=block: f"<!-- {n} -->\n{b}\n<!-- /{n} -->", text)
    return text


def tables() -> str:
    """The page with all tables of calibration under shift."""
    return reliability_report.page(json.loads((RESULTS / "reliability.json").read_text()))


def main() -> None:
    wanted = {page: fill(page.read_text()) for page in PAGES} | {reliability_report.PAGE: tables()}
    stale = [page for page, text in wanted.items() if page.read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"not up to date: {', '.join(p.name for p in stale)}" if stale else 0)
    for page in stale:
        page.write_text(wanted[page])


if __name__ == "__main__":
    main()
