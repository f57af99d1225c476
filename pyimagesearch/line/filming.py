"""Has a service judge the frames of cameras and streams, next to the images that it is sent."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Self

from pyimagesearch.data.videos import Every
from pyimagesearch.line.judging import OverloadError
from pyimagesearch.line.service import Service
from pyimagesearch.line.sources import LiveSource
from pyimagesearch.runtime.console import UserError, info, printable, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt


class Filming:
    """Films while the context lasts; a source that is not there is waited for.

    Args:
        service: that judges.
        sources: each has a thread of its own.
        every: which frames are taken.
    """

    def __init__(self, service: Service, sources: Sequence[LiveSource], every: Every) -> None:
        self._service, self._every = service, every
        self._interrupt = DeferredInterrupt()  # not entered: it has no signals, and is requested
        self._threads = [
            threading.Thread(target=self._film, args=(source,), daemon=True) for source in sources
        ]
        self._names = [source.name for source in sources]

    def __enter__(self) -> Self:
        for name, thread in zip(self._names, self._threads, strict=True):
            info(f"watching {printable(name)}")
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupt.requested = True
        for thread in self._threads:
            thread.join()

    def _film(self, source: LiveSource) -> None:
        note = functools.partial(self._service.station.note_source, source.name)
        name, is_judged = printable(source.name), True
        for part in source.parts(self._every, self._interrupt, note, waits=True):
            try:
                (future,) = self._service.submit([part])
                self._service.record([future.result()], source.name)
            except OverloadError:  # by requests: there will be other frames
                continue
            except (UserError, OSError) as error:
                if is_judged:
                    warn(f"{name}: frames cannot be judged or recorded: {error}")
                is_judged = False
            else:
                is_judged = True
