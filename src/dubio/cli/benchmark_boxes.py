"""``dubio benchmark`` for boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.cli.benchmark_tables import show_score
from dubio.cli.boxopts import open_labelled
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.cli.console import Screen
    from dubio.core.run import Run
    from dubio.errors.bench.box_truth import BoxTruth
    from dubio.errors.bench.result import Score
    from dubio.errors.findings import Finding

# what only masks have a use for
PLANT_MASKS = (
    "labels", "data", "split", "label_space", "encoding", "min_size", "max_share", "unknown", "workers",
    "strict",
)  # fmt: skip
PLANT_BOXES = ("boxes", "burst", "write_as", "pictures")
SCORE_MASKS = (
    "all_images", "published_out", "published_min_size", "proposals", "label_errors", "class_ids",
)  # fmt: skip


def plant_boxes(screen: Screen, options: dict[str, Any], kinds: dict[Any, float] | None) -> None:
    """Write labels with planted errors, and where they are."""
    from dataclasses import replace

    from dubio.errors.bench.box_planting import BoxPlantOptions, plant_box_dataset

    dataset = open_labelled(options)
    screen.detected(dataset.notes)
    if options["images_drawn"] is not None:
        from dubio.core.seeds import derive_seed

        ranked = sorted(dataset, key=lambda s: derive_seed(options["seed"], s.image_id, "benchmark images"))
        kept = {s.image_id for s in ranked[: options["images_drawn"]]}
        dataset = replace(dataset, samples=tuple(s for s in dataset if s.image_id in kept))
    truth = plant_box_dataset(
        dataset,
        options["out"],
        BoxPlantOptions(
            rate=options["rate"], kinds=kinds, burst=options["burst"], seed=options["seed"],
            layout=options["write_as"] or "coco",
        ),
    )  # fmt: skip
    _show_truth(screen, truth, options["out"])


def _show_truth(screen: Screen, truth: BoxTruth, out: Path) -> None:
    done = truth.counts()
    for note in truth.notes:
        screen.warn(note)
    if not truth.errors:
        screen.warn("no error was planted: there are too few boxes, or the rate is too low")
    screen.table("Planted errors", ("kind", "errors"), done["by_kind"].items())
    screen.table("Errors in the labels of", ("class", "errors"), done["by_class"].items())
    screen.say(f"{done['errors']} errors in {done['images_with_errors']} of {done['images']} images")
    screen.say(f"then: dubio audit --boxes {truth.labels} --images … --detections … --out run")
    screen.say(f"and:  dubio benchmark score run --truth {out}")
    screen.result(
        f"written: {truth.labels}, {out / 'errors.parquet'}, {out / 'truth.json'}",
        {"truth": str(out), "labels": str(truth.labels), **done},
    )


def holds_boxes(folder: Path | None) -> bool:
    """Whether a truth folder is one of boxes."""
    return folder is not None and (folder / "errors.parquet").is_file()


def score_boxes_list(screen: Screen, options: dict[str, Any]) -> None:
    """Score an audit or another list of boxes."""
    from dubio.core.run import Run
    from dubio.errors.bench.box_scoring import score_boxes
    from dubio.errors.bench.box_truth import read_box_truth

    truth = read_box_truth(options["truth"])
    findings = _listed(options)
    run = None
    if options["out"] is not None:  # claimed first: a foreign folder is refused before any work
        run = Run(options["out"], "benchmark score", _plain(options))
    found = score_boxes(
        findings, truth, match_iou=options["match_iou"], draws=options["draws"], seed=options["seed"]
    )
    if found.outside:
        screen.warn(f"{found.outside} findings lie in images that the truth doesn't have; they don't count")
    written = [] if run is None else _write(run, found)
    show_score(screen, found)
    screen.result(f"written: {', '.join(written) or 'nothing'}", {"written": written, **found.to_dict()})


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in ("out", "as_json")}


def _write(run: Run, found: Score) -> list[str]:
    """Write the score and its curve; returns the paths."""
    from math import isnan

    from dubio.core.files import write_json, write_text

    rows = [",".join("" if isnan(v) else str(v) for v in row) for row in found.curve_rows()]
    write_text(run.path / "curve.csv", "\n".join([",".join(found.curve), *rows, ""]))
    write_json(run.path / "score.json", found.to_dict())
    run.finish(average_precision=found.ap.value)
    return [str(run.path / "score.json"), str(run.path / "curve.csv")]


def _listed(options: dict[str, Any]) -> list[Finding]:
    from dubio.errors.bench.box_scoring import read_box_list

    run, file = options["run"], options["findings"]
    if (run is None) == (file is None):
        raise InputError("give either an audit's run folder or --findings")
    if run is not None:
        file = run / "findings.parquet"
        if not file.is_file():
            raise InputError("is no audit: it has no findings.parquet", path=run)
    return read_box_list(file)
