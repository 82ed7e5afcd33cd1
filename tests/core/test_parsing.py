"""Parsing in several threads at once."""

from __future__ import annotations

import ast
import sys
from concurrent.futures import ThreadPoolExecutor

from dubio.engine.parsing import has_the_fault, parse_one_at_a_time

SOURCE = "def f(x):\n" + "\n".join(f"    x = (x + {n}) * [{n}, {{'a': (1, 2)}}][0]" for n in range(200))


def test_threads_that_parse_at_once_all_succeed():
    parse_one_at_a_time()
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: ast.parse(SOURCE), range(64)))
    assert len({ast.dump(tree) for tree in trees}) == 1


def test_it_is_done_once_and_only_where_it_is_needed():
    before = ast.parse
    parse_one_at_a_time()
    parse_one_at_a_time()
    assert ast.parse is before or has_the_fault(sys.version_info[:3])
    assert hasattr(ast.parse, "dubio_waits") == has_the_fault(sys.version_info[:3])


def test_versions():
    assert [has_the_fault(v) for v in ((3, 11, 0), (3, 11, 9), (3, 12, 1), (3, 12, 2), (3, 14, 0))] == [
        True, False, True, False, False,
    ]  # fmt: skip
