"""A small sound data set to spoil, and the command line as a user calls it."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from dubio.cli.main import main

from ..toy import write_toy

# What a user must never meet in a sentence: libraries' words, types, numbers of errors.
_JARGON = re.compile(
    r"Traceback|Errno|codec|numpy|<class|allow_pickle|pickle\.|object at|dtype|mmap|PIL|UnidentifiedImage|"
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
