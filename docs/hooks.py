"""Put the commands' own help into the pages: ``<!-- cli: audit -->``; drop the roles of docstrings."""

from __future__ import annotations

import re
from typing import Any

import click

_MARK = re.compile(r"<!-- cli: ([a-z ]+) -->")
# ``:class:`Name` `` in a docstring, which mkdocstrings leaves as it is
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks."""
    return _MARK.sub(lambda found: f"```text\n{_help(found[1].split())}\n```", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Leave the names of docstrings' roles out."""
    return _ROLE.sub("", html)


def _help(path: list[str]) -> str:
    from dubio.cli.main import main

    command: click.Command = main
    context = click.Context(main, info_name="dubio", terminal_width=100)
    for name in path:
        found = command.get_command(context, name) if isinstance(command, click.Group) else None
        if found is None:
            raise ValueError(f"no command {' '.join(path)}")
        command = found
        context = click.Context(command, info_name=name, parent=context, terminal_width=100)
    return command.get_help(context)
