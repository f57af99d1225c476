"""Run a task over many items: in processes on this machine, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pyimagesearch.runtime.ordered_queue import Task
from pyimagesearch.runtime.processes import run_in_processes

Result = TypeVar("Result")
CHUNK_SIZE = 16  # items


def run_task(
    task: Task[Result],
    items: Iterable[Any],
    jobs: int,
    scheduler: str | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order.

    An item whose worker dies over it each time that it is tried has the result ``task.lost``.

    Args:
        task: what to do; picklable.
        items: as of ``Task``; taken only as fast as they are worked on.
        jobs: number of processes on this machine.
        scheduler: of a cluster, see ``dask_cluster.run_on_cluster``; None uses this machine.
        chunk_size: number of items that a worker is given at once; on a cluster four times as many.
    """
    if scheduler is None:
        return run_in_processes(task, items, jobs, chunk_size)
    from pyimagesearch.runtime.dask_cluster import run_on_cluster  # brings in distributed

    return run_on_cluster(task, items, scheduler, chunk_size)
