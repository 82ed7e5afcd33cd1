"""Claim: verdicts on the first findings improve the next audit: its count of errors, and its ranking.

Runs ``dubio demo`` with several seeds. The first findings are judged by the known truth (the reviewer is
always right), and the same labels are audited again with the verdicts. Compared are the expected number of
errors with the planted number, before and after, and the average precision among what has not been judged.
Writes ``benchmarks/results/reviewed.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

from dubio.data.scenes.space import SCENE_SPACE
from dubio.errors.bench.matching import match
from dubio.errors.bench.scoring import score
from dubio.errors.bench.truth import Truth, TruthError
from dubio.errors.choose import choose
from dubio.errors.finder import find
from dubio.errors.findings import Finding
from dubio.errors.reviewed import EVIDENCE, read_reviewed, write_evidence
from dubio.errors.verdicts import Verdict, write_verdicts
from dubio.jobs.demo import demo

ALL = 10**6


def truth_of(found, folder: Path) -> Truth:  # noqa: ANN001
    """The planted errors: where the clean label and the one with errors differ, by planted box."""
    from dubio.data.masks import read_mask

    maps, errors = {}, []
    for image_id, planted in found.errors.items():
        clean, given = (
            read_mask(folder / "data" / part / f"{image_id}.png", SCENE_SPACE)
            for part in ("labels", "labels_with_errors")
        )
        number = np.zeros(clean.shape, np.int32)
        for n, e in enumerate(planted, start=1):
            x0, y0, x1, y1 = e.box
            inside = np.zeros(clean.shape, bool)
            inside[y0:y1, x0:x1] = True
            number[inside & (clean != given) & (number == 0)] = n
        maps[image_id] = number
        for n, e in enumerate(planted, start=1):
            size = int((number == n).sum())
            if size:
                errors.append(TruthError(image_id, n, e.kind, e.given, e.planted, size, e.box))
    return Truth.from_maps(maps, errors, SCENE_SPACE)


def judge(first: list[Finding], truth: Truth, folder: Path, works) -> set[int]:  # noqa: ANN001
    """Write the verdicts on the first findings; gives the errors found by them."""
    rows = match(first, truth)
    error = np.full(len(first), -1)
    error[rows.place] = rows.error
    verdicts = [
        Verdict(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, "accepted" if e >= 0 else "rejected")
        for f, e in zip(first, error, strict=True)
    ]
    folder.mkdir(exist_ok=True)
    write_evidence(folder / EVIDENCE, works, first)
    write_verdicts(folder / "verdicts.json", verdicts, first)
    return {int(e) for e in error if e >= 0}


def left(truth: Truth, found: set[int]) -> Truth:
    """The errors that the verdicts didn't meet."""
    maps = {name: truth.map(name).copy() for name in truth.image_ids}
    kept = []
    for n, e in enumerate(truth.errors):
        if n in found:
            maps[e.image_id][maps[e.image_id] == e.number] = 0
        else:
            kept.append(e)
    return Truth.from_maps(maps, kept, truth.space)


def one(seed: int, budgets: list[int]) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = demo(folder / "demo", seed=seed)
        works = found.audit.works
        truth = truth_of(found, folder / "demo")
        before = find(works, seed=seed)
        ranked = choose(works, before, SCENE_SPACE, max_findings=ALL)
        for budget in budgets:
            first = ranked[:budget]
            met = judge(first, truth, folder / f"run{budget}", works)
            after = find(works, seed=seed, reviewed=read_reviewed([folder / f"run{budget}"]))
            again = [f for f in choose(works, after, SCENE_SPACE, max_findings=ALL) if not f.verdict]
            rest = left(truth, met)
            rows.append(
                {
                    "seed": seed,
                    "budget": budget,
                    "planted": len(truth.errors),
                    "found_by_verdicts": len(met),
                    "expected_before": before.expected(seed=seed),
                    "expected_after": after.expected(seed=seed),
                    "rest_ap_before": score(ranked[budget:], rest, draws=0).ap.value,
                    "rest_ap_after": score(again, rest, draws=0).ap.value,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reviewed.json")
    options = parser.parse_args()
    rows = [row for seed in options.seeds for row in one(seed, options.budgets)]
    table = {}
    for budget in options.budgets:
        mine = [r for r in rows if r["budget"] == budget]
        table[str(budget)] = {
            name: statistics.mean(
                max(r[name][0], 1) / r["planted"]
                if r[name][0] > r["planted"]
                else r["planted"] / max(r[name][0], 1)
                for r in mine
            )
            for name in ("expected_before", "expected_after")
        } | {
            "covered_before": sum(
                r["expected_before"][1] <= r["planted"] <= r["expected_before"][2] for r in mine
            ),
            "covered_after": sum(
                r["expected_after"][1] <= r["planted"] <= r["expected_after"][2] for r in mine
            ),
            "rest_ap_before": statistics.mean(r["rest_ap_before"] for r in mine),
            "rest_ap_after": statistics.mean(r["rest_ap_after"] for r in mine),
        }
    result = {
        "what": "demo scenes; factor by which the expected number of errors misses the planted one",
        "by_budget": table,
        "runs": rows,
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "scikit-learn")},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
