"""Runs made up for the pages: findings, pictures and summaries, without a model; and a browser."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
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
from dubio.report.reliability_page import write_reliability_report
from dubio.report.reliability_pictures import draw_examined

CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium on the PATH")
    with sync.sync_playwright() as player:
        running = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page; at the end, nothing may have been said on the console or asked of a network."""
    contexts, troubles = [], []

    def go(path: Path, context: Any = None, **options: Any) -> Any:
        if context is None:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda m: troubles.append(m.text))
        page.on("pageerror", lambda e: troubles.append(str(e)))
        page.on("dialog", lambda d: (troubles.append(f"dialog {d.message}"), d.dismiss()))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else troubles.append(r.url),
        )
        page.goto(path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert troubles == []


EVIL = "</script><img src=x onerror=alert(1)>"
MODEL_CLASSES = ["road", "car", EVIL]
SCORES = ["max_prob", "entropy"]
PICTURE = {"src": "pictures/a b.jpg", "tiles": 3, "titles": ["x", "y", "z"]}


def make_domain(name: str, **more: Any) -> dict[str, Any]:
    row = {"name": name, "line": f"{name}: 9 images", "images": 9, "source": False, "fit": False, "of": None}
    row |= {"corruption": None, "severity": None, "classes": MODEL_CLASSES, "colors": [[9, 9, 200]] * 3}
    return row | more


DOMAINS = [
    make_domain("city", source=True),
    make_domain("night"),
    *(make_domain(f"city fog {s}", of="city", corruption="fog", severity=s) for s in (1, 3)),
    make_domain("city snow 3", of="city", corruption="snow", severity=3),
]


def make_cell(model: str, domain: dict[str, Any], ece: float) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "accuracy": 0.9 - ece, "mean_iou": 0.7 - ece, "ece": ece, "ks": ece, "nll": 0.2 + ece,
        "prr": 0.8 - ece, "mean_confidence": 0.9, "mce": None,
    }  # fmt: skip
    found = {
        "auroc": 0.9, "prr": 0.8 - ece, "aupr": 0.4, "fpr95": 0.3, "aurc": 0.02, "coverage_at_risk_5": 0.7,
    }  # fmt: skip
    other = None if domain["source"] else {"auroc": 0.6 + ece, "aupr": 0.5, "fpr95": 0.8}
    return {
        "model": model, "domain": domain["name"], "images": 9, "pixels": 90_000, "metrics": metrics,
        "intervals": {"ece": [ece - 0.001, ece + 0.001], "accuracy": [0.1, 0.99]},
        "relative": None if domain["source"] else {"ece": ece / 0.02, "error": 2.5},
        "reasons": {"mce": "no bin has pixels"}, "stated": {"0.9": 0.9 - 2 * ece, "0.99": None},
        "sentence": f"In {domain['name']} {model} is off by {ece:.3f}.",
        "reliability": [[0.1 + 0.17 * n, 0.08 + 0.16 * n, 10 ** (n + 1)] for n in range(6)],
        "misclassification": {"max_prob": found, "entropy": {**found, "prr": 0.85}},
        "risk_coverage": {s: [[n / 300, 0.1 * (n / 300) ** 3] for n in range(301)] for s in SCORES},
        "ood_images": None if other is None else {"max_prob": other, "entropy": {**other, "auroc": 0.99}},
        "ood_pixels": None, "components": None,
        "classes": [
            {"name": n, "iou": 0.9 - 0.3 * i, "accuracy": 0.9, "pixels": 30_000, "ece": 0.01 * i}
            for i, n in enumerate(MODEL_CLASSES[:2])
        ] + [{"name": EVIL, "iou": None, "accuracy": None, "pixels": 0, "ece": None}],
        "worst": [
            {"image_id": f"{domain['name']}/0", "accuracy": 0.5, "mean_iou": None, "picture": PICTURE},
            {"image_id": EVIL, "accuracy": 0.5, "mean_iou": 0.1, "ece": 0.1, "picture": None},
        ],
    }  # fmt: skip


def make_models(models: tuple[str, ...] = ("alpha", "beta"), command: str = "reliability") -> dict[str, Any]:
    off = {m: 0.02 + 0.03 * i for i, m in enumerate(models)}
    return {
        "format": 1, "command": command, "title": "streets", "headline": "It holds.",
        "models": [
            {"name": m, "of": models[0] if command == "calibrate" and i else None, "lines": [f"{m}: ONNX"]}
            for i, m in enumerate(models)
        ],
        "domains": copy.deepcopy(DOMAINS), "scores": SCORES,
        "cells": [make_cell(m, d, off[m] + 0.02 * n) for n, d in enumerate(DOMAINS) for m in models],
        "notes": ["layout found", "layout found"], "quarantine": [["night: bad", "no colours"]],
    }  # fmt: skip


def write_models(folder: Path, data: dict[str, Any]) -> Path:
    record = {"command": "reliability", "started": "2026-01-31T12:00:00+00:00", "argv": ["dubio", "x y"]}
    write_json(folder / "run.json", {**record, "options": {"seed": 0}})
    label = np.zeros((60, 90), np.uint8)
    space = LabelSpace("one", (LabelClass(0, "a", (9, 9, 200)),))
    draw_examined(folder / "pictures" / "a b.jpg", None, label, label, label.astype(np.float32), space)
    return write_reliability_report(folder, data)


class Made:
    """The makers of models over domains, for tests that build a case of their own."""

    evil = EVIL
    domains = DOMAINS
    domain = staticmethod(make_domain)
    cell = staticmethod(make_cell)
    summary = staticmethod(make_models)
    write = staticmethod(write_models)


@pytest.fixture(scope="session")
def made() -> type[Made]:
    return Made


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory, made: Any) -> Path:
    return made.write(tmp_path_factory.mktemp("usual"), made.summary())
