"""Tables of results that never cut a name, on a screen of any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dubio.core.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ANY_WIDTH = 100_000  # a file or another program has no right edge
_LARGE = 1e6


def print_table(out: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers are right-aligned and stay whole.

    What is too wide goes on in the next line: first the lines between the columns give way, then words go
    below each other, then names are folded.
    """
    from rich.box import SIMPLE_HEAD

    body = [[_cell(v) for v in row] for row in rows]
    out.print(f"[italic]{escaped(title)}[/italic]", soft_wrap=True)
    unbounded = out.options.update(max_width=ANY_WIDTH)
    narrow: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "collapse_padding": True}
    table = _table(columns, body)
    if out.measure(table, options=unbounded).maximum > out.width:
        table = _table(columns, body, whole=True, **narrow)
        if out.measure(table, options=unbounded).minimum > out.width:
            table = _table(columns, body, **narrow)
    out.print(table)


def _table(columns: Sequence[str], body: list[list[str]], *, whole: bool = False, **style: Any) -> Table:
    """A table that folds what is too long; ``whole``: but for numbers and names without spaces."""
    from rich.table import Table

    table = Table(header_style="bold", **style)
    for number, name in enumerate(columns):
        cells = [row[number] for row in body]
        numeric = bool(cells) and all(_numeric(cell) for cell in cells)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=whole and not any(" " in cell for cell in cells),
            min_width=max(map(len, cells)) if numeric else None,
        )
    for row in body:
        table.add_row(*[escaped(v) for v in row])
    return table


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:.1e}"


def _numeric(text: str) -> bool:
    return text == "–" or text.replace(".", "", 1).replace("-", "", 1).replace("%", "", 1).strip().isdigit()


def safe(text: str) -> str:
    """Text without characters that steer a terminal; line ends stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def escaped(text: str) -> str:
    """Text that rich prints as it is."""
    from rich.markup import escape

    # rich leaves a backslash before a bracket alone, which would then escape the bracket of the next tag.
    return escape(safe(text))
