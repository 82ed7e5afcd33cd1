"""Map a function over images: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, Literal, TypeVar

from dubio.core.errors import DubioError, InputError, MissingExtraError
from dubio.engine.parsing import parse_one_at_a_time

# Whoever starts threads here may compile in them.
parse_one_at_a_time()

Item = TypeVar("Item")
Result = TypeVar("Result")
# Wraps items to show progress: items, their number, what is being done.
Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
Backend = Literal["serial", "threads", "processes", "ray"]


def cpu_count() -> int:
    """Number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    backend: Backend = "threads",
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in the order of the items.

    Only about twice as many items as workers are in flight, so that memory stays constant however
    long the list is. The result never depends on the backend or the number of workers.

    Args:
        function: called once per item; must be importable for ``processes`` and ``ray``.
        items: the items.
        workers: how many at once; default: all processors.
        backend: ``threads`` suits work that releases the GIL (reading, the compiled kernels).

    Raises:
        InputError: an unknown backend or no workers.
        DubioError: a worker process ended by force, as the system does when memory runs out.

    >>> list(map_ordered(abs, [-1, 2, -3], workers=2))
    [1, 2, 3]
    """
    workers = cpu_count() if workers is None else workers
    if workers < 1:
        raise InputError(f"{workers} workers can't do anything", remedy="give at least 1")
    if backend == "serial" or (backend == "threads" and workers == 1):
        return map(function, items)
    if backend == "ray":
        return _map_ray(function, items, workers)
    if backend == "threads":
        return _map_pool(ThreadPoolExecutor(workers), function, items, 2 * workers)
    if backend == "processes":
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        return _map_pool(pool, function, items, 2 * workers)
    raise InputError(f"unknown backend '{backend}'", remedy="serial, threads, processes or ray")


def _map_pool(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise DubioError(
            "a worker process ended unexpectedly, perhaps for want of memory; use fewer workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _map_ray(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("the ray backend", "ray") from error
    if not ray.is_initialized():
        ray.init(num_cpus=workers, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    remote = ray.remote(function)
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(remote.remote(item))
        if len(waiting) > 2 * workers:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


def silent(items: Iterable[Item], total: int, text: str) -> Iterable[Item]:
    """Show no progress: the items as they are."""
    return items


def chunked(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a sequence into pieces of at most ``size``.

    >>> chunked([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [items[start : start + size] for start in range(0, len(items), size)]
