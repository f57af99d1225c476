"""Do the same thing to many items on a cluster, through Dask's scheduler.

Paths go out in chunks and results come back; pictures are read where they are worked on. On each
worker the items are done in a process beside it, so that an item which brings that down costs the
cluster nothing. What Dask itself sees die are machines, and it gives their chunks to others.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import pkgutil
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from multiprocessing import resource_tracker
from typing import Any, NoReturn, TypeVar

from pyimagesearch import __version__
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.ordered_queue import Ledger, Part, Task
from pyimagesearch.runtime.processes import Processes, interrupts_held

Result = TypeVar("Result")
# What goes out together: the scheduler takes about a millisecond for each chunk.
_AT_ONCE_IN_CHUNK = 4
# One that is worked on, one that is there when it is done, and as many again whose results wait
# for earlier ones.
_CHUNKS_FOR_EACH_THREAD = 4
SECONDS_TO_CONNECT = 10
SECONDS_FOR_WORKERS = 60
_SECONDS_BETWEEN_COUNTS = 5.0
_MOST_RUNS_KEPT = 2


def done_on_cluster(
    task: Task[Result], items: Iterable[str], scheduler: str, at_once: int
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order.

    At most four chunks for each thread of the workers are under way, however many items there
    are; workers may come and go. A chunk whose machine is lost, time after time, is done again
    item by item.

    Args:
        task: what to do; all that it names must be reachable from the workers.
        items: taken only as fast as they are worked on. Relative paths are so to the folder that
            this process works in.
        scheduler: address of a Dask scheduler; or ``local[N]``, which starts one with N workers.
        at_once: number of items that a worker does together; a chunk has four times as many.

    Raises:
        UserError: the package is missing, the scheduler or workers cannot be reached or are lost.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--scheduler needs the package distributed ({error}): "
            "pip install -r requirements-cluster.txt"
        ) from error
    # It, asyncio and tornado log what is told in sentences here, tracebacks among it.
    logging.disable(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        client = _connected(scheduler, stack)
        run = uuid.uuid4().hex
        with warnings.catch_warnings():
            # It may hold a network: the scheduler keeps it, and each worker gets it once.
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            sent = client.submit(_delivered, task, key=f"task-{run}")
        reach = functools.partial(_reaching, scheduler)
        with reach():
            error = sent.exception()
        if error is not None:
            raise UserError(
                f"the cluster at {scheduler} cannot take the work on: its scheduler, too, needs "
                f"this version of the toolkit ({str(error).splitlines()[0]})"
            ) from error
        ledger = Ledger(items, _AT_ONCE_IN_CHUNK * at_once, task.lost)
        yield from _done(client, reach, (sent, run, os.getcwd(), at_once), ledger)
        with reach():
            client.run(_forget, run)


@contextlib.contextmanager
def _reaching(scheduler: str) -> Iterator[None]:
    """Turn what goes wrong while the scheduler is asked for something into a ``UserError``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"lost the scheduler at {scheduler}") from error
    except CancelledError as error:
        is_lost = "scheduler-connection-lost" in str(error)
        raise UserError(
            f"lost the scheduler at {scheduler}"
            if is_lost
            else f"the scheduler at {scheduler} has dropped the work"
        ) from error


def _connected(scheduler: str, stack: contextlib.ExitStack) -> Any:
    import dask
    import distributed

    address = scheduler
    if scheduler.startswith("local["):
        n_workers = int(scheduler.removeprefix("local[").removesuffix("]"))
        # It is started at the latest with the first worker, and lets Ctrl-C through from then on.
        # It cleans up what this process leaves when it is killed, and need not complain of it.
        with _environment("PYTHONWARNINGS", "ignore:resource_tracker"):
            resource_tracker.ensure_running()
        # Workers would look at themselves a hundred times a second.
        unwatched = dask.config.set({"distributed.worker.profile.enabled": False})
        with unwatched, interrupts_held():
            cluster = distributed.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any port that is free
                silence_logs=logging.CRITICAL,
            )
        stack.callback(cluster.close)
        address = cluster.scheduler_address
    try:
        client = distributed.Client(
            address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="pyimagesearch"
        )
        stack.callback(client.close, timeout=2)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no scheduler can be reached at {scheduler}: {str(error).splitlines()[0]}"
        ) from error
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_WORKERS)
    except TimeoutError as error:
        raise UserError(
            f"the scheduler at {scheduler} has had no workers for {SECONDS_FOR_WORKERS} s"
        ) from error
    with _reaching(scheduler):
        # Without the toolkit a worker would fail to read the work, and Dask hand it out for ever.
        found = client.run(pkgutil.resolve_name, "pyimagesearch:__version__", on_error="return")
    for worker, version in found.items():
        if version != __version__:
            has = (
                "does not have the toolkit"
                if isinstance(version, ImportError)
                else f"has {version}"
            )
            raise UserError(f"the worker at {worker} {has}: it needs version {__version__}")
    return client


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for what is started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _done(
    client: Any,
    reach: Callable[[], contextlib.AbstractContextManager],
    what: tuple[Any, ...],
    ledger: Ledger[Result],
) -> Iterator[Result]:
    from distributed import KilledWorker, as_completed

    under_way: dict[Any, Part[Result]] = {}
    completed = as_completed(loop=client.loop)
    capacity = _Capacity(client)
    try:
        while True:
            with reach():
                most = _CHUNKS_FOR_EACH_THREAD * capacity.threads()
            while part := ledger.next_part(most):
                with reach():
                    future = client.submit(_do, *what, part.items, pure=False)
                under_way[future] = part
                completed.add(future)
            if not ledger.is_open:
                return
            if ledger.has_next:
                yield from ledger.next_results()
                continue
            with reach():
                batch = completed.next_batch()
                for future in batch:
                    if future.cancelled():
                        future.result()  # raises why
                finished = [future for future in batch if future.status == "finished"]
                results = dict(zip(finished, client.gather(finished), strict=True))
                errors = {f: f.exception() for f in batch if f not in results}
            for future, found in results.items():
                ledger.done(under_way.pop(future), found)
            for future, error in errors.items():
                if not isinstance(error, KilledWorker):
                    _raise_from_afar(error)
                ledger.died(under_way.pop(future))
    finally:
        for future in under_way:
            future.release()


def _raise_from_afar(error: BaseException) -> NoReturn:
    if isinstance(error, OSError) and error.filename is not None:
        raise UserError(
            f"on a worker: {printable(os.fsdecode(error.filename))}: {error.strerror}"
        ) from error
    raise error


class _Capacity:
    """How many threads a cluster has, asked for now and then."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._n_threads = 1
        self._asked = -_SECONDS_BETWEEN_COUNTS

    def threads(self) -> int:
        if time.monotonic() - self._asked >= _SECONDS_BETWEEN_COUNTS:
            self._n_threads = max(1, sum(self._client.nthreads().values()))
            self._asked = time.monotonic()
        return self._n_threads


# --- what follows runs on the workers -----------------------------------------------------------


def _delivered(task: Task[Result]) -> Task[Result]:
    return task


# Processes of a run and a thread: a thread is given many chunks of a run.
_processes: dict[tuple[str, int], Processes] = {}
_lock = threading.Lock()


def _do(task: Task[Result], run: str, folder: str, at_once: int, items: list[str]) -> list[Result]:
    has_folder = os.path.isdir(folder)
    if not has_folder:
        for item in items:
            if not (os.path.isabs(item) or remote_files.is_url(item)):
                raise UserError(
                    f"a worker has no folder {printable(folder)}, where {printable(item)} should "
                    "be: give whole paths of a storage that all workers reach"
                )
    key = (run, threading.get_ident())
    with _lock:
        processes = _processes.get(key)
    if processes is None:
        # Dask's nannies start workers that may have no children, which would outlive them if they
        # were killed; these end when the pipe to them closes.
        multiprocessing.current_process().daemon = False
        processes = Processes(task, 1, at_once, folder if has_folder else None)
        with _lock:
            _processes[key] = processes
            runs = list(dict.fromkeys(kept for kept, _ in _processes))
        # Runs whose own end did not come through.
        for old in runs[:-_MOST_RUNS_KEPT]:
            _forget(old)
    return list(processes.done(items))


def _forget(run: str) -> None:
    with _lock:
        ended = [_processes.pop(key) for key in list(_processes) if key[0] == run]
    for processes in ended:
        processes.close()
