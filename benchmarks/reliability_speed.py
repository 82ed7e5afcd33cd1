"""Claim: ECE, KS, PRR and AUROC in one pass at constant memory, for a fraction of the published cost.

Makes logits of 19 classes chunk by chunk (1024 x 1024 pixels of noise, labels drawn from a softer softmax,
so that errors follow doubt, 5 % void; making them is not timed) and measures, each in a fresh process with
two threads at most:

- dubio: one pass over the chunks into ``ConfidenceState`` and ``RankingState``, one core;
- dubio, everything: the same into ``ReliabilityState`` (all scores, class-wise calibration, IoU, NLL, Brier);
- published: the procedure of de Jorge et al. (CVPR 2023) as described, re-implemented plainly: softmax in
  double precision, 15 bins by masks, and the rejection curve by sorting; all pixels at once;
- torchmetrics and scikit-learn: ``MulticlassCalibrationError`` and ``roc_auc_score`` on the same pixels.

Seconds are wall-clock time without start, imports and data; memory is the growth of the peak of the resident
set over what stands before the work (data of the others' own inputs is counted apart, in ``input_mb``).
Writes ``benchmarks/results/reliability_speed.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np

CLASSES, SIDE = 19, 1024
CHUNK = SIDE * SIDE
OURS, WHOLE, PUBLISHED, LIBRARIES = (
    "dubio", "dubio, everything", "published", "torchmetrics and scikit-learn",
)  # fmt: skip


def chunk(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``(19, 1024, 1024)`` float32 and labels uint8, 255 = void."""
    rng = np.random.default_rng(number)
    z = rng.standard_normal((CLASSES, CHUNK), np.float32) * np.float32(2.5)
    gumbel = -np.log(rng.standard_exponential((CLASSES, CHUNK), np.float32))
    # drawn from the softmax at a temperature of 1.5: the scores are overconfident
    label = (z / np.float32(1.5) + gumbel).argmax(0).astype(np.uint8)
    label[rng.random(CHUNK, np.float32) < 0.05] = 255
    return z.reshape(CLASSES, SIDE, SIDE), label.reshape(SIDE, SIDE)


class Peak:
    """Growth of the resident set without file pages, MB, while it is watched."""

    def __enter__(self) -> Peak:
        self.on, self.start = True, resident()
        self.top = self.start
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while self.on:
            self.top = max(self.top, resident())
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        self.on = False
        self.thread.join()
        self.extra = max(self.top, resident()) - self.start


def resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def ours(chunks: int, *, everything: bool) -> dict[str, float]:
    from dubio.core.records import SegPrediction
    from dubio.reliability.binning import UNIT
    from dubio.reliability.confidence_state import ConfidenceState
    from dubio.reliability.outcome import judged
    from dubio.reliability.ranking_state import RankingState
    from dubio.reliability.state import ReliabilityState
    from dubio.uncertainty.pixel import pixel_scores

    def states() -> tuple[ConfidenceState, RankingState, ReliabilityState]:
        return ConfidenceState(CLASSES), RankingState(UNIT), ReliabilityState(CLASSES)

    def add(z: np.ndarray, label: np.ndarray) -> None:
        prediction = SegPrediction(CLASSES, z, "logits")
        if everything:
            whole.update(prediction, label)
            return
        scores = pixel_scores(prediction)
        outcome = judged(scores.pred, label, CLASSES)
        confidence.add(scores, outcome)
        ranking.update(scores.doubt, outcome.code)

    confidence, ranking, whole = states()
    add(*(a[..., :8, :] for a in chunk(0)))  # loads the compiled code
    confidence, ranking, whole = states()
    seconds = extra = data = 0.0
    for number in range(chunks):
        z, label = chunk(number)
        data = (z.nbytes + label.nbytes) / 2**20
        with Peak() as peak:
            start = time.perf_counter()
            add(z, label)
            seconds += time.perf_counter() - start
        extra = max(extra, peak.extra)
        del z, label
    start = time.perf_counter()
    if everything:
        found = whole.compute()
        ece, ks, auroc = found["ece"], found["ks"], found["auroc.max_prob"]
    else:
        errors, calibration = ranking.errors(), confidence.compute()
        ece, ks, auroc = calibration["ece"], calibration["ks"], errors.auroc
    seconds += time.perf_counter() - start
    return {
        "seconds": seconds, "extra_mb": extra, "input_mb": data,
        "ece": ece, "ks": ks, "prr": 2 * auroc - 1, "auroc": auroc,
    }  # fmt: skip


def gathered(chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """All pixels at once ``(N, 19)``, as the others take them, void left out."""
    parts = [chunk(n) for n in range(chunks)]
    z = np.concatenate([np.ascontiguousarray(p.reshape(CLASSES, -1).T) for p, _ in parts])
    label = np.concatenate([y.reshape(-1) for _, y in parts]).astype(np.int64)
    known = label < CLASSES
    return z[known], label[known]


def published(chunks: int) -> dict[str, float]:
    import torch

    torch.set_num_threads(2)
    z, label = (torch.from_numpy(a) for a in gathered(chunks))
    data = (z.numel() * 4 + label.numel() * 8) / 2**20
    with Peak() as peak:
        start = time.perf_counter()
        conf, pred = torch.softmax(z.double(), 1).max(1)
        right = pred.eq(label)
        ece = 0.0
        edges = torch.linspace(0, 1, 16)
        for low, high in itertools.pairwise(edges):
            inside = conf.gt(low) & conf.le(high)
            share = inside.double().mean()
            if share > 0:
                ece += float((conf[inside].mean() - right[inside].double().mean()).abs() * share)
        ece_s = time.perf_counter() - start
        start = time.perf_counter()
        # the released script computes the probabilities anew
        conf, pred = torch.softmax(z.double(), 1).max(1)
        wrong = pred.ne(label)[torch.argsort(conf)].double()
        n = len(wrong)
        e = float(wrong.mean())
        left = e - torch.cumsum(wrong, 0) / n
        area = float(torch.trapezoid(left, dx=1 / n))
        prr = (e / 2 - area) / (e / 2 - e * e / 2)
        prr_s = time.perf_counter() - start
    return {
        "seconds": ece_s + prr_s, "ece_seconds": ece_s, "prr_seconds": prr_s,
        "extra_mb": peak.extra, "input_mb": data, "ece": ece, "prr": prr,
    }  # fmt: skip


def libraries(chunks: int) -> dict[str, float]:
    import torch
    from sklearn.metrics import roc_auc_score
    from torchmetrics.classification import MulticlassCalibrationError

    torch.set_num_threads(2)
    z, label = (torch.from_numpy(a) for a in gathered(chunks))
    data = (z.numel() * 4 + label.numel() * 8) / 2**20
    with Peak() as peak:
        start = time.perf_counter()
        metric = MulticlassCalibrationError(CLASSES, n_bins=15, validate_args=False)
        for part in torch.arange(len(z)).split(CHUNK):
            metric.update(z[part[0] : part[-1] + 1], label[part[0] : part[-1] + 1])
        ece = float(metric.compute())
        ece_s = time.perf_counter() - start
        start = time.perf_counter()
        conf, pred = torch.softmax(z, 1).max(1)
        auroc = float(roc_auc_score(pred.ne(label).numpy(), -conf.numpy()))
        auroc_s = time.perf_counter() - start
    return {
        "seconds": ece_s + auroc_s, "ece_seconds": ece_s, "auroc_seconds": auroc_s,
        "extra_mb": peak.extra, "input_mb": data, "ece": ece, "auroc": auroc, "prr": 2 * auroc - 1,
    }  # fmt: skip


def work(tool: str, chunks: int) -> dict[str, float]:
    if tool in (OURS, WHOLE):
        return ours(chunks, everything=tool == WHOLE)
    return published(chunks) if tool == PUBLISHED else libraries(chunks)


def measure(tool: str, millions: int) -> dict[str, object]:
    chunks = max(1, round(millions * 1e6 / CHUNK))
    done = subprocess.run(
        [sys.executable, __file__, "--work", tool, str(chunks)],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    row = {"tool": tool, "pixels": chunks * CHUNK, "ns_per_pixel": found["seconds"] / chunks / CHUNK * 1e9}
    row |= found
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pixels", type=int, default=100, help="millions of pixels for dubio alone")
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 16], help="millions for all tools")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/reliability_speed.json")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(options.work[0], int(options.work[1]))))
        return
    rows = [measure(tool, n) for n in options.sizes for tool in (OURS, WHOLE, PUBLISHED, LIBRARIES)]
    rows += [measure(tool, options.pixels) for tool in (OURS, WHOLE)]
    last = {r["tool"]: r["ns_per_pixel"] for r in rows[: 4 * len(options.sizes)]}
    result = {
        "what": f"ECE, KS, PRR and AUROC of N pixels of {CLASSES} classes, float32 logits; wall-clock time",
        "ratio_published": last[PUBLISHED] / last[OURS],
        "ratio_libraries": last[LIBRARIES] / last[OURS],
        "ratio_published_everything": last[PUBLISHED] / last[WHOLE],
        "rows": rows,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "versions": {
            n: metadata.version(n)
            for n in ("dubio", "numpy", "numba", "torch", "torchmetrics", "scikit-learn")
        },
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
