"""What a page says of its run: date, version, options and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import read_json

# names of options in run.json that the command line calls otherwise, or that it does not have
_FLAGS = {"set": None, "use_images": None}
_PREDICTIONS = "the same --scores, --predictions or --model"


@dataclass(frozen=True)
class RunNotes:
    """Notes on a run for its page's foot."""

    date: str
    version: str
    options: list[tuple[str, str]]
    command: str


def read_notes(folder: Path, class_names: Sequence[str] = ()) -> RunNotes:
    """Read the notes from ``run.json``; without it they are of now and name no command.

    ``argv`` in ``run.json`` (the arguments as typed) is quoted as it is; otherwise the command is put
    together from the options, and the predictions, which are no options, are named in words.

    Args:
        folder: the run folder.
        class_names: names by index, for the option ``classes`` (indices in ``run.json``).
    """
    try:
        record = read_json(folder / "run.json")
    except InputError:
        record = {}
    if not isinstance(record, dict):
        record = {}
    options = dict(record.get("options") or {})
    if isinstance(options.get("classes"), list):
        options["classes"] = [class_names[i] for i in options["classes"] if i < len(class_names)]
    version = (record.get("versions") or {}).get("dubio") or _installed()
    date = record.get("started") or datetime.now(UTC).isoformat(timespec="seconds")
    known = [(name, _show(value)) for name, value in options.items() if value is not None]
    return RunNotes(date, version, known, _command(record, options, folder) if options else "")


def _command(record: dict[str, Any], options: dict[str, Any], folder: Path) -> str:
    if record.get("argv"):
        return shlex.join(str(v) for v in record["argv"])
    words = ["dubio", str(record.get("command", "audit"))]
    for name, value in options.items():
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
        if value is None or flag is None or isinstance(value, bool):
            continue
        words += [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return f"{shlex.join([*words, '--out', str(folder)])}   # and {_PREDICTIONS}"


def _show(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _installed() -> str:
    try:
        return metadata.version("dubio")
    except metadata.PackageNotFoundError:
        from dubio import __version__

        return __version__
