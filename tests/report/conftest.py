"""Runs made up for the page: findings, pictures and a summary, without an audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubio.core.files import write_json
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.core.records import Dataset
from dubio.errors.findings import KINDS, Finding
from dubio.errors.summary import AuditSummary, ClassRow
from dubio.report.audit_page import write_audit_report
from dubio.report.pictures import save_strip, strip

H, W = 90, 120
NAMES = (
    "road",
    "sidewalk",
    "car",
    "person",
    "a class with a very long name that has to be cut somewhere",
    "שלט",
)


def make_space(names: tuple[str, ...] = NAMES) -> LabelSpace:
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (len(names), 3)).tolist()
    classes = [LabelClass(i, n, tuple(c)) for i, (n, c) in enumerate(zip(names, colours, strict=True))]
    return LabelSpace("fake", tuple(classes), void=(len(names),))


def make_finding(n: int, space: LabelSpace, **values: Any) -> Finding:
    rng = np.random.default_rng(n)
    c = len(space)
    x0, y0 = int(rng.integers(0, W - 40)), int(rng.integers(0, H - 30))
    x1, y1 = x0 + int(rng.integers(5, 40)), y0 + int(rng.integers(5, 30))
    runs = np.array([[y * W + x0, x1 - x0] for y in range(y0, y1)], np.int32).ravel()
    given, proposed = n % c, (n + 1) % c
    row: dict[str, Any] = {
        "finding": n, "image_id": f"scene_{n // 3:04d}", "kind": KINDS[n % 4], "given": space.name_of(given),
        "proposed": space.name_of(proposed), "given_index": given, "proposed_index": proposed,
        "probability": 0.98 / n**0.5, "score": 0.9 / n**0.5, "x0": x0, "y0": y0, "x1": x1, "y1": y1,
        "size": (x1 - x0) * (y1 - y0), "runs": runs, "height": H, "width": W,
        "p_given": 0.04, "p_proposed": 0.91,
        "reason": f"The model sees {space.name_of(proposed)} here (probability 0.91).",
    }  # fmt: skip
    return Finding(**{**row, **values})


def make_quality() -> dict[str, Any]:
    means = [0.01, 0.04, 0.1, 0.3, 0.7]
    return {
        "auroc": 0.95, "ap": 0.7, "ece": 0.012, "brier": 0.01, "share": 0.02, "planted": 800, "met": 640,
        "baselines": {"1 - probability of the label": {"auroc": 0.8, "ap": 0.2}},
        "reliability": [(m, 0.9 * m, 200) for m in means],
    }  # fmt: skip


def make_summary(space: LabelSpace, findings: list[Finding], **values: Any) -> AuditSummary:
    rows = tuple(
        ClassRow(i, c.name, c.color, 100 * (i + 1), 1 / len(space), 0.9, i, 3.0 + i, 1.0, 6.0 + i)
        for i, c in enumerate(space.classes)
    )
    row: dict[str, Any] = {
        "images": 40, "skipped": 0, "quarantined": 1, "regions": 3140, "places": 9000,
        "findings": len(findings), "suspicious": sum(f.probability >= 0.5 for f in findings),
        "expected": 27.3, "low": 19.2, "high": 36.4,
        "error_rate": 0.0087, "error_rate_estimated": True, "met_share": 0.8, "pixel_agreement": 0.93,
        "method": "planted", "note": "", "quality": make_quality(),
        "kinds": {k: sum(f.kind == k for f in findings) for k in KINDS}, "classes": rows,
    }  # fmt: skip
    row |= {"image_quality": {"auroc": 0.97, "ap": 0.95, "planted": 200.0}, "found_wrong": 0, "found_fine": 0}
    return AuditSummary(**{**row, **values})


def write_run(
    path: Path,
    findings: list[Finding],
    *,
    space: LabelSpace | None = None,
    name: str = "fake streets",
    quarantine: dict[str, str] | None = None,
    **summary: Any,
) -> Path:
    """Write a page and give its path."""
    space = space or make_space()
    path.mkdir(parents=True, exist_ok=True)
    options = {
        "data": "data/fake",
        "set": name,
        "method": "planted",
        "classes": [0, 2],
        "error_rate": None,
        "seed": 0,
    }
    write_json(
        path / "run.json",
        {
            "command": "audit",
            "started": "2026-01-31T12:00:00+00:00",
            "options": options,
            "versions": {"dubio": "0.1.0"},
        },
    )
    write_audit_report(
        path, findings, make_summary(space, findings, **summary), Dataset(name, space, ()), quarantine or {}
    )
    return path / "report.html"


def draw(path: Path, finding: Finding, space: LabelSpace, *, image: bool = True) -> str:
    """Draw a finding's strip and give its name."""
    rng = np.random.default_rng(finding.finding)
    label = np.full((H, W), finding.given_index, space.dtype)
    label[: H // 3] = len(space)
    pred = np.where(finding.mask(), finding.proposed_index, label).astype(space.dtype)
    picture = rng.integers(0, 256, (H, W, 3)).astype(np.uint8) if image else None
    name = f"pictures/{finding.finding:05d}.jpg"
    save_strip(strip(finding, space, picture, label, pred), path / name)
    return name


@pytest.fixture
def run_writer(tmp_path: Path) -> Callable[..., Path]:
    def write(findings: list[Finding] | None = None, **options: Any) -> Path:
        space = options.setdefault("space", make_space())
        kept = [make_finding(n, space) for n in range(1, 13)] if findings is None else findings
        return write_run(tmp_path / "run", kept, **options)

    return write


class Fake:
    """The makers, for tests that build a case of their own."""

    make_space = staticmethod(make_space)
    make_finding = staticmethod(make_finding)
    make_summary = staticmethod(make_summary)
    make_quality = staticmethod(make_quality)
    write_run = staticmethod(write_run)
    draw = staticmethod(draw)

    @staticmethod
    def findings(n: int) -> list[Finding]:
        space = make_space()
        return [make_finding(i, space) for i in range(1, n + 1)]


@pytest.fixture(scope="session")
def fake() -> type[Fake]:
    return Fake
