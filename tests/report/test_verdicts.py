"""Verdicts: read, checked, joined with the table of findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dubio.core.errors import InputError
from dubio.errors.findings import from_table, to_table
from dubio.errors.verdicts import Verdict, apply_verdicts, read_verdicts

ROW = {
    "finding": 3, "image_id": "a", "x0": 1, "y0": 2, "x1": 9, "y1": 8, "kind": "missing",
    "verdict": "accepted", "time": "2026-01-31T12:00:00.000Z",
}  # fmt: skip


def write(path: Path, *rows: Any, **top: Any) -> Path:
    file = path / "verdicts.json"
    file.write_text(
        json.dumps({"format": 1, "run": "0" * 16, "verdicts": list(rows), **top}), encoding="utf-8"
    )
    return file


def table_of(fake: Any, n: int = 5) -> pa.Table:
    return to_table(fake.findings(n), fake.make_space())


def verdict_on(finding: Any, decision: Any = "accepted") -> Verdict:
    f = finding
    return Verdict(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, decision)


def test_reads_in_order_of_the_findings(tmp_path: Path) -> None:
    found = read_verdicts(write(tmp_path, ROW, {**ROW, "finding": 1, "verdict": "rejected", "time": ""}))
    assert [(v.finding, v.verdict) for v in found] == [(1, "rejected"), (3, "accepted")]
    assert found[1].box == (1, 2, 9, 8)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**ROW, "finding": "3"}, "verdict 1 has finding '3'"),
        ({**ROW, "x0": -1}, "has x0 -1"),
        ({**ROW, "y1": 2.5}, "has y1 2.5"),
        ({**ROW, "finding": True}, "has finding True"),
        ({**ROW, "image_id": None}, "has image_id None"),
        ({**ROW, "verdict": "maybe"}, "neither accepted nor rejected"),
        ({**ROW, "time": "yesterday"}, "no ISO 8601 time"),
        ({**ROW, "time": 12}, "no ISO 8601 time"),
        ("accepted", "is no object"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_verdicts(write(tmp_path, row))


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="doesn't exist"):
        read_verdicts(tmp_path / "none.json")
    with pytest.raises(InputError, match="has format 3"):
        read_verdicts(write(tmp_path, format=3))
    with pytest.raises(InputError, match="holds no verdicts"):
        read_verdicts(write(tmp_path, verdicts={}))
    with pytest.raises(InputError, match="judges finding 3 twice"):
        read_verdicts(write(tmp_path, ROW, ROW))


def test_round_trip_into_the_table(fake: Any) -> None:
    findings = fake.findings(5)
    table = to_table(findings, fake.make_space())
    done = apply_verdicts(table, [verdict_on(findings[3], "rejected"), verdict_on(findings[0])])
    assert done.column("verdict").to_pylist() == ["accepted", None, None, "rejected", None]
    assert done.schema == table.schema
    assert done.schema.metadata == table.schema.metadata
    assert table.column("verdict").null_count == 5
    again = apply_verdicts(done, [verdict_on(findings[1])])
    assert [f.verdict for f in from_table(again)] == ["accepted", "accepted", None, "rejected", None]


def test_verdicts_of_another_run_are_refused(fake: Any) -> None:
    findings = fake.findings(5)
    table = to_table(findings[:4], fake.make_space())
    with pytest.raises(InputError, match="no finding 5"):
        apply_verdicts(table, [verdict_on(findings[4])])
    moved = verdict_on(findings[1])
    shifted = Verdict(
        moved.finding, moved.image_id, moved.x0 + 1, moved.y0, moved.x1, moved.y1, moved.kind, "accepted"
    )
    with pytest.raises(InputError, match="finding 2 is scene_0000"):
        apply_verdicts(table, [shifted])
    with pytest.raises(InputError, match="no column 'x0'"):
        apply_verdicts(table.drop_columns(["x0"]), [moved])
