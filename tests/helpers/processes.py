"""Processes that come and go."""

import contextlib
import os
import time
import uuid
from pathlib import Path

_MARK = "ANOMALY_TEST_MARK"


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to that in 40 seconds")


def marked_environment():
    """This process' environment with a mark, which all processes that get it hand on."""
    mark = uuid.uuid4().hex
    return mark, {**os.environ, _MARK: mark}


def running_with(mark):
    """The command lines of the processes that run with a mark, whoever started them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in (folder / "environ").read_bytes() and is_running(folder.name):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append(line.decode(errors="backslashreplace"))
    return found
