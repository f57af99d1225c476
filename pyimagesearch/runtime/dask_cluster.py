"""Run a task over many items on a cluster, through Dask's scheduler.

Paths go out in chunks and results come back; images are read by the workers. Each worker has a
process of its own for the items, so that an item which brings that down costs the cluster nothing.
What Dask itself sees die are machines, whose chunks it gives to others.
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
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pyimagesearch import __version__
from pyimagesearch.runtime import limits, packages, remote_files, system
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.dask_security import (
    SECONDS_TO_CONNECT,
    check_scheduler,
    configured_security,
    temporary_security,
)
from pyimagesearch.runtime.ordered_queue import Chunk, OrderedQueue, Task
from pyimagesearch.runtime.processes import ProcessPool

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")
# The scheduler takes about a millisecond for each chunk, so that larger ones go to a cluster.
_CHUNK_FACTOR = 4
# One that is worked on, one that is there when it is finished, and as many again whose results
# wait for earlier ones.
_CHUNKS_PER_THREAD = 4
SECONDS_FOR_WORKERS = 60
_SECONDS_BETWEEN_COUNTS = 5.0
_MAX_RUNS_KEPT = 2


def run_on_cluster(
    task: Task[Result], items: Iterable[str], scheduler: str, chunk_size: int
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order.

    At most four chunks per thread of the workers are pending, however many items there are;
    workers may join and leave. A chunk whose machine is lost time after time is tried again item
    by item.

    Args:
        task: what to do; the files that it names must be reachable from the workers.
        items: taken only as fast as they are worked on. Relative paths are relative to this
            process' working folder.
        scheduler: address of a Dask scheduler; or ``local[N]``, which starts one with N workers,
            which other users of this machine cannot reach.
        chunk_size: number of items that a worker's process is given at once; a chunk of the
            cluster has four times as many.

    Raises:
        UserError: the package is missing, certificates are missing or not accepted, or the
            scheduler or workers cannot be reached or are lost.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--scheduler needs the package distributed ({error}): "
            f"{packages.install_line('cluster')}"
        ) from error
    # Dask, asyncio and tornado log with tracebacks what is reported here in sentences.
    _silence("distributed", "asyncio", "tornado")
    with contextlib.ExitStack() as stack:
        client = _connect(scheduler, stack)
        run = uuid.uuid4().hex
        with warnings.catch_warnings():
            # A task may hold a network: the scheduler keeps it, and each worker gets it once.
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            sent = client.submit(_identity, task, key=f"task-{run}")
        translated = functools.partial(_translated_errors, scheduler)
        with translated():
            error = sent.exception()
        if error is not None:
            raise UserError(
                f"the cluster at {scheduler} cannot accept the work: its scheduler needs this "
                f"version of the toolkit, too ({str(error).splitlines()[0]})"
            ) from error
        queue = OrderedQueue(items, _CHUNK_FACTOR * chunk_size, task.lost)
        yield from _run(
            client, translated, (sent, run, os.getcwd(), limits.variables(), chunk_size), queue
        )
        with translated():
            client.run(_forget, run)


def _silence(*packages: str) -> None:
    """Have packages log nothing, whatever level they have given to some of their loggers."""
    for name in (*packages, *logging.root.manager.loggerDict):
        if name.partition(".")[0] in packages:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextlib.contextmanager
def _translated_errors(scheduler: str) -> Iterator[None]:
    """Translate the errors of a request to the scheduler into a ``UserError``."""
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


def _connect(scheduler: str, stack: contextlib.ExitStack) -> Client:
    import dask
    import distributed

    address = scheduler
    is_local = scheduler.startswith("local[")
    security = temporary_security() if is_local else configured_security(scheduler)
    if is_local:
        n_workers = int(scheduler.removeprefix("local[").removesuffix("]"))
        # Python's resource tracker would be started with the first worker, and let Ctrl-C through
        # from then on. It cleans up what this process leaves when it is killed, without warnings.
        with _environment("PYTHONWARNINGS", "ignore:resource_tracker"):
            system.ensure_resource_tracker()
        # Workers would profile themselves a hundred times a second.
        unprofiled = dask.config.set({"distributed.worker.profile.enabled": False})
        with unprofiled, system.interrupts_held():
            cluster = distributed.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any free port
                silence_logs=logging.CRITICAL,
                security=security,
            )
        stack.callback(cluster.close)
        address = cluster.scheduler_address
    else:
        check_scheduler(scheduler, security)
    try:
        client = distributed.Client(
            address,
            timeout=SECONDS_TO_CONNECT,
            set_as_default=False,
            name="pyimagesearch",
            security=security,
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
    with _translated_errors(scheduler):
        # A worker without the toolkit would fail to unpickle the task, and Dask would hand it out
        # for ever.
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
    """Set an environment variable for processes that are started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _run(
    client: Client,
    translated: Callable[[], contextlib.AbstractContextManager[None]],
    arguments: tuple[Future, str, str, dict[str, str], int],
    queue: OrderedQueue[Result],
) -> Iterator[Result]:
    from distributed import KilledWorker, as_completed

    pending: dict[Future, Chunk[Result]] = {}
    completed = as_completed(loop=client.loop)
    capacity = _Capacity(client)
    try:
        while True:
            with translated():
                limit = _CHUNKS_PER_THREAD * capacity.threads()
            while chunk := queue.next_chunk(limit):
                with translated():
                    future = client.submit(_work_on, *arguments, chunk.items, pure=False)
                pending[future] = chunk
                completed.add(future)
            if not queue.is_pending:
                return
            if queue.has_results:
                yield from queue.next_results()
                continue
            with translated():
                batch = completed.next_batch()
                for future in batch:
                    if future.cancelled():
                        future.result()  # raises the reason
                finished = [future for future in batch if future.status == "finished"]
                results = dict(zip(finished, client.gather(finished), strict=True))
                errors = {f: f.exception() for f in batch if f not in results}
            for future, found in results.items():
                queue.complete(pending.pop(future), found)
            for future, error in errors.items():
                if not isinstance(error, KilledWorker):
                    _raise_on_behalf_of_worker(error)
                queue.worker_died(pending.pop(future))
    finally:
        for future in pending:
            future.release()


def _raise_on_behalf_of_worker(error: BaseException) -> NoReturn:
    if isinstance(error, OSError) and error.filename is not None:
        raise UserError(
            f"on a worker: {printable(os.fsdecode(error.filename))}: {error.strerror}"
        ) from error
    raise error


class _Capacity:
    """How many threads a cluster has, asked for every few seconds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._n_threads = 1
        self._asked = -_SECONDS_BETWEEN_COUNTS

    def threads(self) -> int:
        if time.monotonic() - self._asked >= _SECONDS_BETWEEN_COUNTS:
            self._n_threads = max(1, sum(self._client.nthreads().values()))
            self._asked = time.monotonic()
        return self._n_threads


# What follows runs on the workers.
def _identity(task: Task[Result]) -> Task[Result]:
    return task


# Dask hands a worker functions and arguments only, so that what outlives a chunk is kept by the
# module: the pool of each run and thread.
_pools: dict[tuple[str, int], ProcessPool] = {}
_lock = threading.Lock()


def _work_on(
    task: Task[Result],
    run: str,
    folder: str,
    variables: dict[str, str],
    chunk_size: int,
    items: list[str],
) -> list[Result]:
    has_folder = os.path.isdir(folder)
    if not has_folder:
        for item in items:
            if not (os.path.isabs(item) or remote_files.is_url(item)):
                raise UserError(
                    f"a worker has no folder {printable(folder)} with {printable(item)} in it: "
                    "give absolute paths on a storage that all workers can reach"
                )
    key = (run, threading.get_ident())
    with _lock:
        pool = _pools.get(key)
    if pool is None:
        # Dask's nannies start workers as daemons, which may have no children, since these would
        # outlive a worker that is killed; a pool's processes end when the pipe to them closes.
        multiprocessing.current_process().daemon = False
        pool = ProcessPool(task, 1, chunk_size, folder if has_folder else None, variables)
        with _lock:
            _pools[key] = pool
            runs = list(dict.fromkeys(kept for kept, _ in _pools))
        # Runs whose end was not reported to this worker.
        for old in runs[:-_MAX_RUNS_KEPT]:
            _forget(old)
    return list(pool.run(items))


def _forget(run: str) -> None:
    with _lock:
        ended = [_pools.pop(key) for key in list(_pools) if key[0] == run]
    for pool in ended:
        pool.close()
