"""What is measured of models over domains: options, the work image by image, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.errors import InputError
from dubio.core.files import write_json, writing
from dubio.core.run import Run
from dubio.data.domains import Domain, title_of
from dubio.engine.map import Progress
from dubio.jobs.candidates import Candidate, Uncovered
from dubio.jobs.detectors import Detectors
from dubio.jobs.examine import Examination, Variant, read_state
from dubio.jobs.objects import unknown_objects
from dubio.jobs.pooled import NAME as POOLED
from dubio.jobs.pooled import pool, pooled_domains
from dubio.jobs.worst import draw_worst
from dubio.reliability.confidence_state import CONFIDENCES
from dubio.reliability.sentences import relative, say_domain
from dubio.reliability.table import DomainStates, cell_of, compare_images, plain
from dubio.report.reliability_page import write_reliability_report
from dubio.uncertainty.pixel import SCORES

FORMAT = 1
# Each image keeps its bins.
_MOST_BINS = 10_000


@dataclass(frozen=True)
class ReliabilityOptions:
    """What is measured.

    Args:
        scores: uncertainty scores that are ranked.
        bins: bins of the calibration error; 15 as published.
        confidence: whose complement is the confidence that is calibrated: ``max_prob`` (the largest
            probability), ``entropy`` (over its largest value) or ``margin``.
        learned: also the standardised largest logit, learned on the source domain.
        features: also kNN and Mahalanobis distances on the network's features.
        layer: the layer of the features; ``None``: the last stage of the backbone.
        uncovered: classes that no channel of a model stands for: ``unknown`` objects, which count for their
            detection only, or ``wrong``, which count as errors.
        replicates: of the bootstrap over images, for the intervals.
        worst: images per model and domain that are drawn.
        seed: seed of everything random.
    """

    scores: tuple[str, ...] = SCORES
    bins: int = 15
    confidence: str = "max_prob"
    learned: bool = True
    features: bool = False
    layer: str | None = None
    uncovered: Uncovered = "unknown"
    replicates: int = 1000
    worst: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        strange = [s for s in self.scores if s not in SCORES]
        if strange:
            raise InputError(f"there is no score '{strange[0]}'", remedy=f"choose from {', '.join(SCORES)}")
        if "max_prob" not in self.scores:
            object.__setattr__(self, "scores", ("max_prob", *self.scores))
        if self.confidence not in CONFIDENCES:
            raise InputError(
                f"'{self.confidence}' gives no confidence", remedy=f"choose from {', '.join(CONFIDENCES)}"
            )
        if not 1 <= self.bins <= _MOST_BINS:
            raise InputError(f"there can't be {self.bins} bins", remedy=f"give 1 to {_MOST_BINS}")


@dataclass
class ReliabilityResult:
    """What was measured, and where it stands on disk.

    Attributes:
        path: the run folder.
        summary: what ``summary.json`` and the page hold.
        quarantine: images that could not be used, with the reason.
        states: the sums per model and domain.
    """

    path: Path
    summary: dict[str, Any]
    quarantine: dict[str, str]
    states: dict[tuple[str, str], DomainStates] = field(default_factory=dict, repr=False)

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"

    def cell(self, model: str, domain: str) -> dict[str, Any]:
        """The figures of a model in a domain.

        Raises:
            KeyError: there is none.
        """
        return next(c for c in self.summary["cells"] if (c["model"], c["domain"]) == (model, domain))


@dataclass
class Work:
    """The images of all models and domains, added up."""

    run: Run
    options: ReliabilityOptions
    workers: int | None
    strict: bool
    progress: Progress
    say: Callable[[str], None]
    states: dict[tuple[str, str], DomainStates] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    quarantine: dict[str, str] = field(default_factory=dict)
    shards: dict[tuple[str, str], list[tuple[str, Path]]] = field(default_factory=dict)

    def examine(
        self,
        candidate: Candidate,
        domain: Domain,
        variants: tuple[Variant, ...],
        detectors: Detectors | None,
    ) -> None:
        """Examine one model, and variants of it, on one domain."""
        extra = None if detectors is None else (detectors.for_domain(domain), detectors.key())
        examination = Examination(
            candidate, domain, self.run, variants, scores=self.options.scores, bins=self.options.bins,
            confidence=self.options.confidence,
            uncovered=self.options.uncovered, extra=extra,
            workers=self.workers, strict=self.strict,
        )  # fmt: skip
        found = {
            v.name: DomainStates(v.name, domain.name, domain.leave_out, self.options.replicates > 0)
            for v in variants
        }
        text = f"{candidate.name} on {domain.name}"
        for done in self.progress(examination.work(), len(domain), text):
            if done.fault:
                self.leave_out(domain, done.sample.image_id, done.fault)
                continue
            for name, shard in done.shards.items():
                found[name].add(done.sample.image_id, read_state(shard))
                self.shards.setdefault((name, domain.name), []).append((done.sample.image_id, shard))
        totals = {name: states.total for name, states in found.items() if states.total is not None}
        objects = unknown_objects(examination, totals, self.progress)
        for variant in variants:
            if found[variant.name].total is None:
                self.say(f"no image of '{domain.name}' could be examined with {variant.name}")
            # as it was judged: classes that the model can't know are no errors in the pictures either
            self._keep(candidate, examination.domain, variant, found[variant.name])
            self.cells[-1]["components"] = objects.get(variant.name)

    def leave_out(self, domain: Domain, image_id: str, fault: str) -> None:
        """Note an image that can't be used."""
        if len(self.quarantine) < 5:
            self.say(f"left out {image_id}: {fault}")
        self.quarantine[f"{domain.name}: {image_id}"] = fault

    def _keep(self, candidate: Candidate, domain: Domain, variant: Variant, found: DomainStates) -> None:
        cell = cell_of(
            found, domain.dataset.space.names, replicates=self.options.replicates, seed=self.options.seed
        )
        cell["worst"] = draw_worst(
            candidate, domain, variant, found, self.run.path / "pictures", count=self.options.worst
        )
        found.bootstrap = None  # large, and done with
        self.states[variant.name, domain.name] = found
        self.cells.append(cell)

    def finish(
        self, domains: Sequence[Domain], models: Sequence[dict[str, Any]], *, command: str, **more: Any
    ) -> ReliabilityResult:
        """Compare the domains with the source, write tables and page, and end the run."""
        if not any(s.total is not None for s in self.states.values()):
            first = next(iter(self.quarantine.values()), "there are no images")
            raise InputError(f"no image could be examined; the first fault: {first}")
        self._compare(domains)
        notes = [_domain_note(d, n == 0) for n, d in enumerate(domains)] + self._pool(domains)
        summary = plain(
            {
                "format": FORMAT,
                "command": command,
                "title": domains[0].name,
                "headline": headline(self.cells, domains),
                "models": list(models),
                "domains": notes,
                "scores": list(dict.fromkeys(n for c in self.cells for n in c["misclassification"])),
                "cells": self.cells,
                "notes": [*(note for d in domains for note in d.dataset.notes), *self._renormalised()],
                "quarantine": sorted(self.quarantine.items()),
                **more,
            }
        )
        write_json(self.run.path / "summary.json", summary)
        write_json(self.run.path / "quarantine.json", self.quarantine)
        self._write_images()
        write_reliability_report(self.run.path, summary)
        self._drop_pictures()
        examined = sum(len(s.rows) for s in self.states.values())
        self.run.finish(examined=examined, quarantined=len(self.quarantine))
        return ReliabilityResult(self.run.path, summary, self.quarantine, self.states)

    def _pool(self, domains: Sequence[Domain]) -> list[dict[str, Any]]:
        """Add the domains of equal classes together; returns the note on this row, if there is one."""
        together = pooled_domains(domains)
        if not together:
            return []
        models = list(dict.fromkeys(c["model"] for c in self.cells))
        cells = pool(
            self.shards, models, together, replicates=self.options.replicates, seed=self.options.seed
        )
        for cell in cells:
            cell["sentence"] = say_domain(cell, None)
        self.cells += cells
        names = ", ".join(d.name for d in together)
        images = sum(map(len, together))
        line = f"{POOLED}: {names}; {images} images, all pixels counted alike"
        own = {"name": POOLED, "line": line, "images": images, "of": None, "pooled": True}
        return [_domain_note(together[0], False) | own]

    def _renormalised(self) -> list[str]:
        found = []
        for (model, domain), states in self.states.items():
            count = 0 if states.total is None else states.total.renormalised
            if count:
                found.append(
                    f"{model} on {domain}: the probabilities of {count} images did not sum to one and were "
                    "divided by their sum"
                )
        return found

    def _compare(self, domains: Sequence[Domain]) -> None:
        by_place = {(c["model"], c["domain"]): c for c in self.cells}
        shown = {d.name: d for d in domains}
        for (model, name), cell in by_place.items():
            source = by_place.get((model, domains[0].name))
            domain = shown[name]
            under = None if domain.corruption is None else title_of(domain.corruption)
            if source is None or cell is source:
                cell["sentence"] = say_domain(cell, None)
                continue
            cell["relative"] = relative(cell["metrics"], source["metrics"])
            cell["sentence"] = say_domain(cell, source, under=under)
            cell["ood_images"] = compare_images(self.states[model, domains[0].name], self.states[model, name])

    def _drop_pictures(self) -> None:
        """Remove pictures of an earlier run in the folder that no page shows any more."""
        shown = {Path(row["picture"]["src"]).name for c in self.cells for row in c.get("worst", ())}
        for path in (self.run.path / "pictures").glob("*.jpg"):
            if path.name not in shown:
                path.unlink()

    def _write_images(self) -> None:
        rows = [row for states in self.states.values() for row in states.rows]
        with writing(self.run.path / "images.parquet") as part:
            pq.write_table(pa.Table.from_pylist(rows), part, write_page_checksum=True)


def headline(cells: Sequence[dict[str, Any]], domains: Sequence[Domain]) -> str:
    """The first model in its source, and the domain where it can be trusted least."""
    names = [d.name for d in domains]
    first = [c for c in cells if c["model"] == cells[0]["model"] and c["domain"] in names]
    source = next(c for c in first if c["domain"] == names[0])
    known = [c for c in first if plain(c["metrics"]["ece"]) is not None and c is not source]
    if not known:
        return str(source["sentence"])
    worst = max(known, key=lambda c: c["metrics"]["ece"])
    if plain(source["metrics"]["ece"]) is None:
        return f"{source['sentence']} {worst['sentence']}"
    here = source["stated"]["0.9"]
    said = [c for c in known if c["stated"]["0.9"] is not None]
    if here is None or not said:
        one, other = (f"{c['metrics']['ece']:.3f} in {c['domain']}" for c in (source, worst))
        return f"The calibration error of {source['model']} is {one} and {other}, where it is largest."
    least = min(said, key=lambda c: c["stated"]["0.9"])
    there = least["stated"]["0.9"]
    text = f"A stated 0.9 of {source['model']} is right {here:.2f} of the time in {source['domain']}"
    if there >= here:
        return f"{text}, and no less often elsewhere."
    return f"{text}, and {there:.2f} in {least['domain']}, where it is worth least."


def _domain_note(domain: Domain, is_source: bool) -> dict[str, Any]:
    space, corruption = domain.dataset.space, domain.corruption
    return {
        "name": domain.name,
        "line": domain.describe(),
        "images": len(domain),
        "source": is_source,
        "fit": False,
        "of": domain.of,
        "corruption": None if corruption is None else corruption.name,
        "severity": None if corruption is None else corruption.severity,
        "classes": list(space.names),
        "colors": [[int(v) for v in rgb] for rgb in space.palette[: len(space)]],
    }
