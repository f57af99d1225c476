"""Run a command for each alarm while the work goes on."""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any, Self

from pyimagesearch.runtime import system
from pyimagesearch.runtime.console import UserError, printable, warn

PLACE = "{}"
SECONDS_FOR_ONE = 60.0
SECONDS_AT_THE_END = 10.0
MOST_WAITING = 100
# Programs that run what they are given: the first word that is not an option, or what follows one
# of the options of code.
_INTERPRETERS = frozenset(
    """
    sh bash rbash dash ash zsh ksh mksh yash csh tcsh fish nu xonsh elvish busybox cmd powershell
    pwsh python pypy ipython perl ruby node deno bun php lua luajit julia awk gawk mawk nawk sed
    tclsh expect R Rscript osascript su runuser sg script psql mysql mariadb make gdb
    env nohup timeout nice ionice chrt taskset setsid sudo doas time stdbuf chroot unshare flock
    strace ltrace xargs parallel watch entr
    """.split()
)
# Those that run or interpret any of their words.
_OF_ANY_WORD = frozenset("ssh rsh mosh sqlite".split())
_CODE_FLAG = re.compile(r"-[A-Za-z]{0,4}[ceEpr]|/[cCkK]")  # such as -c, -lc, -e
_CODE_OPTIONS = ("--eval", "--command", "--execute", "--print", "-Command", "-ex", "eval")
_WITH_A_WORD = ("-o", "-O", "+o", "+O")  # options of shells that take the next word
_SETTING = re.compile(
    r"[-+].*|/\w|\w+=.*|[\d.:]+[a-z]?", re.DOTALL
)  # options, variables, durations


@dataclass(frozen=True)
class _Alarm:
    """What a command is run for, and what is in its environment."""

    name: str
    variables: dict[str, str]


class AlarmCommand:
    """Runs a command for each alarm that is reported, one after another; use it as a context.

    No shell is involved and a name stays one argument, whatever it is made of. A command that
    takes longer than ``SECONDS_FOR_ONE`` is ended. At most ``MOST_WAITING`` alarms wait for
    theirs, then whoever reports one waits, too. At the end all get ``SECONDS_AT_THE_END``. What
    goes wrong is a warning.

    Args:
        option: by which the user gave the command, such as ``--on-anomaly``.
        command: words as in a shell; ``{}`` stands for the name of what is reported: an image, or
            a time. What the command prints goes to stderr.
        variable: of its environment in which it finds that name, too.

    Raises:
        UserError: there is no such command.
    """

    def __init__(self, option: str, command: str, variable: str) -> None:
        self._option, self._variable = option, variable
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UserError(f"{option} {command}: {error}") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise UserError(f"{option} {command}: there is no such command")
        if any(PLACE in word and word != PLACE for word in self._words):
            raise UserError(
                f"{option} {command}: {PLACE} must be a word of its own, since a program that "
                f'reads a longer one could run the name; in a script write "${variable}"'
            )
        if _runs_the_name(self._words):
            raise UserError(
                f"{option} {command}: what {PLACE} stands for would be run as a program; write "
                f'"${variable}" into the program instead'
            )
        self._waiting: queue.Queue[_Alarm | None] = queue.Queue(MOST_WAITING)
        self._running: subprocess.Popen | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run_all, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def report(self, name: str, **variables: str) -> None:
        """Run the command, soon.

        Args:
            name: what ``{}`` stands for.
            variables: what else it finds in its environment.
        """
        self._waiting.put(_Alarm(name, {self._variable: name} | variables))

    def __exit__(self, *error: Any) -> None:
        ending = threading.Timer(SECONDS_AT_THE_END, self._give_up)
        ending.daemon = True
        ending.start()
        self._waiting.put(None)
        self._thread.join()
        ending.cancel()

    def _give_up(self) -> None:
        self._given_up = True
        if (running := self._running) is not None:
            system.end_apart(running)

    def _run_all(self) -> None:
        while (alarm := self._waiting.get()) is not None:
            outcome = "was not run any more" if self._given_up else self._run(alarm)
            if outcome is not None:
                warn(f"{printable(alarm.name)}: the command of {self._option} {outcome}")

    def _run(self, alarm: _Alarm) -> str | None:
        """Run the command for one anomaly; what went wrong, if anything did."""
        # As an argument, a name that begins with a dash would be taken for an option.
        name = os.path.join(os.curdir, alarm.name) if alarm.name[:1] == "-" else alarm.name
        try:
            # Ctrl-C does not reach it, and what it starts ends with it.
            process = self._running = subprocess.Popen(
                [name if word == PLACE else word for word in self._words],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                stderr=sys.stderr,
                env=os.environ | alarm.variables,
                **system.apart(),
            )
        except OSError as error:
            return f"could not be run ({error.strerror})"
        try:
            status = process.wait(SECONDS_FOR_ONE)
        except subprocess.TimeoutExpired:
            system.end_apart(process)
            process.wait()
            return f"took longer than {SECONDS_FOR_ONE:.0f} seconds and was ended"
        finally:
            self._running = None
        if self._given_up and status:
            return "was ended with the watch"
        return None if status == 0 else f"ended with status {status}"


def _runs_the_name(words: list[str]) -> bool:
    """Whether an interpreter would take the image's name for a program, or its content.

    Such as ``sh -c {}``, ``env bash -lc -- {}``, ``python3 -u {}``, ``timeout 5 {}``,
    ``ssh host {}``; not an argument of the program, as in ``sh -c PROGRAM sh {}``.
    """
    names = [os.path.basename(word).removesuffix(".exe").rstrip("0123456789.") for word in words]
    for place in (place for place, word in enumerate(words) if word == PLACE):
        # As in rsync -e ssh {} host:, it may be an option's value.
        if any(names[i] in _OF_ANY_WORD and words[i - 1] != "-e" for i in range(place)):
            return True
        known = [i for i in range(place) if names[i] in _INTERPRETERS]
        if not known:
            continue
        code = [i for i in range(known[0], place) if _gives_code(words[i])]
        # Behind an option of code, its first word is the program; else that of the interpreter.
        start = code[0] if code else known[-1]
        if _all_settings(words[start + 1 : place]):
            return True
    return False


def _gives_code(word: str) -> bool:
    return word in _CODE_OPTIONS or _CODE_FLAG.fullmatch(word) is not None


def _all_settings(words: list[str]) -> bool:
    """Whether none of these words is the program."""
    return all(
        _SETTING.fullmatch(word) or (i > 0 and words[i - 1] in _WITH_A_WORD)
        for i, word in enumerate(words)
    )
