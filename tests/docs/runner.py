"""Runs the blocks of a page."""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from dubio.cli.main import main

from . import people
from .blocks import Block, commands_of

# Options that make a command quick, added where a page doesn't give them.
QUICK = {
    "audit": {"--copies": "4", "--folds": "2", "--max-findings": "12", "--workers": "1"},
    "demo": {"--scenes": "3", "--workers": "1", "--no-open": None},
    "benchmark score": {"--draws": "50"},
}
# Commands of other programs that are harmless, and run as they stand.
HARMLESS = ("cp", "ls", "mkdir")
# What is not run, by its first words, and why.
LEFT_OUT = {
    "pip install": "the environment is the test's own",
}
_SETTING = re.compile(r"[A-Z_]+=\S*")


def dubio(*words: Any, status: int = 0, env: dict[str, str] | None = None) -> str:
    """Call the command line; returns all that it says."""
    arguments = quick([str(w) for w in words])
    result = CliRunner().invoke(main, arguments, env=env)
    assert result.exit_code == status, (
        f"dubio {' '.join(arguments)}: status {result.exit_code}\n{result.output}"
    )
    return result.output


def quick(words: list[str]) -> list[str]:
    for name, options in QUICK.items():
        if words[: len(name.split())] == name.split():
            for option, value in options.items():
                if option not in words:
                    words = [*words, option, *([] if value is None else [value])]
    return words


def left_out(words: list[str]) -> str | None:
    """Why a command is not run; ``None``: it is."""
    line = " ".join(words)
    return next((why for start, why in LEFT_OUT.items() if (line + " ").startswith(start + " ")), None)


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the working folder."""
    if block.title is not None:
        Path(block.title).write_text(block.code)
    elif block.language == "reviewer":
        people.act(block.code)
    elif block.language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block.code, block.place, "exec"), names)
    elif block.language == "sh":
        commands = commands_of(block)
        for n, words in enumerate(commands):
            _run(words, block, block.status if n == len(commands) - 1 else 0)


def _run(words: list[str], block: Block, status: int) -> None:
    env = {}
    while words and _SETTING.fullmatch(words[0]):
        name, _, env[name] = words[0].partition("=")
        words = words[1:]
    if words[0] == "dubio":
        check_command(words[1:])
        # the demo takes its time, and once is enough
        if words[1] != "demo" or block.page == "docs/tutorial.md":
            dubio(*_expanded(words[1:]), status=status, env=env)
        return
    if left_out(words):
        return
    assert words[0] in HARMLESS, f"{block.place}: what becomes of '{' '.join(words)}' in the test?"
    subprocess.run(_expanded(words), check=True, capture_output=True, env={**os.environ, **env})


def _expanded(words: list[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        found += sorted(glob.glob(word)) or [word] if "*" in word else [word]
    return found


def check_command(words: list[str]) -> None:
    """Parse a command line of dubio as it is, without calling it: options and values have to exist."""
    command: click.Command = main
    context = click.Context(main, info_name="dubio")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command 'dubio {name}'"
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    if {"--help", "--version", "-h"} & set(rest):
        return
    command.make_context("dubio", rest, parent=context)


def all_options(command: click.Command = main) -> set[str]:
    """Every option of every command."""
    found = {o for p in command.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= all_options(inner)
    return found | {"--help", "--version"}
