"""``dubio extract``: sampled logits with ground truth, and features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dubio.cli.console import Screen, command_errors
from dubio.cli.domainopts import domain_options, open_candidates, open_domains


@click.command()
@domain_options
@click.option("--pixels", type=click.IntRange(-1), default=20_000, show_default=True,
              help="Pixels per image, drawn without void ones; as published. -1: all.")  # fmt: skip
@click.option("--features", is_flag=True, help="Also the network's pooled features of each image.")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the pixels; the same seed draws the same pixels for every model.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Images at once. [default: all processors]")
@click.option("--strict", is_flag=True, help="Stop at the first image that can't be used.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@command_errors
def command(**options: Any) -> None:
    """Sample the logits of a model with their labels: float16, one NPZ file per image.

    Each file holds logits, labels, places and image id. The same command takes up a stopped run.

    \b
    dubio extract --data CamVid --model net.onnx --features --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    from dubio.core.errors import InputError
    from dubio.core.files import write_json
    from dubio.core.run import Run
    from dubio.jobs.candidates import check_names
    from dubio.jobs.extract import Extraction, plain_name

    screen = Screen(as_json=options["as_json"])
    domains = open_domains(options, seed=options["seed"])
    screen.detected(d.describe() for d in domains)
    candidates = open_candidates(options)
    for candidate in candidates:
        screen.detected(candidate.describe())
    # other folders would be cleared for the next of the same name
    check_names("domains", [plain_name(d.name) for d in domains])
    check_names("models", [plain_name(c.name) for c in candidates])
    run = Run(options["out"], "extract", {k: v for k, v in options.items() if k not in ("out", "as_json")})
    run.keep_apart(s.label for d in domains for s in d.dataset)
    rows: list[tuple[str, str, int, str]] = []
    bad: dict[str, str] = {}
    for candidate in candidates:
        for domain in domains:
            folder = run.path / "logits" / plain_name(candidate.name) / plain_name(domain.name)
            extraction = Extraction(
                candidate, domain, folder, pixels=options["pixels"], seed=options["seed"],
                features=options["features"], workers=options["workers"], strict=options["strict"],
            )  # fmt: skip
            text = f"{candidate.name} on {domain.name}"
            done = list(screen.progress(extraction.work(), len(domain), text))
            bad |= {f"{domain.name}: {d.sample.image_id}": d.fault for d in done if d.fault}
            size = sum(d.path.stat().st_size for d in done if d.path is not None)
            rows.append((candidate.name, domain.name, sum(not d.fault for d in done), f"{size / 1e6:.1f} MB"))
    write_json(run.path / "quarantine.json", bad)
    if bad and not any(row[2] for row in rows):
        raise InputError(f"no image could be used; the first fault: {next(iter(bad.values()))}")
    for name, fault in list(bad.items())[:5]:
        screen.warn(f"left out {name}: {fault}")
    run.finish(images=sum(row[2] for row in rows), quarantined=len(bad))
    screen.table("sampled logits", ("model", "domain", "images", "size"), rows)
    screen.result(
        f"written to {run.path / 'logits'}",
        {
            "out": str(run.path),
            "quarantined": len(bad),
            "samples": [{"model": m, "domain": d, "images": n} for m, d, n, _ in rows],
        },
    )
