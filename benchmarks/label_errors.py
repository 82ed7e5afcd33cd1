"""Claim: the audit finds planted label errors of CamVid better than other tools do with the same predictions.

Errors are planted into CamVid's labels with kinds and rates unlike those that the finder teaches itself
with; then the audit, cleanlab's issues joined to regions, the published meta classifier, and simple scores
rank regions, all from the same class scores. Writes ``benchmarks/results/label_errors.json``.

    python benchmarks/label_errors.py --camvid DIR --scores deeplab=DIR --scores espnet=DIR --scores own=DIR

How the scores were made stands in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import peers

from dubio import AuditOptions, open_dataset, open_folders, open_predictions
from dubio.core.run import Run
from dubio.errors.audit import collect
from dubio.errors.bench.planting import PlantOptions, plant_dataset
from dubio.errors.bench.scoring import score
from dubio.errors.choose import choose
from dubio.errors.feature_names import FEATURES
from dubio.errors.finder import find, rank_by
from dubio.errors.published import find_by_meta

# The finder teaches itself with drop 3, swap 3, shift 2, spurious 2, erode 1, dilate 1 at a rate of 0.06.
MIX = {"drop": 4, "swap": 1, "shift": 1, "erode": 2, "dilate": 1, "spurious": 1}
RATE, MIN_SIZE = 0.02, 40
# Few images need more errors each to be measured by; still unlike the finder's own rate.
FEW, RATE_OF_FEW = 200, 0.12
ALL = 10**6


def candidate_recall(works, truth, match_iou: float = 0.25) -> float:  # noqa: ANN001
    """Share of the errors that some candidate meets with the matching IoU."""
    met = 0
    for work in works:
        number = truth.map(work.image_id).ravel()
        area = np.bincount(number)
        if len(area) < 2:
            continue
        best = np.zeros(len(area))
        places = work.places
        for k in range(len(places.size)):
            runs = places.runs[places.first[k] : places.first[k + 1]]
            inside = np.bincount(np.concatenate([number[s : s + n] for s, n in runs]), minlength=len(area))
            iou = inside / np.maximum(places.size[k] + area - inside, 1)
            best = np.maximum(best, iou)
        met += int((best[1:] >= match_iou).sum())
    return met / max(len(truth.errors), 1)


def rankings(dataset, source, work: Path, seed: int) -> tuple[dict, list, float]:  # noqa: ANN001
    options = AuditOptions(seed=seed, max_findings=ALL)
    start = time.perf_counter()
    run = Run(work / "audit", "audit", {"seed": seed})
    kept = collect(dataset, source, run, options)
    space = dataset.space
    found = {"dubio": choose(kept.works, find(kept.works, seed=seed), space, max_findings=ALL)}
    seconds = time.perf_counter() - start
    meta = find_by_meta(kept, space, options)
    found["published meta classifier"] = choose(kept.works, meta, space, max_findings=ALL)
    doubt = rank_by(kept.works, lambda x: 1 - x[:, FEATURES.index("p_given")])
    found["our candidates by 1 - p(label)"] = choose(kept.works, doubt, space, max_findings=ALL)

    def pairs():  # noqa: ANN202
        return peers.read_pairs(dataset, source)

    found |= {f"cleanlab, {k}": v for k, v in peers.cleanlab_regions(pairs, len(space), 16).items()}
    found |= {f"disagreement, {k}": v for k, v in peers.entropy_regions(pairs, len(space), 16).items()}
    return found, kept.works, seconds


def one(name: str, scores: str, camvid: Path, work: Path, seed: int, split: str | None) -> dict:
    whole = open_dataset(camvid, split=split)
    source = open_predictions(whole, scores=scores)
    named = {p.stem for p in Path(scores).rglob("*.np*")}
    part = replace(whole, samples=tuple(s for s in whole if s.image_id in named))
    rate = RATE if len(part) >= FEW else RATE_OF_FEW
    options = PlantOptions(rate=rate, kinds=MIX, min_size=MIN_SIZE, seed=1000 + seed)
    name = f"{name}, {split}" if split else name
    folder = work / name / str(seed)
    truth = plant_dataset(part, folder / "truth", options)
    dataset = open_folders(
        labels=folder / "truth" / "labels", images=camvid / "images", space=whole.space, encoding=None
    )
    found, works, seconds = rankings(dataset, source, folder, seed)
    row = {
        "source": name,
        "seed": seed,
        "images": len(part),
        "rate": rate,
        "errors": len(truth.errors),
        "candidate_recall": candidate_recall(works, truth),
        "audit_seconds": seconds,
        "rankings": {},
    }
    for ranking, findings in found.items():
        result = score(findings, truth, draws=0)  # the range over seeds says more
        half = next(e for e in result.effort if e.share == 0.5).findings.value
        quarter = next(e for e in result.effort if e.share == 0.25).findings.value
        row["rankings"][ranking] = {
            "ap": result.ap.value,
            "recall": result.recall.value,
            "precision_at_errors": result.at_errors.precision.value,
            "read_for_quarter": quarter if np.isfinite(quarter) else None,
            "read_for_half": half if np.isfinite(half) else None,
            "listed": result.listed,
            "kinds": {k.kind: [k.recall_at_errors.value, k.errors] for k in result.kinds},
        }
    return row


def summary(rows: list[dict]) -> dict:
    """Means over the seeds, with the range."""
    out: dict = {}
    for source in dict.fromkeys(r["source"] for r in rows):
        mine = [r for r in rows if r["source"] == source]
        names = list(mine[0]["rankings"])
        table = {}
        for name in names:
            aps = [r["rankings"][name]["ap"] for r in mine]
            halves = [r["rankings"][name]["read_for_half"] for r in mine]
            quarters = [r["rankings"][name]["read_for_quarter"] for r in mine]
            table[name] = {
                "ap": statistics.mean(aps),
                "ap_range": [min(aps), max(aps)],
                "precision_at_errors": statistics.mean(
                    r["rankings"][name]["precision_at_errors"] for r in mine
                ),
                "recall": statistics.mean(r["rankings"][name]["recall"] for r in mine),
                "read_for_half": None if None in halves else statistics.mean(halves),
                "read_for_quarter": None if None in quarters else statistics.mean(quarters),
            }
        peers_ = {k: v["ap"] for k, v in table.items() if k != "dubio"}
        best = max(peers_, key=peers_.get)
        out[source] = {
            "images": mine[0]["images"],
            "errors": [r["errors"] for r in mine],
            "candidate_recall": statistics.mean(r["candidate_recall"] for r in mine),
            "best_peer": best,
            "ratio_to_best": table["dubio"]["ap"] / peers_[best],
            "rankings": table,
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--scores", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--split", help="train or val; default: both")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, required=True, help="folder for planted labels and runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "label_errors.json")
    options = parser.parse_args()
    rows = []
    for text in options.scores:
        name, _, folder = text.partition("=")
        for seed in options.seeds:
            rows.append(one(name, folder, options.camvid, options.work, seed, options.split))
            brief = {k: round(v["ap"], 3) for k, v in rows[-1]["rankings"].items()}
            print(
                json.dumps({k: v for k, v in rows[-1].items() if k != "rankings"} | {"ap": brief}), flush=True
            )
            result = {
                "what": f"errors planted into CamVid ({MIX}, rate {RATE}, at least {MIN_SIZE} pixels)",
                "summary": summary(rows),
                "runs": rows,
                "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "scikit-learn", "cleanlab")},
            }
            options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
