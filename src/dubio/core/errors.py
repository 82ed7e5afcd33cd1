"""Errors that a user can act on."""

from __future__ import annotations

import unicodedata
from pathlib import Path

# Control characters, halves of surrogate pairs (bytes that are no UTF-8), line and paragraph separators.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


class DubioError(Exception):
    """Base class of every error that dubio raises on purpose.

    The command line prints the message as one sentence and exits with status 2.
    """


class InputError(DubioError, ValueError):
    """A file, option or array that cannot be used.

    Args:
        fault: what is wrong, as a clause without a full stop.
        path: the file or folder concerned, if there is one.
        remedy: what the user can do, as a clause without a full stop.

    >>> str(InputError("holds no masks", path="labels", remedy="name a folder of PNG files"))
    'labels: holds no masks; name a folder of PNG files'
    """

    def __init__(self, fault: str, *, path: str | Path | None = None, remedy: str = "") -> None:
        self.fault = fault
        self.path = None if path is None else str(path)
        self.remedy = remedy
        text = " ".join(fault.split())
        text = text if path is None else f"{printable(str(path))}: {text}"
        super().__init__(printable(f"{text}; {remedy}" if remedy else text))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword arguments when the error crosses a process border."""
        return (_rebuild, (self.fault, self.path, self.remedy))


class MissingExtraError(DubioError, ImportError):
    """An optional dependency is needed that is not installed.

    >>> str(MissingExtraError("training", "torch"))
    "training needs the extra 'torch'; install it with: pip install 'dubio[torch]'"
    """

    def __init__(self, job: str, extra: str) -> None:
        super().__init__(f"{job} needs the extra '{extra}'; install it with: pip install 'dubio[{extra}]'")


def printable(text: str) -> str:
    r"""Escape what a terminal or a UTF-8 file can't take: file names may hold any byte but zero and ``/``.

    >>> printable("a\nb")
    'a\\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNPRINTABLE else c for c in text
    )


def _rebuild(fault: str, path: str | None, remedy: str) -> InputError:
    return InputError(fault, path=path, remedy=remedy)
