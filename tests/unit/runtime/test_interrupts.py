"""Ctrl-C between two steps."""

import os
import signal
import threading
import time

import pytest

from pyimagesearch.runtime.interrupts import DeferredInterrupt


def test_ctrl_c_waits_for_the_end_of_a_step():
    before = signal.getsignal(signal.SIGINT)
    with DeferredInterrupt() as interrupt:
        interrupt.raise_if_requested()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            interrupt.raise_if_requested()
    assert signal.getsignal(signal.SIGINT) is before


def interrupt_twice():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)


def test_a_second_ctrl_c_does_not_wait():
    with DeferredInterrupt(), pytest.raises(KeyboardInterrupt):
        interrupt_twice()


def test_it_sleeps_no_longer_than_until_an_interrupt():
    with DeferredInterrupt(signal.SIGTERM) as interrupt:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        started = time.monotonic()
        interrupt.sleep(30)
    assert time.monotonic() - started < 10


def test_in_a_thread_it_changes_nothing():
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def work():
        with DeferredInterrupt() as interrupt:
            interrupt.raise_if_requested()
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
