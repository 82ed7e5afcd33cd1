"""``dubio import`` as a user calls it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from dubio.cli.main import main
from dubio.errors.findings import from_table

from ..toy import write_toy


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    write_toy(root / "data", 8)
    result = call(
        "audit", "--labels", root / "data/labels", "--images", root / "data/images", "--scores",
        root / "data/scores", "--label-space", root / "data/toy.toml", "--out", root / "run", "--folds", "2",
        "--copies", "2", "--max-findings", "20",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return root / "run"


def page_file(path, run, words):
    """What the report's page saves."""
    import pyarrow.parquet as pq

    rows = []
    for f, word in zip(from_table(pq.read_table(run / "findings.parquet")), words, strict=False):
        row = {k: getattr(f, k) for k in ("finding", "image_id", "x0", "y0", "x1", "y1", "kind")}
        rows.append({**row, "verdict": word, "time": "2026-01-31T12:00:00.000Z"})
    path.write_text(json.dumps({"format": 1, "run": "0" * 16, "verdicts": rows}))
    return path


def test_the_pages_file_and_a_second_reviewer(run, tmp_path):
    first = call("import", run, page_file(tmp_path / "a.json", run, ["accepted", "rejected"]), "--json",
                 "--reviewer", "ada")  # fmt: skip
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)
    assert (said["after"]["accepted"], said["after"]["rejected"]) == (1, 1)
    assert said["files"][0]["tool"] == "dubio"
    second = call("import", run, page_file(tmp_path / "b.json", run, ["accepted", "accepted"]), "--reviewer",
                  "bob")  # fmt: skip
    assert second.exit_code == 0, second.output
    assert "ada: rejected, bob: accepted; now open" in second.output
    assert "Cohen's kappa" in second.output
    data = json.loads((run / "verdicts.json").read_text())
    assert data["format"] == 2
    assert data["verdicts"][1]["verdict"] is None


@pytest.mark.parametrize("name", ["none.json", "odd.txt", "other.json"])
def test_bad_files_get_one_sentence_and_status_2(run, tmp_path, name):
    (tmp_path / "odd.txt").write_text("x")
    (tmp_path / "other.json").write_text("{}")
    before = (run / "findings.parquet").read_bytes()
    result = call("import", run, tmp_path / name)
    assert result.exit_code == 2
    assert result.output.strip().splitlines()[-1].startswith("dubio: ")
    assert "Traceback" not in result.output
    assert (run / "findings.parquet").read_bytes() == before
