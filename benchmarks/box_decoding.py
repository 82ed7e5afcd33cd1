"""Claim: exact box uncertainty costs a small multiple of plain decoding and a fraction of sampling.

Decodes 100,000 anchors on one thread: plainly (ours; the formula as plain numpy lines; torchvision's
``BoxCoder``), exactly (``DeltaCoder.decode``) and by 100 samples. Two loads: ``usual`` (log-size deviations
0.02 to 0.4) and ``wide`` (0.06 to 1.2, where torchvision's clamp reaches into most rows and the censored
moments must be computed). Medians of wall-clock times of calls that take turns; ratios are of the medians.
Writes ``benchmarks/results/box_decoding.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dubio.uncertainty.boxes import DeltaCoder
from dubio.uncertainty.boxes.deltas import TORCHVISION_CLAMP

LOADS = {"usual": (0.02, 0.4), "wide": (0.06, 1.2)}


def predictions(n: int, low: float, high: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(0, 500, (n, 4))
    anchors[:, 2:] = anchors[:, :2] + rng.uniform(10, 500, (n, 2))
    return rng.normal(0, 0.3, (n, 4)), rng.uniform(low, high, (n, 4)) ** 2, anchors


def plain_numpy(mean: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + 0.5 * size + mean[:, :2] * size
    half = 0.5 * size * np.exp(np.minimum(mean[:, 2:], TORCHVISION_CLAMP))
    return np.concatenate([centre - half, centre + half], 1)


def torch_jobs(mean: np.ndarray, variance: np.ndarray, anchors: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The same on tensors; nothing without torchvision."""
    try:
        import torch
        from torchvision.models.detection._utils import BoxCoder
    except ImportError:
        return {}
    torch.set_num_threads(1)
    theirs, ours = BoxCoder((1.0, 1.0, 1.0, 1.0)), DeltaCoder()
    m, v, a = (torch.tensor(x) for x in (mean, variance, anchors))
    return {
        "plain, torchvision": lambda: theirs.decode_single(m, a),
        "exact, tensors": lambda: ours.decode(m, v, a),
    }


def measure(n: int, load: str, repeats: int, seed: int) -> dict[str, Any]:
    mean, variance, anchors = predictions(n, *LOADS[load], seed)
    coder = DeltaCoder()
    jobs: dict[str, Callable[[], Any]] = {
        "plain, ours": lambda: coder.decode_point(mean, anchors),
        "plain, numpy lines": lambda: plain_numpy(mean, anchors),
        "exact": lambda: coder.decode(mean, variance, anchors),
        **torch_jobs(mean, variance, anchors),
        "100 samples": lambda: coder.decode(mean, variance, anchors, method="sample", n_samples=100),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            if name == "100 samples" and turn > 3:
                continue
            start = time.perf_counter()
            job()
            if turn:  # the first turn compiles and warms up
                seconds[name].append(time.perf_counter() - start)
    ms = {name: 1e3 * statistics.median(s) for name, s in seconds.items()}
    return {
        "load": load,
        "ms": ms,
        "samples_over_exact": ms["100 samples"] / ms["exact"],
        "exact_over_plain": {
            k.removeprefix("plain, "): ms["exact"] / v for k, v in ms.items() if "plain" in k
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anchors", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "box_decoding.json")
    options = parser.parse_args()
    with threadpool_limits(1):
        rows = [measure(options.anchors, load, options.repeats, options.seed) for load in LOADS]
    for row in rows:
        print(json.dumps(row))
    names = [n for n in ("dubio", "numpy", "scipy", "numba", "torch", "torchvision") if _version(n)]
    result = {
        "what": f"decoding of {options.anchors} anchors on one thread, float64; medians of {options.repeats}",
        "rows": rows,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "versions": {n: _version(n) for n in names},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
