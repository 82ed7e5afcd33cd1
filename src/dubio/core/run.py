"""Run folders: what was done, with what, and the finished parts that need not be done again."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import digest, plain_reason, read_json, remove_leftovers, write_json
from dubio.core.lock import LOCK, hold, let_go

FORMAT = 1
_PACKAGES = ("dubio", "numpy", "scipy", "numba", "pyarrow", "scikit-learn", "onnxruntime", "torch")


class Run:
    """A folder with ``run.json`` beside the tables and figures of one command.

    Parts of the work are kept below ``parts/NAME-KEY/``, where KEY is a hash of all that the part
    depends on. The same key is found again (resume); another key makes a new part, and
    :meth:`finish` removes the parts that this run did not use.

    A folder belongs to one process at a time. The lock ends with the process, however it ends, so that a
    killed run never blocks the next one; temporary files that it left are removed.

    Args:
        path: the folder; made if missing.
        command: name of the command, such as ``"audit"``.
        options: the options as plain data.

    Raises:
        InputError: the folder holds files that are not a dubio run, or another command's run, or another
            process works in it, or it can't be written to.
    """

    def __init__(self, path: str | Path, command: str, options: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.command = command
        self.options = dict(options)
        self._used: set[str] = set()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._is_new = False
        self._claim()

    def _claim(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InputError("is a file", path=self.path, remedy="choose a folder for the run")
        try:
            self._check_owner()
            self._made = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't be used as run folder ({plain_reason(error)})",
                path=self.path,
                remedy="choose another place",
            ) from error
        self._release = weakref.finalize(self, let_go, hold(self.path))
        remove_leftovers(self.path)
        self._write("running", {})

    def _check_owner(self) -> None:
        record = self.path / "run.json"
        if not record.exists():
            self._is_new = True
            # A run that was killed at its very beginning leaves hidden files only.
            if self.path.is_dir() and any(not p.name.startswith(".") for p in self.path.iterdir()):
                raise InputError(
                    "is not empty and is no dubio run", path=self.path, remedy="choose another folder"
                )
            return
        try:
            found = read_json(record)
        except InputError as error:
            raise InputError(
                f"holds a damaged run.json ({error.fault})",
                path=self.path,
                remedy="choose another folder, or delete this one",
            ) from error
        command = found.get("command") if isinstance(found, dict) else None
        if not isinstance(command, str):
            raise InputError(
                "holds a run.json that is not dubio's", path=self.path, remedy="choose another folder"
            )
        if command != self.command:
            raise InputError(f"is a run of 'dubio {command}'", path=self.path, remedy="choose another folder")

    def keep_apart(self, labels: Iterable[Path | None]) -> None:
        """Withdraw from a folder of labels: nothing is ever written among them.

        Raises:
            InputError: the run folder lies in the folder of one of the labels.
        """
        here = self.path.resolve()
        for folder in {p.parent for p in labels if p is not None}:
            if here.is_relative_to(folder.resolve()):
                self._withdraw()
                raise InputError(
                    f"lies in the folder of labels {folder}",
                    path=self.path,
                    remedy="choose a folder elsewhere",
                )

    def _withdraw(self) -> None:
        self._release()
        if self._is_new:
            with suppress(OSError):
                (self.path / "run.json").unlink()
                (self.path / LOCK).unlink(missing_ok=True)
                for folder in self._made:
                    folder.rmdir()

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
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't be made ({plain_reason(error)})",
                path=folder,
                remedy="free space or choose another place",
            ) from error
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
        self._release()


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
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
