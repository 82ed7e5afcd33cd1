"""What ``dubio benchmark`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.cli.console import Screen

if TYPE_CHECKING:
    from dubio.core.records import Dataset
    from dubio.errors.bench.result import Estimate, Score
    from dubio.errors.bench.truth import Truth


def show_truth(screen: Screen, truth: Truth, dataset: Dataset, out: Path) -> None:
    """Print what was planted, and what to do next."""
    from dubio.errors.bench.folder import counts

    done = counts(truth)
    for name, fault in sorted(truth.left_out.items())[:5]:
        screen.warn(f"left out {name}: {fault}")
    if not truth.errors:
        screen.warn("no error was planted: no label region is large and small enough, or the rate is too low")
    by_kind = {kind: [e.size for e in truth.errors if e.kind == kind] for kind in done["by_kind"]}
    rows = [(kind, len(sizes), sorted(sizes)[len(sizes) // 2]) for kind, sizes in by_kind.items()]
    screen.table("Planted errors", ("kind", "errors", "median pixels"), rows)
    screen.table("Errors in the labels of", ("class", "errors"), done["by_class"].items())
    encoding = truth.encoding or "ids"
    same = truth.encoding == dataset.encoding
    how = f"in the encoding '{encoding}'" + ("" if same else f": '{dataset.encoding}' can only be read")
    some = f"{done['errors']} errors in {done['images_with_errors']} images"
    screen.say(f"{done['images']} masks written {how}; {some}")
    then = f"dubio audit --labels {out / 'labels'} --label-space {out / 'space.json'} --encoding {encoding} …"
    screen.say(f"then: {then}")
    screen.result(
        f"written: {out / 'truth.json'}, {out / 'errors.csv'}, {out / 'labels'}",
        {"truth": str(out), "encoding": encoding, "left_out": dict(truth.left_out), **done},
    )


def show_score(screen: Screen, found: Score) -> None:
    """Print the short tables of a score."""
    top = found.at_errors
    rows: list[tuple[str, object, str]] = [
        ("average precision", found.ap.value, _range(found.ap)),
        ("recall of the list", found.recall.value, _range(found.recall)),
    ]
    if top is not None:
        rows += [
            (f"precision of the first {found.errors}", top.precision.value, _range(top.precision)),
            (f"recall of the first {found.errors}", top.recall.value, _range(top.recall)),
        ]
    rows.append((f"best F1 (from {found.best_threshold:.3f} on)", found.best_f1.value, _range(found.best_f1)))
    rows += [
        (
            f"findings to read for {e.share:.0%} of the errors",
            _number(e.findings.value),
            _range(e.findings, 0),
        )
        for e in found.effort
    ]
    rows.append(
        ("area as published (for comparison)", found.auc_published.value, _range(found.auc_published))
    )
    title = f"{found.listed} findings against {found.errors} errors in {found.images} images"
    screen.table(title, ("measure", "value", "90 % interval"), rows)
    budgets = [p for p in found.points if p.what == "budget" and p.at <= max(found.listed, 1)]
    screen.table(
        "After reading",
        ("findings", "errors found", "precision", "recall"),
        [(int(p.at), f"{p.hits:.4g}", p.precision.value, p.recall.value) for p in budgets],
    )
    screen.table(
        "By kind of error",
        ("kind", "errors", "recall of the list", "90 % interval"),
        [(k.kind, k.errors, k.recall.value, _range(k.recall)) for k in found.kinds],
    )
    screen.table(
        "By class",
        ("class", "errors", "average precision", "recall of the list"),
        [(c.name, c.errors, c.ap.value, c.recall.value) for c in found.classes if c.errors],
    )


def show_published(screen: Screen, data: dict[str, Any], out: Path | None) -> None:
    """Print how old results score by the published rule, and properly."""
    published, ours = data["published"], data["score"]
    keys = ("tp", "fp", "fn", "precision", "recall", "f1")
    title = f"{data['images']} images by the published rule, best at {published['threshold']:.2f}"
    screen.table(title, keys, [[published[k] for k in keys]])
    screen.table("Areas", ("measure", "value"), [
        ("as published", published["auc"]), ("average precision", ours["ap"]["value"]),
    ])  # fmt: skip
    where = f"written: {out / 'score.json'}" if out else "written: nothing"
    screen.result(where, data)


def _range(estimate: Estimate, digits: int = 3) -> str:
    low, high = _number(estimate.low, digits), _number(estimate.high, digits)
    return "–" if low == "–" else f"{low} to {high}"


def _number(value: float, digits: int = 0) -> str:
    if value != value:  # noqa: PLR0124 - only NaN is unequal to itself
        return "–"
    return "never" if value == float("inf") else f"{value:.{digits}f}"
