"""The page as text: what it says, what it carries, and that nothing gets out of its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.errors.verdicts import findings_digest
from dubio.report.audit_page import embed, headline
from dubio.report.run_notes import read_notes


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S
    )
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_page_stands_alone(run_writer: Callable[..., Path]) -> None:
    text = run_writer().read_text("utf-8")
    assert "default-src 'none'" in text
    assert '<link rel="stylesheet"' not in text
    assert not re.search(r"<script[^>]+src=", text)
    # the name space of SVG is a name, not an address that is asked for
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) == {"http://www.w3.org/2000/svg"}


def test_headline_says_number_and_interval(run_writer: Callable[..., Path]) -> None:
    text = run_writer().read_text("utf-8").replace("\u00a0", " ")
    assert (
        "About 27 label errors expected among 3,140 label regions (90 %: 19 to 36). 12 places ranked" in text
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"expected": None, "note": "too little to learn from"},
            "Too little to learn from. 12 places ranked",
        ),
        ({"expected": None, "note": ""}, "12 places ranked, worst first."),
        ({"expected": 0.2, "low": 0.0}, "Less than one label error expected"),
        ({"expected": 1.2}, "About 1 label error expected"),
        ({"findings": 0}, "No place is suspicious enough"),
        ({"findings": 1}, "1 place listed."),
    ],
)
def test_headline_fits_the_numbers(fake: Any, values: dict[str, Any], words: str) -> None:
    summary = fake.make_summary(fake.make_space(), fake.findings(12))
    assert words in headline(replace(summary, **values))


def test_page_without_findings(run_writer: Callable[..., Path]) -> None:
    data = data_of(run_writer([], quality=None, expected=None, low=None, high=None, note="no candidates"))
    assert data["findings"] == []
    assert data["summary"]["quality"] is None
    assert data["method"] == "ranked by the model's probability of the label"


def test_names_cannot_leave_the_data(run_writer: Callable[..., Path], fake: Any) -> None:
    space = fake.make_space(("<b>road</b>", "a\"quote'", "</script><script>alert(1)</script>"))
    evil = "</script><img src=x onerror=alert(1)>"
    page = run_writer(
        [fake.make_finding(1, space, image_id=evil)], space=space, name=evil, quarantine={evil: evil}
    )
    text = page.read_text("utf-8")
    assert evil not in text
    assert "<b>road" not in text
    data = data_of(page)
    assert data["findings"][0]["image"] == evil
    assert data["palette"][2]["name"] == "</script><script>alert(1)</script>"


@given(st.text())
def test_embedding_keeps_any_text_and_no_markup(text: str) -> None:
    inside = embed({"a": text})
    assert not set(inside) & set("<>&\u2028\u2029")
    assert json.loads(inside) == {"a": text}


def test_file_names_that_are_not_utf8_can_be_written() -> None:
    assert embed({"a": "x\udcff"}).encode("utf-8")


def test_void_as_given_class(run_writer: Callable[..., Path], fake: Any) -> None:
    space = fake.make_space(("road", "car"))
    data = data_of(run_writer([fake.make_finding(1, space, given_index=2, given="void")], space=space))
    assert data["palette"][data["findings"][0]["given"]]["name"] == "void"


def test_digest_names_the_list_of_findings(fake: Any) -> None:
    rows = fake.findings(4)
    assert findings_digest(rows) == findings_digest([replace(f, reason="other words") for f in rows])
    assert findings_digest(rows) != findings_digest(rows[:3])
    assert findings_digest(rows) != findings_digest([replace(rows[0], x0=rows[0].x0 + 1), *rows[1:]])


def test_command_is_put_together_from_the_options(run_writer: Callable[..., Path]) -> None:
    command = data_of(run_writer())["footer"]["command"]
    assert command.startswith(
        "dubio audit --data data/fake --method planted --classes road,car --seed 0 --out "
    )
    assert "--error-rate" not in command


def test_command_as_typed_is_kept(tmp_path: Path) -> None:
    record = {"command": "audit", "options": {"seed": 0}, "argv": ["dubio", "audit", "--labels", "my masks"]}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert read_notes(tmp_path).command == "dubio audit --labels 'my masks'"


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_run_file_that_is_missing_or_broken_is_no_obstacle(tmp_path: Path, text: str) -> None:
    if text:
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
    notes = read_notes(tmp_path)
    assert notes.command == ""
    assert notes.version
