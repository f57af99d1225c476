"""Where a task is done: in processes of this machine, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pyimagesearch.runtime.ordered_queue import Task
from pyimagesearch.runtime.processes import done_in_processes

Result = TypeVar("Result")
ITEMS_AT_ONCE = 16


def done(
    task: Task[Result],
    items: Iterable[str],
    jobs: int,
    scheduler: str | None = None,
    at_once: int = ITEMS_AT_ONCE,
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order, wherever it is done.

    An item whose worker dies over it, each time that it is tried, costs itself: ``task.lost``.

    Args:
        task: what to do; picklable.
        items: taken only as fast as they are worked on.
        jobs: number of processes on this machine.
        scheduler: a cluster, see ``dask_cluster.done_on_cluster``; None works on this machine.
        at_once: number of items that a worker is given; on a cluster four times as many.
    """
    if scheduler is None:
        return done_in_processes(task, items, jobs, at_once)
    from pyimagesearch.runtime.dask_cluster import done_on_cluster  # brings in distributed

    return done_on_cluster(task, items, scheduler, at_once)
