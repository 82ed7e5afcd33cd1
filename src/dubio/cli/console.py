"""What every command shares: output, progress, errors and exit status."""

from __future__ import annotations

import errno
import functools
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from dubio.cli.tables import ANY_WIDTH, escaped, print_table, safe
from dubio.core.errors import DubioError, printable
from dubio.core.files import plain_reason

Item = TypeVar("Item")
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
        if not self.out.is_terminal:
            self.out = Console(highlight=False, width=ANY_WIDTH)

    def say(self, text: str) -> None:
        """Print a line for the user."""
        if not self.quiet:
            self.err.print(safe(text), markup=False, soft_wrap=True)

    def detected(self, lines: Iterable[str]) -> None:
        """Print what was detected in the input, before the work begins."""
        for line in lines:
            if not self.quiet:
                self.err.print(f"[cyan]·[/cyan] {escaped(line)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.err.print(f"[yellow]warning:[/yellow] {escaped(text)}", soft_wrap=True)

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
        """Print a table of results (:mod:`dubio.cli.tables`). Silent with ``--json``."""
        if self.as_json:
            return
        print_table(self.out, title, columns, list(rows))

    def result(self, text: str, data: dict[str, Any]) -> None:
        """Print the closing line, or with ``--json`` the data."""
        if self.as_json:
            # Halves of surrogates (bytes in file names that are no UTF-8) become escapes, as JSON wants them.
            click.echo(json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        else:
            self.out.print(safe(text), markup=False, soft_wrap=True)


def show_page(path: Path) -> None:
    """Open a page in the browser, where there is a screen to open it on."""
    import os

    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return  # whatever opens pages there would complain on the terminal
    click.launch(path.resolve().as_uri())


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
