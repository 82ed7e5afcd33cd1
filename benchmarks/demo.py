"""Claim: on the demo's scenes the finder's list holds more of the planted errors than simple rankings.

Runs ``dubio demo`` with several seeds (other scenes, other errors) and writes precision, recall and
average precision of each ranking: the mean, the range over the seeds, and each seed's own figures.
Writes ``benchmarks/results/demo.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from importlib import metadata
from pathlib import Path

from dubio.jobs.demo import demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "demo.json")
    options = parser.parse_args()
    runs = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = demo(Path(folder) / "demo", n_scenes=options.scenes, seed=seed)
        rankings = {"dubio": found.score, **found.baselines}
        summary = found.audit.summary
        runs.append(
            {
                "seed": seed,
                "planted": found.score.n_errors,
                "expected": summary.expected,
                "interval_90": [summary.low, summary.high],
                "in_list": found.score.recall_all,
                "rankings": {
                    name: {"precision": s.precision, "recall": s.recall, "ap": s.ap}
                    for name, s in rankings.items()
                },
            }
        )
        print(json.dumps(runs[-1]))
    names = list(runs[0]["rankings"])
    result = {
        "what": f"planted errors in {options.scenes} synthetic scenes per seed; matched at IoU 0.25",
        "mean": {
            name: {
                key: statistics.mean(r["rankings"][name][key] for r in runs)
                for key in ("precision", "recall", "ap")
            }
            for name in names
        },
        "range_of_ap": {
            name: [f(r["rankings"][name]["ap"] for r in runs) for f in (min, max)] for name in names
        },
        "runs": runs,
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "scikit-learn", "onnxruntime")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
