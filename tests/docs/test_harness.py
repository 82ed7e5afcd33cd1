"""The tests of the documentation can fail; and what the pages list is what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pyarrow.parquet as pq
import pytest

from .blocks import Block, blocks_of, commands_of
from .runner import check_command, left_out, run_block

ROOT = Path(__file__).resolve().parents[2]
PAGE = """# A page

<!-- not run: needs a server -->
```sh
dubio audit --labels a \\
    --scores b --out c   # a comment
```

<!-- reviewer: page run verdicts.json -->

<!-- exit status: 2 -->
```python
print("x")
```

```toml title="a.toml"
x = 1
```
"""


def block(language, code, **more):
    return Block("docs/page.md", 1, language, code, **more)


def test_blocks_come_with_their_notes(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    shell, person, python, toml = blocks_of(tmp_path / "page.md", tmp_path)
    assert (shell.not_run, shell.line) == ("needs a server", 4)
    assert commands_of(shell) == [["dubio", "audit", "--labels", "a", "--scores", "b", "--out", "c"]]
    assert (person.language, person.code) == ("reviewer", "page run verdicts.json")
    assert (python.status, python.not_run, python.code) == (2, None, 'print("x")\n')
    assert toml.title == "a.toml"


def test_a_note_before_no_block_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("<!-- not run: no block follows -->\n\nText.\n\n```sh\nls\n```\n")
    with pytest.raises(AssertionError, match="stands before no block"):
        blocks_of(tmp_path / "page.md", tmp_path)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("audit --labels a --out b --nonsense", click.NoSuchOption),
        ("audit --labels a", click.MissingParameter),
        ("export run --to pdf --out a", click.BadParameter),
        ("audits --labels a", AssertionError),
        ("benchmark grow --labels a", AssertionError),
    ],
)
def test_unsound_commands_are_found(words, error):
    with pytest.raises(error):
        check_command(words.split())


@pytest.mark.parametrize(
    "bad",
    [
        block("python", "raise ValueError"),
        block("python", "assert 1 == 2"),
        block("sh", "dubio audit --labels nowhere --scores nowhere --out run"),
        block("sh", "dubio --version", status=2),
        block("sh", "curl example.org"),
        block("sh", "ls nowhere"),
    ],
)
def test_failing_blocks_fail(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each in its own way
        run_block(bad, {})


def test_what_is_left_out_is_a_whole_word():
    assert left_out(["pip", "install", "."])
    assert left_out(["pip", "installer"]) is None


def test_messages_of_the_table_are_those_of_the_code():
    page = (ROOT / "docs/howto/when-something-is-wrong.md").read_text(encoding="utf-8")
    table = page.partition("## Messages")[2].partition("\n## ")[0]
    said = [
        words for row in re.findall(r"^\| (`.+?) \|", table, re.M) for words in re.findall("`(.+?)`", row)
    ]
    assert len(said) > 20
    known = [text for path in (ROOT / "src").rglob("*.py") for text in _texts(path)]
    for words in said:
        pattern = re.compile(".+?".join(map(re.escape, words.split("…"))))
        assert any(pattern.search(text) for text in known), words


def _texts(path):
    """String literals of a module; what is filled in later is an ellipsis."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("name", ["findings.parquet", "images.parquet"])
def test_columns_of_the_tables_are_explained(world, name):
    page = (ROOT / "docs/howto/tables.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}")[2].partition("\n## ")[0]
    named = {
        word for row in re.findall(r"^\| (`.+?) \|", section, re.M) for word in re.findall("`(.+?)`", row)
    }
    assert named == set(pq.read_schema(world / "run" / name).names)


def test_files_of_a_run_are_explained(world):
    page = (ROOT / "docs/howto/tables.md").read_text(encoding="utf-8").partition("\n## ")[0]
    there = {p.name + "/" * p.is_dir() for p in (world / "run").iterdir() if not p.name.startswith(".")}
    named = set(re.findall(r"^\| `(.+?)` \|", page, re.M))
    assert there - {"pictures/"} <= named
