"""Threads that parse Python at once, on interpreters where that fails.

CPython before 3.11.8 (and 3.12.2) counts the depth of a syntax tree in one place for all threads
(python/cpython#106905): two threads that parse at the same time may end with "SystemError: AST constructor
recursion depth mismatch". numba parses when it compiles, which happens in our threads on the first run.
"""

from __future__ import annotations

import ast
import functools
import sys
import threading
from typing import Any

_FIXED = {(3, 11): 8, (3, 12): 2}


def has_the_fault(version: tuple[int, int, int]) -> bool:
    """Whether an interpreter has the fault.

    >>> has_the_fault((3, 11, 7)), has_the_fault((3, 11, 8)), has_the_fault((3, 13, 0))
    (True, False, False)
    """
    return version[2] < _FIXED.get(version[:2], 0)


def parse_one_at_a_time() -> None:
    """Make :func:`ast.parse` wait for other threads where the interpreter has the fault; else nothing."""
    if not has_the_fault(sys.version_info[:3]) or hasattr(ast.parse, "dubio_waits"):
        return
    plain, alone = ast.parse, threading.RLock()

    @functools.wraps(plain)
    def parse(*args: Any, **options: Any) -> Any:
        with alone:
            return plain(*args, **options)

    parse.dubio_waits = True  # type: ignore[attr-defined]  # marks what was replaced already
    ast.parse = parse
