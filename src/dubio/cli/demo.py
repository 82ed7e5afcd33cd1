"""``dubio demo``: the whole tour on scenes that come with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors, show_page

if TYPE_CHECKING:
    from dubio.jobs.demo_boxes import BoxDemo


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("dubio-demo"), show_default=True,
              help="Folder for scenes, labels and report.")  # fmt: skip
@click.option("--scenes", type=click.IntRange(3), default=60, show_default=True, help="Number of scenes.")
@click.option("--rate", type=click.FloatRange(0, 0.3, min_open=True), default=0.06, show_default=True,
              help="Planted errors per label region.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of scenes and errors.")
@click.option("--workers", type=click.IntRange(1), help="Scenes at once. [default: all processors]")
@click.option("--open/--no-open", "open_page", default=True, help="Open the report in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@command_errors
def command(**options: Any) -> None:
    """Render street scenes, plant errors into their masks and boxes, and find them again.

    Nothing is downloaded: the scenes are drawn here, and the networks come with dubio. Ends in two reports,
    of which that on masks opens in the browser, and says how many of the planted errors were found.
    """
    from dubio.jobs.demo import demo

    screen = Screen(as_json=options["as_json"])
    start = time.perf_counter()
    result = demo(
        options["out"],
        n_scenes=options["scenes"],
        rate=options["rate"],
        seed=options["seed"],
        workers=options["workers"],
        progress=screen.progress,
        say=screen.say,
    )
    seconds = time.perf_counter() - start
    score, n = result.score, result.score.n_errors
    rows = [(name, s.precision, s.recall, s.ap) for name, s in {"dubio": score, **result.baselines}.items()]
    screen.table(
        f"The first {n} places of each list, for {n} planted errors",
        ("ranking", "precision", "recall", "average precision"),
        rows,
    )
    _show_boxes(screen, result.boxes)
    met = sum(h > 0 for h in score.hits)
    screen.say(
        f"{result.n_scenes} scenes, {n} planted errors; {met} are in the list of {score.n_listed}, "
        f"{seconds:.0f} s in all"
    )
    report = result.audit.report
    screen.result(
        f"report on masks: {report}\nreport on boxes: {result.boxes.audit.report}",
        {
            "report": str(report),
            "scenes": result.n_scenes,
            "planted": n,
            "precision": score.precision,
            "recall": score.recall,
            "average_precision": score.ap,
            "recall_of_list": score.recall_all,
            "baselines": {
                name: {"precision": s.precision, "recall": s.recall, "average_precision": s.ap}
                for name, s in result.baselines.items()
            },
            "boxes": {
                "report": str(result.boxes.audit.report),
                "planted": result.boxes.score.errors,
                "average_precision": result.boxes.score.ap.value,
                "recall_of_list": result.boxes.score.recall.value,
                "baselines": {name: s.ap.value for name, s in result.boxes.baselines.items()},
            },
            "seconds": round(seconds, 1),
        },
    )
    if options["open_page"] and not options["as_json"]:
        show_page(report)


def _show_boxes(screen: Screen, boxes: BoxDemo) -> None:
    """The table of the boxes: precision and recall at as many places as there are errors."""
    rows = []
    for name, found in {"dubio": boxes.score, **boxes.baselines}.items():
        top = found.at_errors
        precision, recall = (top.precision.value, top.recall.value) if top else (None, None)
        rows.append((name, precision, recall, found.ap.value))
    screen.table(
        f"Boxes: the first {boxes.score.errors} places, for {boxes.score.errors} planted errors",
        ("ranking", "precision", "recall", "average precision"),
        rows,
    )
