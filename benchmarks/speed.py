"""Claim: pixel issues cost a fraction of cleanlab's CPU time, at a memory that doesn't grow with the data.

Writes images of 19 x 512 x 1024 float32 probabilities (smooth fields with noise; every second image with
relabelled blocks), then marks the issues of the first N with ``dubio.pixel_issues`` and with
``cleanlab.segmentation.filter.find_label_issues`` (one job, and its default), each in a fresh process that
reads the same memory-mapped file. CPU seconds count the process and its children without start and
imports; memory is the growth of the resident set without file pages.
Writes ``benchmarks/results/speed.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from scipy import ndimage

CLASSES, HEIGHT, WIDTH = 19, 512, 1024
TOOLS = ("dubio", "cleanlab, one job", "cleanlab, default")


def write(folder: Path, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.lib.format.open_memmap(
        folder / "p.npy", mode="w+", dtype=np.float32, shape=(n, CLASSES, HEIGHT, WIDTH)
    )
    labels = np.zeros((n, HEIGHT, WIDTH), np.uint8)
    planted = np.zeros((n, HEIGHT, WIDTH), bool)
    for i in range(n):
        coarse = rng.normal(size=(CLASSES, 8, 16)).astype(np.float32) * 5
        z = np.stack([ndimage.zoom(c, 64, order=1) for c in coarse])
        labels[i] = z.argmax(0)
        z += rng.normal(size=z.shape).astype(np.float32) * 0.8
        z = np.exp(z - z.max(0))
        p[i] = z / z.sum(0)
        for _ in range(6 if i % 2 else 0):
            y, x = rng.integers(0, HEIGHT - 48), rng.integers(0, WIDTH - 48)
            block = (slice(y, y + 48), slice(x, x + 48))
            other = (labels[i][block] + rng.integers(1, CLASSES)) % CLASSES
            labels[i][block], planted[i][block] = other, True
    p.flush()
    np.save(folder / "labels.npy", labels)
    np.save(folder / "planted.npy", planted)


def private() -> float:
    """Resident memory without file pages, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def cpu() -> float:
    own, kids = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime


def work(tool: str, folder: Path, n: int) -> None:
    """Mark the issues of the first n images; print figures as JSON."""
    p = np.load(folder / "p.npy", mmap_mode="r")[:n]
    labels = np.load(folder / "labels.npy", mmap_mode="r")[:n]
    planted = np.load(folder / "planted.npy", mmap_mode="r")[:n]
    peak, on = [0.0], [True]

    def watch() -> None:
        while on[0]:
            peak[0] = max(peak[0], private())
            time.sleep(0.002)

    hit = both = marked = 0
    if tool == "dubio":
        from dubio import SegPrediction, pixel_issues

        def job(images: int = n, side: int = HEIGHT):  # noqa: ANN202
            def pairs():  # noqa: ANN202
                for lab, q in zip(labels[:images], p[:images], strict=True):
                    yield lab[:side], SegPrediction(CLASSES, q[:, :side], "probabilities")

            return pixel_issues(pairs, CLASSES)

        list(job(1, 8))  # loads the compiled code
    else:
        from cleanlab.segmentation.filter import find_label_issues

        jobs = 1 if "one job" in tool else None

        def job():  # noqa: ANN202
            return find_label_issues(labels.astype(int), p, n_jobs=jobs, verbose=False)

    base, start, clock = private(), cpu(), time.perf_counter()
    thread = threading.Thread(target=watch)
    thread.start()
    for mask, truth in zip(job(), planted, strict=True):
        hit, both, marked = hit + int(truth.sum()), both + int((mask & truth).sum()), marked + int(mask.sum())
    on[0] = False
    thread.join()
    print(
        json.dumps(
            {
                "cpu_s": cpu() - start,
                "wall_s": time.perf_counter() - clock,
                "extra_mb": max(peak[0], private()) - base,
                "precision": both / max(marked, 1),
                "recall": both / max(hit, 1),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "speed.json")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]), int(options.work[2]))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), max(options.sizes), 0)
        for n in options.sizes:
            for tool in TOOLS:
                runs = options.runs if n == options.sizes[0] and tool != TOOLS[2] else 1
                if tool == TOOLS[2] and n != options.sizes[0]:
                    continue
                found = [
                    json.loads(
                        subprocess.run(
                            [sys.executable, __file__, "--work", tool, name, str(n)],
                            check=True, capture_output=True, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "2"},
                        ).stdout.splitlines()[-1]
                    )
                    for _ in range(runs)
                ]  # fmt: skip
                row = {"tool": tool, "images": n, "runs": runs}
                row |= {k: statistics.median(f[k] for f in found) for k in found[0]}
                rows.append(row)
                print(json.dumps(row))
    first = {r["tool"]: r for r in rows if r["images"] == options.sizes[0]}
    result = {
        "what": f"issues among pixels of N images {CLASSES} x {HEIGHT} x {WIDTH} float32; medians",
        "ratio_one_job": first[TOOLS[1]]["cpu_s"] / first[TOOLS[0]]["cpu_s"],
        "ratio_default": first[TOOLS[2]]["cpu_s"] / first[TOOLS[0]]["cpu_s"],
        "rows": rows,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "numba", "cleanlab")},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
