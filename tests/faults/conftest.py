"""A small sound data set to spoil, and the command line as a user calls it."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from dubio.cli.main import main
from dubio.core.run import Run
from dubio.data.folders import open_folders
from dubio.data.predictions import open_predictions
from dubio.data.spaces import load_space
from dubio.errors.audit import AuditOptions, collect

from ..toy import write_toy

# What a user must never meet in a sentence: libraries' words, types, numbers of errors.
_JARGON = re.compile(
    r"Traceback|Errno|codec|numpy|<class|allow_pickle|object at|dtype|mmap|PIL|UnidentifiedImage|"
    r"Exception|NoneType|\bNone\b|tuple index"
)


def assert_plain(text):
    """One sentence that says what is wrong and what to do, without a library's words."""
    assert "\n" not in text.strip()
    assert not _JARGON.search(text), text
    assert "; " in text, f"no remedy: {text}"


def run_cli(*args):
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def audit_options(root, out, *more, images=True):
    pictures = ("--images", root / "images") if images else ()
    return (
        "audit", "--labels", root / "labels", "--scores", root / "scores", *pictures,
        "--label-space", root / "toy.toml", "--out", out, "--folds", "2", "--copies", "1",
        "--max-findings", "4", *more,
    )  # fmt: skip


def examine(data, out, *, images=True, **options):
    """The pass over the images alone, much faster than a whole audit: what it left, and what was said."""
    pictures = data / "images" if images else None
    space = load_space(data / "toy.toml")
    dataset = open_folders(labels=data / "labels", images=pictures, space=space)
    source = open_predictions(dataset, scores=data / "scores")
    said = [*dataset.notes, *source.describe()]
    run = Run(out, "audit", {})
    wanted = AuditOptions(copies=1, **options)
    return collect(dataset, source, run, wanted, workers=1, say=said.append), said


def last_sentence(result):
    """The sentence of a command that ended with status 2."""
    assert result.exit_code == 2, result.output
    line = result.output.strip().splitlines()[-1]
    assert line.startswith("dubio: "), result.output
    return line


def quarantine(out):
    found = json.loads((out / "quarantine.json").read_text())
    return found if isinstance(found, dict) else {row["image_id"]: row["fault"] for row in found}


def leftovers(out):
    return [p for p in out.rglob("*") if ".part" in p.name]


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("sound") / "data"
    write_toy(root, 6)
    return root


@pytest.fixture
def data(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"
