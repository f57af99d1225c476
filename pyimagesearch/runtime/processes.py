"""Run a task over many items in other processes, which an item may bring down.

Each worker has a pipe of its own, so that its death shows which items it was working on and
disturbs no other. Workers that share queues and locks cannot do that: ``concurrent.futures`` gives
up everything that is pending when one dies, and other pools wait for ever for a lock that a dead
worker holds (Pebble's issue 163).

Threads would be no faster: they take 0.44 ms of CPU for an image of 256 pixels and a forest,
processes 0.47; 59 ms for one through a ResNet-18, processes 58 (``benchmarks.scaling``). So even a
single image has a process of its own.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import cv2

from pyimagesearch.runtime import console, limits, system
from pyimagesearch.runtime.console import UserError
from pyimagesearch.runtime.limits import NetworkLimitError
from pyimagesearch.runtime.ordered_queue import Chunk, OrderedQueue, Task

Result = TypeVar("Result")
# Workers that end, one after the other, before they are ready.
_MAX_STILLBORN = 3
_SECONDS_TO_END = 2.0
_JEMALLOC_THREAD = "jemalloc_bg_thd"
_MAY_FORK: ContextVar[bool] = ContextVar("_MAY_FORK", default=True)


def run_in_processes(
    task: Task[Result], items: Iterable[Any], jobs: int, chunk_size: int
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order: ``ProcessPool.run``."""
    with ProcessPool(task, jobs, chunk_size) as pool:
        yield from pool.run(items)


def call_in_process(call: Callable[[], Result]) -> Result:
    """Call a function in another process, which it may bring down, and return its result.

    Args:
        call: picklable, and so is its result.

    Raises:
        NetworkLimitError: it runs a network that takes more than it may, or ends its process.
        Exception: the function's own.
    """
    (result,) = run_in_processes(_Call(call), [""], jobs=1, chunk_size=1)
    return result


@dataclass(frozen=True)
class _Call(Generic[Result]):
    """One call of a function: a task whose item says nothing."""

    call: Callable[[], Result]

    def open(self) -> Callable[[list[str]], list[Result]]:
        return lambda items: [self.call() for _ in items]

    def lost(self, item: str) -> Result:  # noqa: ARG002
        raise NetworkLimitError("the process that tried its network ended over it")


class ProcessPool(Generic[Result]):
    """Processes that are ready to work on a task.

    Where nothing forbids it, they are forked from this one when they are needed: they have what it
    has loaded, and cost 6 ms and the memory that they write to. Where this process has threads,
    whose locks a fork would copy as they are, the workers come from a server process, and each
    takes 0.3 s of CPU to start and 60 to 200 MB. Systems without such a server start each anew.

    Args:
        task: what to do.
        jobs: number of processes; the results do not depend on it.
        chunk_size: number of items that one is given at once.
        folder: that they work in; None for this process' own.
        variables: to set in their environment.
    """

    def __init__(
        self,
        task: Task[Result],
        jobs: int,
        chunk_size: int,
        folder: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._task = task
        self._folder = folder
        self._variables = dict(variables or {})
        self._jobs = jobs
        self._chunk_size = chunk_size
        self._workers: list[_Worker[Result]] = []
        self._n_stillborn = 0
        self._has_results = False

    def __enter__(self) -> ProcessPool[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, items: Iterable[Any]) -> Iterator[Result]:
        """Yield the result for each item, in the items' order.

        At most twice as many chunks of items as there are processes are pending, however many
        there are and however slowly the results are taken. An exception of the task ends the work
        and is raised here.

        Args:
            items: taken only as fast as they are worked on.

        Raises:
            UserError: no process starts.
            NetworkLimitError: the first items end theirs, since a network takes more than it may.
        """
        try:
            yield from self._run(OrderedQueue(items, self._chunk_size, self._task.lost))
        except BaseException:
            self.close()  # they are in the middle of a chunk
            raise

    def _run(self, queue: OrderedQueue[Result]) -> Iterator[Result]:
        while True:
            self._hand_out(queue)
            if not queue.is_pending:
                return
            if queue.has_results:
                yield from queue.next_results()
                continue
            busy = {w.connection: w for w in self._workers if w.chunk is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]
                try:
                    worker.receive(queue)
                    if worker.is_ready:
                        self._n_stillborn = 0
                    self._has_results |= worker.chunk is None
                except EOFError:
                    self._remove(worker, queue)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _hand_out(self, queue: OrderedQueue[Result]) -> None:
        """Give each idle worker a chunk, and start workers while there are chunks."""
        while True:
            idle = next((worker for worker in self._workers if worker.chunk is None), None)
            if idle is None and len(self._workers) == self._jobs:
                return
            chunk = queue.next_chunk(2 * self._jobs)
            if chunk is None:
                return
            if idle is None:
                idle = _Worker(self._task, self._folder, self._variables)
                self._workers.append(idle)
            idle.send(chunk)

    def _remove(self, worker: _Worker[Result], queue: OrderedQueue[Result]) -> None:
        """Remove a worker that has died."""
        self._workers.remove(worker)
        if worker.end() == system.OUT_OF_TIME and not self._has_results:
            raise NetworkLimitError(limits.too_slow())
        if worker.is_ready:
            queue.worker_died(worker.chunk)
            return
        queue.put_back(worker.chunk)
        self._n_stillborn += 1
        if self._n_stillborn == _MAX_STILLBORN:
            raise UserError(f"{self._n_stillborn} worker processes ended before they were ready")


class _Worker(Generic[Result]):
    """A process that works on one chunk at a time.

    Attributes:
        process: the process.
        connection: to it.
        chunk: what it was given and has not finished.
        is_ready: whether it has prepared its task.
    """

    def __init__(
        self, task: Task[Result], folder: str | None, variables: Mapping[str, str]
    ) -> None:
        can_fork = system.MAY_FORK and _MAY_FORK.get() and _can_fork()
        context = multiprocessing.get_context("fork" if can_fork else system.START_METHOD)
        if context.get_start_method() == "forkserver":
            context.set_forkserver_preload([type(task).__module__])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(theirs, task, folder, variables),
            daemon=True,
        )
        with system.interrupts_held(), _main_left_out():
            self.process.start()
        theirs.close()
        self.chunk: Chunk[Result] | None = None
        self.is_ready = False

    def send(self, chunk: Chunk[Result]) -> None:
        """Give it a chunk; where it has died, ``receive`` raises."""
        self.chunk = chunk
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(chunk.items)

    def receive(self, queue: OrderedQueue[Result]) -> None:
        """Receive its next message.

        Raises:
            EOFError: it has died.
            Exception: the task's own.
        """
        try:
            kind, content = self.connection.recv()
        except ConnectionResetError as error:
            raise EOFError from error
        if kind == _RAISED:
            raise content
        if kind == _READY:
            self.is_ready = True
        elif kind == _LOGGED:
            console.handle(content)
        else:
            queue.complete(self.chunk, content)
            self.chunk = None

    def end(self) -> int:
        """End it and release what it holds; its exit status, as of ``Process.exitcode``."""
        self.process.terminate()
        self.process.join(_SECONDS_TO_END)
        self.process.kill()
        self.process.join()
        status = self.process.exitcode
        self.process.close()
        self.connection.close()
        return status


_READY, _DONE, _RAISED, _LOGGED = "ready", "done", "raised", "logged"


class _ToParent(logging.handlers.QueueHandler):
    """Sends messages to the process that the worker works for, which knows how to show them."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # it has ended, and the worker is about to
            self.queue.send((_LOGGED, record))


def _serve(
    connection: Connection, task: Task[Result], folder: str | None, variables: Mapping[str, str]
) -> None:
    """Work on chunks, in a worker, until it is ended."""
    # A file that is being written is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    system.end_with_parent()
    os.environ.update(variables)
    system.leave_no_core()  # ended at a limit, it is no crash
    cv2.setNumThreads(1)  # one image per process
    console.hand_on_messages(_ToParent(connection))
    try:
        if folder is not None:
            os.chdir(folder)
        work_on = task.open()
        connection.send((_READY, None))
        while True:
            connection.send((_DONE, work_on(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the process that it works for has ended
    except MemoryError:
        os._exit(1)  # as if the system had killed it
    except Exception as error:
        connection.send((_RAISED, _portable(error)))


def _portable(error: Exception) -> Exception:
    """The exception, or where it cannot be pickled one with the same text."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:  # whatever its own class does
        return RuntimeError("".join(traceback.format_exception(error)))


def _can_fork() -> bool:
    """Whether this process can be forked: it is known to have one thread only.

    Two kinds of others do no harm: onnxruntime's, which waits for a timer that its sessions do not
    need, and that of jemalloc, which pyarrow brings along and which knows about forks. OpenCV's own
    threads are ended: it starts others when it needs them.
    """
    n_of_opencv = cv2.getNumThreads()
    cv2.setNumThreads(1)
    cv2.setNumThreads(n_of_opencv)
    names = system.thread_names()
    if names is None:
        return False
    n_threads = len(names) - names.count(_JEMALLOC_THREAD)
    return n_threads <= 1 + ("onnxruntime" in sys.modules)


@contextlib.contextmanager
def never_forked() -> Iterator[None]:
    """Have all processes that are started come from a server process.

    For programs of others: what their libraries, or networks that were run in this process, hold
    at the moment of a fork, nobody knows, and a worker might wait for it for ever.
    """
    token = _MAY_FORK.set(False)
    try:
        yield
    finally:
        _MAY_FORK.reset(token)


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Have a process that is started not run this one's main module again.

    No task is of that module, and a program that uses the package may have no guard by ``__name__``
    around what it does.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
