r"""Calibration under shift on real images: before and after, three seeds, several models.

CamVid (and comma10k, with its classes mapped) under corruptions that no calibrator was fitted on. Models: a
DeepLab trained on Cityscapes, segmenters trained on CamVid's train images, and score files. A segmenter that
was trained without one class shows whether pixels of that class are told. The runs are kept in the work
folder, so that a stopped benchmark goes on. Writes ``benchmarks/results/reliability.json``;
``python benchmarks/reliability_report.py`` makes ``benchmarks/reliability.md`` of it.

    python benchmarks/reliability.py --camvid DIR --comma10k DIR --work DIR \\
        --edge deeplab.onnx --own own.onnx --espnet SCORES --known known.onnx --known-space known.toml
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from dubio.core.seeds import derive_seed
from dubio.data.corrupt import parse_corruptions
from dubio.data.domains import Domain, corrupted
from dubio.data.layouts import open_dataset
from dubio.jobs.calibrate import calibrate, split_in_two
from dubio.jobs.candidates import Candidate, FileCandidate, NetworkCandidate
from dubio.jobs.fitting import CalibrateOptions
from dubio.jobs.reliability import ReliabilityOptions, reliability
from dubio.models.load import load_model

METHODS = (
    "temperature", "temperature-ece", "vector", "classwise", "clustered", "adaptive", "local", "isotonic",
    "top-label", "dirichlet",
)  # fmt: skip
# What calibrators are judged under, and the other corruptions that they may see when they are fitted.
JUDGED = "fog:3; snow:3; gaussian_noise:2; jpeg_compression:4"
FITTED = "gaussian_blur:2; speckle_noise:2; contrast:3; saturate:4; pixelate:3"
KEPT = (
    "accuracy", "mean_iou", "ece", "adaptive_ece", "ks", "nll", "brier", "prr", "auroc", "aurc",
    "classwise_ece", "mean_confidence",
)  # fmt: skip
PIXELS = 5000
FIT_IMAGES = 60
RESULT = Path(__file__).parent / "results" / "reliability.json"


def part(domain: Domain, name: str, ids: Sequence[str]) -> Domain:
    wanted = set(ids)
    samples = tuple(s for s in domain.dataset if s.image_id in wanted)
    return replace(domain, name=name, dataset=replace(domain.dataset, samples=samples))


def drawn(domain: Domain, count: int, seed: int) -> list[str]:
    names = sorted((s.image_id for s in domain.dataset), key=lambda n: derive_seed(seed, n, "draw"))
    return names[:count]


def third(domain: Domain) -> list[str]:
    return sorted(s.image_id for s in domain.dataset)[::3]


def cases(args: argparse.Namespace, seed: int) -> list[tuple[str, Candidate, list[Domain], list[Domain]]]:
    """Model, images to fit on, and domains to judge by."""
    train = Domain("train", open_dataset(args.camvid, split="train"))
    val = Domain("CamVid", open_dataset(args.camvid, split="val"))
    comma = Domain("comma10k", open_dataset(args.comma10k))
    found: list[tuple[str, Candidate, list[Domain], list[Domain]]] = []
    if args.edge:
        model = load_model(args.edge, card="deeplab-edgetpu", space="cityscapes", size=(481, 641))
        fit = [part(train, "CamVid train", drawn(train, FIT_IMAGES, seed))]
        test = part(val, "CamVid", third(val))
        judged = [test, comma, *corrupted(test, parse_corruptions(JUDGED))]
        found.append(("deeplab", NetworkCandidate("deeplab", model), fit, judged))
    if args.own:
        path = args.own[seed % len(args.own)]
        first, second = split_in_two(val)
        if seed % 2:
            first, second = second, first
        test = part(second, "CamVid", sorted(s.image_id for s in second.dataset)[::2])
        judged = [test, comma, *corrupted(test, parse_corruptions(JUDGED))]
        found.append(
            ("own", NetworkCandidate("own", load_model(path)), [replace(first, name="CamVid cal")], judged)
        )
    if args.espnet:
        scored = part(val, "CamVid", [p.stem for p in args.espnet.glob("*.npz")])
        first, second = split_in_two(scored, blocks=6)
        if seed % 2:
            first, second = second, first
        files = FileCandidate("espnet", {"CamVid": args.espnet})
        halves = [replace(first, name="fit", of="CamVid")], [replace(second, name="test", of="CamVid")]
        found.append(("espnet", files, *halves))
    return found


def run_case(
    name: str, candidate: Candidate, fit: list[Domain], test: list[Domain], seed: int, args: Any, grown: bool
) -> list[dict[str, Any]]:
    methods = tuple(m for m in METHODS if m not in args.without)
    options = CalibrateOptions(
        methods=methods, pixels=PIXELS, corruptions=(FITTED,) if grown else (), seed=seed
    )
    measure = ReliabilityOptions(replicates=200, worst=0, seed=seed)
    out = args.work / f"{name}-{seed}{'-corrupted' if grown else ''}"
    print(out.name, flush=True)
    result = calibrate(candidate, fit, test, out, options, measure, say=print).measured
    rows = []
    for cell in result.summary["cells"]:
        ood = cell["ood_images"] or {}
        rows.append(
            {
                "model": name, "seed": seed, "fitted_on": "corrupted" if grown else "clean",
                "method": "none" if cell["model"] == candidate.name else cell["model"],
                "domain": "CamVid" if cell["domain"] == "test" else cell["domain"],
                "images": cell["images"], "pixels": cell["pixels"],
                "ood_auroc": (ood.get("max_prob") or {}).get("auroc"),
                "ood_auroc_entropy": (ood.get("entropy") or {}).get("auroc"),
                "stated_0.9": cell["stated"]["0.9"],
                "interval_ece": cell["intervals"].get("ece"),
            }
            | {k: cell["metrics"][k] for k in KEPT}
        )  # fmt: skip
    return rows


def unknown(args: argparse.Namespace) -> dict[str, Any]:
    """Local OOD: pixels of a class that the network was never told of."""
    model = NetworkCandidate("known", load_model(args.known, space=args.known_space))
    val = Domain("CamVid", open_dataset(args.camvid, split="val"))
    measured = reliability(
        [val], [model], args.work / "unknown", ReliabilityOptions(features=True, worst=0, replicates=200)
    )
    cell = measured.summary["cells"][0]
    first, second = split_in_two(val)
    methods = ("temperature", "adaptive", "local")
    calibrated = calibrate(
        model, [first], [second], args.work / "unknown-calibrated",
        CalibrateOptions(methods=methods, pixels=PIXELS), ReliabilityOptions(worst=0, replicates=0),
    )  # fmt: skip
    return {
        "class": args.unknown_class,
        "images": cell["images"],
        "metrics": {k: cell["metrics"][k] for k in KEPT},
        "pixels": cell["ood_pixels"],
        "components": cell["components"],
        "calibrated": {
            c["model"]: {"ece": c["metrics"]["ece"], "pixels": c["ood_pixels"]}
            for c in calibrated.measured.summary["cells"]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--comma10k", type=Path, required=True)
    parser.add_argument("--edge", type=Path, help="DeepLab for Cityscapes")
    parser.add_argument(
        "--own", type=Path, nargs="*", help="segmenters trained on CamVid train, one per seed"
    )
    parser.add_argument("--espnet", type=Path, help="folder of score files")
    parser.add_argument("--known", type=Path, help="segmenter trained without one class")
    parser.add_argument("--known-space", type=Path)
    parser.add_argument("--unknown-class", default="Bicyclist")
    parser.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    extra = unknown(args) if args.known else None
    for seed in range(args.seeds):
        for name, candidate, fit, test in cases(args, seed):
            rows += run_case(name, candidate, fit, test, seed, args, False)
            if candidate.reads_images:
                rows += run_case(name, candidate, fit, test, seed, args, True)
            write(rows, extra, args)


def write(rows: list[dict[str, Any]], extra: dict[str, Any] | None, args: argparse.Namespace) -> None:
    versions = {name: metadata.version(name) for name in ("dubio", "numpy", "scikit-learn", "onnxruntime")}
    data = {
        "machine": platform.machine(),
        "versions": versions, "judged": JUDGED, "fitted": FITTED, "pixels": PIXELS, "seeds": args.seeds,
        "unknown": extra, "rows": rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
