"""A small audit, run once; tests work on copies of its folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dubio import AuditOptions, audit, load_space, open_folders, open_predictions
from dubio.errors.findings import Finding
from dubio.errors.verdicts import Verdict, write_verdicts
from dubio.handover.audit_run import AuditRun, open_run

from ..toy import write_toy


@dataclass
class Toy:
    root: Path
    run: Path

    def open(self) -> AuditRun:
        return open_run(self.run)


def verdict_on(f: Finding, decision="accepted", **more) -> Verdict:
    return Verdict(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, decision, **more)


def judge(toy: Toy, accepted=(), rejected=()) -> None:
    """Write verdicts on findings by number."""
    run = toy.open()
    by_number = {f.finding: f for f in run.findings}
    verdicts = [verdict_on(by_number[n]) for n in accepted]
    verdicts += [verdict_on(by_number[n], "rejected") for n in rejected]
    write_verdicts(toy.run / "verdicts.json", verdicts, run.findings)


@pytest.fixture(scope="session")
def audited(tmp_path_factory) -> Toy:
    root = tmp_path_factory.mktemp("handover")
    write_toy(root / "data", 10)
    space = load_space(root / "data/toy.toml")
    dataset = open_folders(labels=root / "data/labels", images=root / "data/images", space=space)
    source = open_predictions(dataset, scores=root / "data/scores")
    options = AuditOptions(copies=2, folds=2, min_size=12, max_findings=30)
    audit(dataset, source, root / "run", options, workers=1)
    return Toy(root / "data", root / "run")


@pytest.fixture
def toy(audited, tmp_path_factory) -> Toy:
    """The audit's folder, copied; the data set itself is shared and must not change."""
    run = tmp_path_factory.mktemp("copy") / "run"
    shutil.copytree(audited.run, run)
    return Toy(audited.root, run)
