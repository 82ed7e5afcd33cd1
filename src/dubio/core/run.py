"""Run folders: what was done, with what, and the finished parts that need not be done again."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import digest, read_json, write_json

FORMAT = 1
_PACKAGES = ("dubio", "numpy", "scipy", "numba", "pyarrow", "scikit-learn", "onnxruntime", "torch")


class Run:
    """A folder with ``run.json`` beside the tables and figures of one command.

    Parts of the work are kept below ``parts/NAME-KEY/``, where KEY is a hash of all that the part
    depends on. The same key is found again (resume); another key makes a new part, and
    :meth:`finish` removes the parts that this run did not use.

    Args:
        path: the folder; made if missing.
        command: name of the command, such as ``"audit"``.
        options: the options as plain data.

    Raises:
        InputError: the folder holds files that are not a dubio run, or another command's run.
    """

    def __init__(self, path: str | Path, command: str, options: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.command = command
        self.options = dict(options)
        self._used: set[str] = set()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._claim()

    def _claim(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InputError("is a file", path=self.path, remedy="choose a folder for the run")
        record = self.path / "run.json"
        if record.exists():
            found = read_json(record).get("command")
            if found != self.command:
                raise InputError(
                    f"is a run of 'dubio {found}'", path=self.path, remedy="choose another folder"
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(
                "is not empty and is no dubio run", path=self.path, remedy="choose another folder"
            )
        self._write("running", {})

    def _write(self, status: str, extra: Mapping[str, Any]) -> None:
        write_json(
            self.path / "run.json",
            {
                "format": FORMAT,
                "command": self.command,
                "status": status,
                "started": self._started,
                "argv": _command_line(),
                "options": {k: _plain(v) for k, v in self.options.items()},
                "versions": _versions(),
                **extra,
            },
        )

    def part(self, name: str, depends_on: Any) -> Path:
        """Return the folder for a part of the work; it may hold finished pieces from before.

        Args:
            name: name of the part.
            depends_on: plain data on which the part's result depends (options, fingerprints).
        """
        key = f"{name}-{digest(depends_on)}"
        self._used.add(key)
        folder = self.path / "parts" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(self, **summary: Any) -> None:
        """Mark the run as done, write the summary into ``run.json`` and drop unused parts."""
        parts = self.path / "parts"
        if parts.is_dir():
            for folder in parts.iterdir():
                if folder.name not in self._used:
                    shutil.rmtree(folder, ignore_errors=True)
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        self._write("done", {"ended": ended, **{k: _plain(v) for k, v in summary.items()}})


def _command_line() -> list[str] | None:
    """The command as it was typed; ``None`` when called from Python."""
    called = Path(sys.argv[0]).name if sys.argv else ""
    return ["dubio", *sys.argv[1:]] if called in ("dubio", "__main__.py") else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, os.PathLike):
        return str(value)
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return _plain(value.item())
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
