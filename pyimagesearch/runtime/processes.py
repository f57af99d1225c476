"""Do the same thing to many items in other processes, which an item may bring down.

Each worker has a pipe of its own, so that its death tells which items it was at and disturbs no
other. A pool whose workers share queues and locks cannot do that: ``concurrent.futures`` gives up
all that is under way when one dies, and a pool goes on waiting for ever for a lock that a worker
died with (Pebble's issue 163).

Threads would be no faster: they take 0.44 ms of CPU for an image of 256 pixels and a forest,
processes 0.47; 59 ms for one through a ResNet-18, processes 58 (``benchmarks.scaling``). So there
is no number of images from which on processes are worth it: a single one has its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

import cv2

from pyimagesearch.runtime.console import UserError
from pyimagesearch.runtime.ordered_queue import Ledger, Part, Task

Result = TypeVar("Result")
# Workers that end, one after the other, before they are ready.
_MOST_STILLBORN = 3
_SECONDS_TO_END = 2.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


def done_in_processes(
    task: Task[Result], items: Iterable[str], jobs: int, at_once: int
) -> Iterator[Result]:
    """Yield the result of a task for each item, in the items' order: ``Processes.done``."""
    with Processes(task, jobs, at_once) as processes:
        yield from processes.done(items)


class Processes(Generic[Result]):
    """Processes that are ready for a task.

    Where nothing forbids it, they are forked from this one when they are needed: they have what it
    has loaded, and cost 6 ms and the memory that they write to. Where it has threads, whose locks
    a fork would copy as they are, they come from a server process, and each takes 0.3 s of CPU to
    start and 60 to 200 MB.

    Args:
        task: what to do.
        jobs: number of processes; the results do not depend on it.
        at_once: number of items that one is given.
        folder: that they work in; None takes this process' own.
    """

    def __init__(
        self, task: Task[Result], jobs: int, at_once: int, folder: str | None = None
    ) -> None:
        self._task = task
        self._folder = folder
        self._jobs = jobs
        self._at_once = at_once
        self._workers: list[_Worker] = []
        self._n_stillborn = 0

    def __enter__(self) -> Processes[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def done(self, items: Iterable[str]) -> Iterator[Result]:
        """Yield the result for each item, in the items' order.

        At most twice as many chunks of items as there are processes are under way, however many
        there are and however slowly the results are taken. An exception of the task ends the work
        and is raised here.

        Args:
            items: taken only as fast as they are worked on.

        Raises:
            UserError: no process comes up.
        """
        try:
            yield from self._done(Ledger(items, self._at_once, self._task.lost))
        except BaseException:
            self.close()  # they are in the middle of something
            raise

    def _done(self, ledger: Ledger[Result]) -> Iterator[Result]:
        while True:
            self._hand_out(ledger)
            if not ledger.is_open:
                return
            if ledger.has_next:
                yield from ledger.next_results()
                continue
            busy = {w.connection: w for w in self._workers if w.part is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]
                try:
                    worker.hear(ledger)
                    self._n_stillborn = 0
                except EOFError:
                    self._bury(worker, ledger)

    def close(self) -> None:
        """End them."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _hand_out(self, ledger: Ledger[Result]) -> None:
        """Give each idle worker a part, and start workers while there are parts."""
        while True:
            idle = next((worker for worker in self._workers if worker.part is None), None)
            if idle is None and len(self._workers) == self._jobs:
                return
            part = ledger.next_part(2 * self._jobs)
            if part is None:
                return
            if idle is None:
                idle = _Worker(self._task, self._folder)
                self._workers.append(idle)
            idle.give(part)

    def _bury(self, worker: _Worker, ledger: Ledger[Result]) -> None:
        self._workers.remove(worker)
        worker.end()
        if worker.is_ready:
            ledger.died(worker.part)
            return
        ledger.put_back(worker.part)
        self._n_stillborn += 1
        if self._n_stillborn == _MOST_STILLBORN:
            raise UserError(
                f"{self._n_stillborn} worker processes ended before they had done anything"
            )


class _Worker:
    """A process that does parts, one at a time.

    Attributes:
        process: it.
        connection: to it.
        part: what it was given and has not done yet.
        is_ready: whether it has come as far as doing it.
    """

    def __init__(self, task: Task, folder: str | None) -> None:
        forked = _is_alone()
        context = multiprocessing.get_context("fork" if forked else "forkserver")
        if not forked:
            context.set_forkserver_preload([type(task).__module__])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(theirs, task, folder),
            daemon=True,
        )
        with interrupts_held():
            self.process.start()
        theirs.close()
        self.part: Part | None = None
        self.is_ready = False

    def give(self, part: Part) -> None:
        self.part = part
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then hear() tells
            self.connection.send(part.items)

    def hear(self, ledger: Ledger) -> None:
        """Take what it says.

        Raises:
            EOFError: it has died.
            Exception: the task's own.
        """
        try:
            kind, said = self.connection.recv()
        except ConnectionResetError as error:
            raise EOFError from error
        if kind == _RAISED:
            raise said
        if kind == _READY:
            self.is_ready = True
        else:
            ledger.done(self.part, said)
            self.part = None

    def end(self) -> None:
        """End it and forget it."""
        self.process.terminate()
        self.process.join(_SECONDS_TO_END)
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


_READY, _DONE, _RAISED = "ready", "done", "raised"


def _serve(connection: Connection, task: Task, folder: str | None) -> None:
    """What a worker does until it is ended."""
    # A file that is being written is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    cv2.setNumThreads(1)  # one picture a process
    try:
        if folder is not None:
            os.chdir(folder)
        do = task.open()
        connection.send((_READY, None))
        while True:
            connection.send((_DONE, do(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more
    except MemoryError:
        os._exit(1)  # as if the system had killed it
    except Exception as error:
        connection.send((_RAISED, _portable(error)))


def _portable(error: Exception) -> Exception:
    """The exception, or where it cannot travel one that says the same."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:  # whatever its own class does
        return RuntimeError("".join(traceback.format_exception(error)))


def _is_alone() -> bool:
    """Whether this process can be forked: it has one thread, and that can be known.

    onnxruntime has a thread that waits for a timer, which its sessions do not need.
    """
    try:
        n_threads = len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return False
    return n_threads <= 1 + ("onnxruntime" in sys.modules)


def _end_with_parent() -> None:
    """Have this process end when the one that it works for does, however that comes."""
    parent = multiprocessing.parent_process()
    if os.getppid() == parent.pid:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Where a server started this one, the system knows nothing of it, and the server lives as long
    # as any of its processes. Or the parent has ended before that.
    if os.getppid() != parent.pid:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C until later, and from processes that are started meanwhile for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
