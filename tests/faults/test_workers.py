"""A worker that fails or dies: the command ends and says so, it never hangs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from dubio.core.errors import DubioError, InputError
from dubio.engine.map import map_ordered


def die(item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def refuse(item):
    if item == 3:
        raise InputError("is bad", path=f"{item}.png", remedy="replace it")
    return item


def crash(item):
    return 1 / (3 - item)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_worker_process_is_said():
    with pytest.raises(DubioError, match="worker process ended unexpectedly"):
        list(map_ordered(die, range(20), workers=2, backend="processes"))


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_a_fault_crosses_the_border_whole(backend):
    done = []
    with pytest.raises(InputError) as caught:
        done.extend(map_ordered(refuse, range(20), workers=2, backend=backend))
    assert str(caught.value) == "3.png: is bad; replace it"
    assert caught.value.path == "3.png"


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_a_bug_is_not_hidden(backend):
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(crash, range(20), workers=2, backend=backend))


def test_leaving_early_leaves_no_threads():
    before = threading.active_count()
    results = map_ordered(abs, iter(range(10**6)), workers=4)
    assert next(results) == 0
    results.close()
    assert threading.active_count() == before


def test_an_interrupt_ends_the_threads():
    def stop(item):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(map_ordered(stop, range(100), workers=4))
    assert threading.active_count() == before


def test_items_that_fail_end_it_too():
    def items():
        yield 1
        raise InputError("can't be listed", path="folder")

    with pytest.raises(InputError, match="can't be listed"):
        list(map_ordered(abs, items(), workers=2))
