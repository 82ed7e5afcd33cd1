r"""Real label errors: the audit of the original nuclei labels, scored against their later corrections.

The Data Science Bowl 2018 masks were corrected by hand after publication. A segmenter trained on the
original labels only predicts each image without having seen it; the audit, cleanlab and simple scores rank
images and regions; the corrections say which are wrong. A second part puts whole-image faults into some
images. Writes ``benchmarks/results/nuclei.json``.

    dubio train segmenter --images DIR/images --labels DIR/labels_original --label-space nuclei \\
        --folds 3 … --out own
    python benchmarks/nuclei.py --nuclei DIR --scores own/scores --work DIR2
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import peers
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

from dubio import AuditOptions, load_space, open_folders, open_predictions
from dubio.core.labelspace import LabelSpace
from dubio.core.run import Run
from dubio.core.seeds import rng_for
from dubio.data.masks import read_mask, write_mask
from dubio.errors.audit import collect
from dubio.errors.bench.scoring import score
from dubio.errors.bench.truth import Truth, TruthError
from dubio.errors.choose import choose
from dubio.errors.finder import find
from dubio.errors.image_scores import score_images
from dubio.regions.fill import fill_from_surroundings

ALL = 10**6
EIGHT = np.ones((3, 3), int)
# A change of fewer pixels is a matter of taste in an outline or a hole of a pixel.
LEAST = 16
FAULTS = ("unlabelled", "shifted", "foreign")
DRAWS = 1000


def corrections(nuclei: Path, space: LabelSpace) -> tuple[Truth, list[dict]]:
    """Changed regions of the images with corrected labels; and the index of all known corrections."""
    index = json.loads((nuclei / "index.json").read_text())
    maps, errors = {}, []
    for row in index:
        fixed = nuclei / "labels_fixed" / f"{row['id']}.png"
        if not fixed.exists():
            continue
        a, b = (np.asarray(Image.open(p)) > 0 for p in (nuclei / "labels_original" / fixed.name, fixed))
        ids, n = ndimage.label(a != b, EIGHT)
        size = np.bincount(ids.ravel(), minlength=n + 1)
        kept = [k for k in range(1, n + 1) if size[k] >= LEAST]
        number = np.zeros(n + 1, np.int32)
        number[kept] = np.arange(1, len(kept) + 1)
        maps[row["id"]] = number[ids]
        for k in kept:
            rows, cols = ndimage.find_objects((ids == k).astype(int))[0]
            now, right = (int(m[ids == k].mean() > 0.5) for m in (a, b))
            box = (cols.start, rows.start, cols.stop, rows.stop)
            errors.append(TruthError(row["id"], int(number[k]), "real", right, now, int(size[k]), box))
    return Truth.from_maps(maps, errors, space), index


def examine(dataset, source, folder: Path, seed: int):  # noqa: ANN001, ANN201
    kept = collect(dataset, source, Run(folder, "audit", {"seed": seed}), AuditOptions(seed=seed))
    found = find(kept.works, seed=seed)
    return kept.works, found, score_images(kept.works, found, seed=seed)


def image_scores(dataset, source, works, scores) -> dict[str, dict[str, float]]:  # noqa: ANN001
    """Suspicion of every image, by ranking."""
    from dubio import ConfidentLearning, SegPrediction

    out: dict[str, dict[str, float]] = {
        "dubio": {w.image_id: float(s) for w, s in zip(works, scores.score, strict=True)},
        "dubio, regions only": {w.image_id: float(s) for w, s in zip(works, scores.expected, strict=True)},
        "dubio, specks only": {w.image_id: float(w.whole.specks[0]) for w in works},
        "cleanlab, softmin": {},
        "cleanlab, pixel issues": {},
        "mean entropy": {},
        "1 - mean p(label)": {},
    }
    c = len(dataset.space)
    learned = ConfidentLearning(c)
    pairs = list(peers.read_pairs(dataset, source))
    for _, label, p, _ in pairs:
        learned.update_classes(label, SegPrediction(c, p, "probabilities"))
    for _, label, p, _ in pairs:
        learned.update_counts(label, SegPrediction(c, p, "probabilities"))
    for name, label, p, _ in pairs:
        known = label < c
        own = np.take_along_axis(p, np.minimum(label, c - 1)[None].astype(int), 0)[0][known]
        out["cleanlab, softmin"][name] = 1 - peers.softmin(own)
        issues = learned.issues(label, SegPrediction(c, p, "probabilities"))
        out["cleanlab, pixel issues"][name] = float(issues.mean())
        out["mean entropy"][name] = float(peers.entropy_map(p).mean())
        out["1 - mean p(label)"][name] = float(1 - own.mean())
    return out


def rank(values: dict[str, float], wrong: dict[str, bool], seed: int) -> dict:
    names = sorted(wrong)
    y = np.array([wrong[n] for n in names])
    s = np.array([values[n] for n in names])
    rng = rng_for(seed, "nuclei", "bootstrap")
    drawn = []
    for _ in range(DRAWS):
        i = rng.integers(0, len(y), len(y))
        if y[i].any():
            drawn.append(average_precision_score(y[i], s[i]))
    return {
        "ap": float(average_precision_score(y, s)),
        "ap_90": [float(v) for v in np.quantile(drawn, [0.05, 0.95])],
        "auroc": float(roc_auc_score(y, s)),
    }


def real(nuclei: Path, scores: Path, work: Path) -> dict:
    space = load_space("nuclei")
    dataset = open_folders(labels=nuclei / "labels_original", images=nuclei / "images", space=space)
    source = open_predictions(dataset, scores=scores)
    works, found, images = examine(dataset, source, work / "real", 0)
    truth, index = corrections(nuclei, space)
    maps = {name: truth.map(name) for name in truth.image_ids}
    known = {row["id"] for row in index}
    some = {row["id"]: row["status"] != "unchanged" for row in index}
    substantial = {
        row["id"]: row["status"] == "removed" or bool((maps.get(row["id"], np.zeros(1)) > 0).any())
        for row in index
    }
    suspicion = image_scores(dataset, source, works, images)

    def pairs():  # noqa: ANN202
        return (p for p in peers.read_pairs(dataset, source) if p[0] in maps)

    lists = {"dubio": choose(works, found, space, max_findings=ALL)}
    lists |= {f"cleanlab, {k}": v for k, v in cleanlab_lists(dataset, source, maps, len(space)).items()}
    lists |= {f"disagreement, {k}": v for k, v in peers.entropy_regions(pairs, len(space), LEAST).items()}
    regions = {}
    for name, findings in lists.items():
        result = score([f for f in findings if f.image_id in maps], truth, draws=DRAWS)
        regions[name] = {
            "ap": result.ap.value,
            "ap_90": [result.ap.low, result.ap.high],
            "recall": result.recall.value,
            "listed": result.listed,
        }
    first = sorted(suspicion["dubio"], key=lambda n: -suspicion["dubio"][n])[:10]
    return {
        "images": len(works),
        "with_known_corrections": len(known),
        "changed": sum(some.values()),
        "changed_substantially": sum(substantial.values()),
        "regions": len(truth.errors),
        "planted_quality": found.quality.ap if found.quality else None,
        "first_images": first,
        "by_image_any_change": {k: rank(v, some, 0) for k, v in suspicion.items()},
        "by_image_substantial": {k: rank(v, substantial, 0) for k, v in suspicion.items()},
        "by_region": regions,
    }


def cleanlab_lists(dataset, source, maps, n_classes: int) -> dict:  # noqa: ANN001
    """The rule of cleanlab by :func:`dubio.pixel_issues`, as images of unequal size are beyond cleanlab."""
    from dubio import SegPrediction, pixel_issues

    pairs = list(peers.read_pairs(dataset, source))

    def shown():  # noqa: ANN202
        return ((lab, SegPrediction(n_classes, p, "probabilities")) for _, lab, p, _ in pairs)

    rows = []
    for (name, label, p, pred), mask in zip(pairs, pixel_issues(shown, n_classes), strict=True):
        if name not in maps:
            continue
        own = np.take_along_axis(p, np.minimum(label, n_classes - 1)[None].astype(int), 0)[0]
        rows += peers.regions(name, mask, label, pred, n_classes, {"1 - quality": 1 - own}, LEAST)
    return {name: peers.ranked(rows, name) for name in ("1 - quality", "size")}


def spoil(
    kind: str, label: np.ndarray, others: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray | None:
    """A whole-image fault, drawn otherwise than the classifier's lessons."""
    if kind == "unlabelled":
        ids, n = ndimage.label(label == 1, EIGHT)
        if n < 6:
            return None
        gone = np.zeros(n + 1, bool)
        gone[1 + rng.permutation(n)[: round(rng.uniform(0.6, 0.9) * n)]] = True
        return fill_from_surroundings(label, gone[ids], 2)
    if kind == "shifted":
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(8, 25)
        return np.roll(label, (round(length * np.sin(angle)), round(length * np.cos(angle))), (0, 1))
    same = [o for o in others if o.shape == label.shape and (o != label).mean() > 0.05]
    return same[int(rng.integers(len(same)))].copy() if same else None


def whole_image(nuclei: Path, scores: Path, work: Path, seed: int, per_kind: int = 3) -> dict:
    space = load_space("nuclei")
    dataset = open_folders(labels=nuclei / "labels_original", images=nuclei / "images", space=space)
    rng = rng_for(seed, "nuclei", "whole image")
    labels = {s.image_id: read_mask(s.label, space, dataset.encoding) for s in dataset if s.label}
    order = [str(n) for n in rng.permutation(sorted(labels))]
    spoilt: dict[str, str] = {}
    folder = work / f"faults{seed}"
    for kind in FAULTS:
        for name in order:
            if list(spoilt.values()).count(kind) == per_kind:
                break
            new = None if name in spoilt else spoil(kind, labels[name], list(labels.values()), rng)
            if new is not None:
                labels[name], spoilt[name] = new, kind
    for name, label in labels.items():
        write_mask(folder / "labels" / f"{name}.png", label, space)
    faulty = open_folders(labels=folder / "labels", images=nuclei / "images", space=space)
    faulty = replace(faulty, samples=tuple(s for s in faulty if s.label))
    source = open_predictions(faulty, scores=scores)
    works, _, images = examine(faulty, source, folder / "run", seed)
    wrong = {name: name in spoilt for name in labels}
    suspicion = image_scores(faulty, source, works, images)
    first = sorted(labels, key=lambda n: -suspicion["dubio"][n])[: len(spoilt)]
    return {
        "seed": seed,
        "faults": len(spoilt),
        "among_first": sum(n in spoilt for n in first),
        "missed": {n: spoilt[n] for n in spoilt if n not in first},
        "rankings": {k: rank(v, wrong, seed) for k, v in suspicion.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nuclei", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True, help="held-out scores on the original labels")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "nuclei.json")
    options = parser.parse_args()
    result = {
        "what": "nuclei, original labels audited, scored against the corrections",
        "real": real(options.nuclei, options.scores, options.work),
        "whole_image": [whole_image(options.nuclei, options.scores, options.work, s) for s in options.seeds],
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "scikit-learn")},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
