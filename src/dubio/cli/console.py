"""What every command shares: output, progress, errors and exit status."""

from __future__ import annotations

import errno
import functools
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from dubio.core.errors import DubioError, printable
from dubio.core.files import plain_reason

Item = TypeVar("Item")
_LARGE = 1e6
_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")}


class Screen:
    """Words to the user on standard error, results on standard output.

    With ``--json`` standard output carries one JSON object and nothing else.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        from rich.console import Console

        self.as_json = as_json
        self.quiet = quiet
        self.err = Console(stderr=True, highlight=False)
        self.out = Console(highlight=False)

    def say(self, text: str) -> None:
        """Print a line for the user."""
        if not self.quiet:
            self.err.print(_safe(text), markup=False, soft_wrap=True)

    def detected(self, lines: Iterable[str]) -> None:
        """Print what was detected in the input, before the work begins."""
        for line in lines:
            if not self.quiet:
                self.err.print(f"[cyan]·[/cyan] {_escape(line)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.err.print(f"[yellow]warning:[/yellow] {_escape(text)}", soft_wrap=True)

    def left_out(self, count: int, listed: Path) -> None:
        """Say how many images were left out, if any were, and where they are listed."""
        if count:
            images = "1 image was" if count == 1 else f"{count} images were"
            self.warn(f"{images} left out; see {listed}")

    def progress(self, items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
        """Yield the items while showing a progress bar (nothing when piped)."""
        if self.quiet or not self.err.is_terminal:
            yield from items
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(text, total=total)
            for item in items:
                yield item
                bar.advance(task)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table of results; numbers are right-aligned. Silent with ``--json``."""
        if self.as_json:
            return
        from rich.table import Table

        body = [[_cell(v) for v in row] for row in rows]
        table = Table(title=title, title_justify="left", header_style="bold")
        for number, name in enumerate(columns):
            numeric = bool(body) and all(_numeric(row[number]) for row in body)
            table.add_column(name, justify="right" if numeric else "left")
        for row in body:
            table.add_row(*[_escape(v) for v in row])
        self.out.print(table)

    def result(self, text: str, data: dict[str, Any]) -> None:
        """Print the closing line, or with ``--json`` the data."""
        if self.as_json:
            # Halves of surrogates (bytes in file names that are no UTF-8) become escapes, as JSON wants them.
            click.echo(json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        else:
            self.out.print(_safe(text), markup=False, soft_wrap=True)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:.1e}"


def _numeric(text: str) -> bool:
    return text == "–" or text.replace(".", "", 1).replace("-", "", 1).replace("%", "", 1).strip().isdigit()


def _safe(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _escape(text: str) -> str:
    from rich.markup import escape

    # rich leaves a backslash before a bracket alone, which would then escape the bracket of the next tag.
    return escape(_safe(text))


def sentence(error: Exception) -> str:
    """What the user is told of an error.

    >>> sentence(OSError(28, "No space left on device", "run/maps"))
    'run/maps: No space left on device; free space or choose another place'
    """
    if isinstance(error, MemoryError):
        return "there is not enough memory; use fewer --workers, the same command takes up where it left off"
    if isinstance(error, OSError) and not isinstance(error, DubioError):
        place = "" if error.filename is None else f"{printable(str(error.filename))}: "
        full = error.errno in _FULL
        remedy = (
            "free space or choose another place" if full else "check the file, the folder and permissions"
        )
        return f"{place}{plain_reason(error)}; {remedy}"
    return str(error)


def _not_the_users(error: OSError) -> bool:
    """A closed pipe (``dubio … | head``) is click's to deal with; other errors without a number are bugs."""
    return error.errno is None or error.errno == errno.EPIPE


def command_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors that dubio raises on purpose into one sentence and exit status 2.

    Also keeps other libraries' warnings away from the user (``DUBIO_DEBUG=1`` shows all).
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        import os

        debug = bool(os.environ.get("DUBIO_DEBUG"))
        if not debug:
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
        try:
            return function(*args, **kwargs)
        except (DubioError, MemoryError, OSError) as error:
            if debug or (isinstance(error, OSError) and _not_the_users(error)):
                raise
            click.echo(f"dubio: {sentence(error)}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\ndubio: stopped; the same command takes up where it left off", err=True)
            sys.exit(130)
        finally:
            logging.disable(logging.NOTSET)

    return wrapped
