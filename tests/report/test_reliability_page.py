"""The page of models over domains: what it carries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dubio.report.reliability_page import page_data


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S
    )
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_page_stands_alone(usual: Path, made: Any) -> None:
    text = usual.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"<script[^>]+src=|<link rel=\"stylesheet\"", text)
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert made.evil not in text


def test_page_carries_the_summary_and_the_notes_of_the_run(usual: Path, made: Any) -> None:
    data = data_of(usual)
    assert data["date"] == "2026-01-31T12:00:00+00:00"
    assert data["footer"]["command"] == "dubio 'x y'"
    assert [d["name"] for d in data["domains"]] == [d["name"] for d in made.domains]
    assert data["cells"][0]["worst"][0]["picture"]["size"] == [3 * 432 + 12, 288]


def test_numbers_that_are_not_finite_become_undefined(tmp_path: Path, made: Any) -> None:
    data = made.summary(("alpha",))
    data["cells"][0]["metrics"] |= {"ece": float("nan"), "nll": float("inf"), "ks": 0.123456789}
    metrics = page_data(tmp_path, data)["cells"][0]["metrics"]
    assert (metrics["ece"], metrics["nll"], metrics["ks"]) == (None, None, 0.123457)


def test_curves_of_many_cells_are_thinned_and_keep_their_ends(tmp_path: Path, made: Any) -> None:
    data = made.summary(("alpha",))
    curve = data["cells"][0]["risk_coverage"]["max_prob"]
    data["cells"] *= 600
    kept = page_data(tmp_path, data)["cells"][0]["risk_coverage"]["max_prob"]
    assert len(kept) < 60
    assert [kept[0][0], kept[-1][0]] == [curve[0][0], curve[-1][0]]
    assert data["cells"][0]["risk_coverage"]["max_prob"] is curve  # what was given stays as it was
