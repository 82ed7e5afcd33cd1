"""Code blocks of a Markdown page, in order, with the notes that stand before them in HTML comments.

``<!-- not run: REASON -->``       the block is checked, but not run
``<!-- exit status: N -->``        its last command ends with this status
``<!-- reviewer: NAME FILES -->``  at this place a person does something (see :mod:`.people`)
"""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

_PIECE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$"
    r"|<!-- (?P<name>not run|exit status|reviewer): *(?P<text>[^\n]*?) *-->",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A code block, or (language ``reviewer``) what a person does between two of them."""

    page: str
    line: int
    language: str
    code: str
    title: str | None = None
    not_run: str | None = None
    status: int = 0

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path, root: Path) -> list[Block]:
    text, page = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
    found: list[Block] = []
    notes: dict[str, str] = {}
    end = 0
    for piece in _PIECE.finditer(text):
        if text[end : piece.start()].strip():
            assert not notes, f"{page}: the note {notes} stands before no block"
        end = piece.end()
        line = text.count("\n", 0, piece.start()) + 1
        if piece["name"] == "reviewer":
            found.append(Block(page, line, "reviewer", piece["text"]))
        elif piece["name"]:
            notes[piece["name"]] = piece["text"]
        else:
            title = _TITLE.search(piece["info"])
            found.append(
                Block(
                    page, line, piece["language"], textwrap.dedent(piece["code"]), title and title[1],
                    notes.get("not run"), int(notes.get("exit status", 0)),
                )
            )  # fmt: skip
            notes = {}
    assert not notes, f"{page}: the note {notes} stands before no block"
    return found


def prose_of(text: str) -> str:
    """The page without its code blocks."""
    return _PIECE.sub("", text)


def commands_of(block: Block) -> list[list[str]]:
    """Commands of a shell block as words; lines that end in a backslash go on, comments are left off."""
    joined = block.code.replace("\\\n", " ")
    words = [shlex.split(line, comments=True) for line in joined.splitlines()]
    return [line for line in words if line]
