"""Claim: the whole segment table costs little more than a softmax of the same array.

Times, in one process and one thread, the region table (prediction and label components) of a
19 x 1024 x 2048 float32 image against ``torch.softmax(x, 0)``, in turn, and measures the memory that
the table takes beyond its input. Writes ``benchmarks/results/regions.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
from scipy import ndimage

from dubio import LabelClass, LabelSpace, SegPrediction
from dubio.regions.extract import extract

CLASSES, HEIGHT, WIDTH = 19, 1024, 2048
LIMIT_RATIO, LIMIT_MB = 1.5, 100


def street(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits with some hundred components, as real predictions have, and a label with void."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(CLASSES, 14, 27)).astype(np.float32) * 4
    scores = np.empty((CLASSES, HEIGHT, WIDTH), np.float32)
    for c in range(CLASSES):
        scores[c] = ndimage.zoom(coarse[c], (HEIGHT / 14, WIDTH / 27), order=1)[:HEIGHT, :WIDTH]
    scores += rng.normal(size=scores.shape).astype(np.float32) * 0.02
    label = np.roll(scores.argmax(0), 4, axis=1).astype(np.uint8)
    label[-120:] = CLASSES  # the car's own bonnet
    return scores, label


def resident() -> float:
    """Resident memory of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Peak:
    """Largest resident memory while the block runs, by sampling every millisecond."""

    def __enter__(self) -> Peak:
        self.start, self.most, self.on = resident(), 0.0, True
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self) -> None:
        while self.on:
            self.most = max(self.most, resident())
            time.sleep(0.001)

    def __exit__(self, *_: object) -> None:
        self.on = False
        self.thread.join()
        self.extra = max(self.most, resident()) - self.start


def clock(job) -> float:  # noqa: ANN001
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "regions.json")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    space = LabelSpace("19", tuple(LabelClass(i, str(i), (i, i, i)) for i in range(CLASSES)))
    scores, label = street(0)
    tensor = torch.from_numpy(scores)
    prediction = SegPrediction(CLASSES, scores=scores, kind="logits", image_id="street")

    def table() -> int:
        return extract(prediction, label, space=space).table.num_rows

    first = clock(table)  # compiles, or loads what was compiled before
    torch.softmax(tensor, 0)
    ours, theirs = [], []
    for _ in range(options.runs):
        ours.append(clock(table))
        theirs.append(clock(lambda: torch.softmax(tensor, 0)))
    with Peak() as peak:
        rows = table()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    images = 4
    one = clock(lambda: [table() for _ in range(images)])
    with ThreadPoolExecutor(2) as pool:
        two = clock(lambda: list(pool.map(lambda _: table(), range(images))))
    result = {
        "what": "region table of one 19x1024x2048 float32 image against torch.softmax, one thread",
        "rows": rows,
        "first_call_s": round(first, 2),
        "table_s": {"min": min(ours), "median": statistics.median(ours), "max": max(ours)},
        "softmax_s": {"min": min(theirs), "median": statistics.median(theirs), "max": max(theirs)},
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
        "extra_memory_mb": round(peak.extra, 1),
        "two_threads_speed_up": round(one / two, 2),
        "limits": {"ratio": LIMIT_RATIO, "extra_memory_mb": LIMIT_MB},
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "numba", "torch")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
