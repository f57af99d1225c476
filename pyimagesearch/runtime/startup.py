"""What a script does before it imports anything that takes long, and when that is done."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from typing import TextIO


def prepare_process() -> None:
    """Make a process ready for a script, whatever started it; imports nothing that takes long.

    - Ctrl-C ends it without a traceback while it still imports what it needs. The system ends the
      process then, as it does with programs that need not import anything; ``end_of_imports``
      takes over where there is something to clean up.
    - No garbage is looked for: importing makes none, and looking takes a tenth of the time.
    - Standard streams that were closed (``>&-``) lead to nowhere. Otherwise the next file that is
      opened would take their place, and get what others print.
    - What libraries print by themselves (decoders on damaged files, onnxruntime, Qt) leads to
      nowhere, here and in every process that is started from here: it would mix with rows and
      messages. So do Python's warnings. What matters is raised, and becomes a sentence. With
      ``python -X dev`` all of it is shown.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if not sys.flags.dev_mode:
        sys.stdout = sys.__stdout__ = _set_apart(sys.stdout)
        sys.stderr = sys.__stderr__ = _set_apart(sys.stderr)
        if not sys.warnoptions:
            warnings.simplefilter("ignore")


def _set_apart(stream: TextIO) -> TextIO:
    """A stream to where this one leads, whose own descriptor leads to nowhere from now on."""
    number = stream.fileno()
    own = os.fdopen(
        os.dup(number), "w", encoding=stream.encoding, errors=stream.errors, newline="\n"
    )
    own.reconfigure(
        line_buffering=stream.line_buffering, write_through=getattr(stream, "write_through", False)
    )
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    return own


def end_of_imports() -> None:
    """Let Ctrl-C and the garbage collector do as usual; it passes over what was imported."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.freeze()
    gc.enable()
