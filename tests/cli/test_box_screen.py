"""Tables of any width, and what is shown while a command starts."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from dubio.cli import boxopts
from dubio.cli.boxopts import waiting
from dubio.cli.console import Screen

NAMES = ("val2017/000000000872", "a_long_name_of_a_camera_that_nobody_would_type_2026-11-21/frame-000123")
COLUMNS = ("#", "probability", "kind", "label says", "model says", "image")


def shown(width, rows, *, terminal=True):
    screen = Screen()
    if terminal:
        screen.out = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    else:
        screen.out.file = StringIO()
    screen.table("Most probable label errors", COLUMNS, rows)
    return screen.out.file.getvalue()


def rows_of(name):
    return [(k, 0.98765, "labelled twice", "teddy bear", "dining table", name) for k in (1, 10)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [60, 80, 140])
def test_defect_names_of_images_were_cut(name, width):
    text = shown(width, rows_of(name))
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    # folded names go on below in the same column
    last = "".join(re.split(r"[│┃]|  +", line.rstrip("│ "))[-1].strip() for line in text.splitlines()[1:])
    assert last.count(name) == 2 or name in last.replace("─", "")
    assert text.count("0.988") == 2


def test_a_table_fits_eighty_columns_without_folding():
    assert shown(80, rows_of(NAMES[0])).count(NAMES[0]) == 2


def test_piped_tables_are_whole():
    text = shown(0, rows_of(NAMES[1]), terminal=False)
    assert text.count(NAMES[1]) == 2
    assert max(len(line) for line in text.splitlines()) < 200  # as wide as need be, not as may be


@pytest.mark.parametrize(
    ("options", "terminal"), [({}, False), ({"as_json": True}, True), ({"quiet": True}, True)]
)
def test_nothing_turns_where_nobody_looks(monkeypatch, options, terminal):
    made = StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=made, force_terminal=terminal))
    with waiting(options, "reading"):
        pass
    assert made.getvalue() == ""


def test_a_terminal_sees_what_is_going_on(monkeypatch):
    made = StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=made, force_terminal=True))
    with waiting({}, "reading labelled boxes"):
        pass
    assert "reading labelled boxes" in made.getvalue()


def test_few_rows_of_classes():
    assert boxopts.SHOWN_ROWS == 15
