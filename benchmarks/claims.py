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

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "measurements.md")


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


def fill(text: str) -> str:
    """Put the figures into a page."""
    demo = json.loads((RESULTS / "demo.json").read_text())
    regions = json.loads((RESULTS / "regions.json").read_text())
    blocks = {
        "demo-table": demo_table(demo),
        "demo-expected": demo_expected(demo),
        "regions-claim": regions_claim(regions),
    }
    for name, block in blocks.items():
        pattern = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        text = pattern.sub(lambda _, n=name, b=block: f"<!-- {n} -->\n{b}\n<!-- /{n} -->", text)
    return text


def main() -> None:
    stale = [page for page in PAGES if fill(page.read_text()) != page.read_text()]
    if "--check" in sys.argv:
        sys.exit(f"not up to date: {', '.join(p.name for p in stale)}" if stale else 0)
    for page in stale:
        page.write_text(fill(page.read_text()))


if __name__ == "__main__":
    main()
