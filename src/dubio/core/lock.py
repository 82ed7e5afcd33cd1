"""One process at a time in a folder; the lock ends with the process, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from dubio.core.errors import InputError
from dubio.core.files import plain_reason

LOCK = ".lock"
_FAR = 1 << 20
_held: dict[Path, tuple[IO[str], int]] = {}


def hold(folder: Path) -> Path | None:
    """Lock a folder for this process; ``None`` where there is nothing to let go of.

    Raises:
        InputError: another process has it.
    """
    # Lightning starts a command once per device; only the first holds the folder.
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return None
    key = folder.resolve()
    if key in _held:
        file, count = _held[key]
        if _same(file, folder / LOCK):
            _held[key] = file, count + 1
            return key
        _held.pop(key)[0].close()  # the folder was deleted and made anew
    try:
        file = open(folder / LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as it is held
    except OSError as error:
        raise InputError(
            f"can't be written to ({plain_reason(error)})", path=folder, remedy="choose another folder"
        ) from error
    try:
        _lock(file)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            file.close()  # a file system without locks
            return None
        file.seek(0)
        owner = file.read(20).strip()
        file.close()
        raise InputError(
            "is in use by another dubio" + (f" (process {owner})" if owner else ""),
            path=folder,
            remedy="wait for its end or choose another folder",
        ) from error
    with suppress(OSError):
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())  # for the message above; unbuffered
    _held[key] = file, 1
    return key


def _same(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_FAR)  # far from the text, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        # This kind belongs to the process and is not passed on to its children.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def let_go(key: Path | None) -> None:
    """Unlock what :func:`hold` returned, once for each time that it was called."""
    if key is None or key not in _held:
        return
    file, count = _held.pop(key)
    if count > 1:
        _held[key] = file, count - 1
    else:
        file.close()
