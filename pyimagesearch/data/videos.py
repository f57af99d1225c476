"""Frames of videos, cameras and streams, decoded in a process that they may bring down or hang.

What a video may bring along is a program of its own for the decoder, and a camera may fall silent
in the middle of a frame: neither crash nor hang reaches the process that asks for frames.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import cv2
import numpy as np

from pyimagesearch.data.size_limit import ContainerError, SizeLimit
from pyimagesearch.runtime import limits, system
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.limits import limited_decoding
from pyimagesearch.runtime.processes import ProcessPool

EXTENSIONS = frozenset(
    ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .ts .m2ts .mts .wmv .flv .3gp .mjpeg .mjpg".split()
)
SECONDS_TO_WAIT = 10  # for a decoder, a camera or a network, until the next frame
_SECONDS_TO_REACH = 7  # what OpenCV itself waits for: it ends in an error, not in a process' end
# Containers that hold what they show. Others, such as playlists, have further files read.
_CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,asf,flv,mjpeg,mpjpeg"
_STREAMS = "rtsp,rtp,sdp,hls,flv,mpegts,mpjpeg,mjpeg,mov,mp4,matroska,webm,mpeg"
_PROTOCOLS = "http,https,httpproxy,tcp,tls,udp,rtp,rtcp,rtsp,rtsps,srtp,rtmp,rtmps,hls,crypto"
# A frame of which a part is missing would come half grey.
_COMMON = "fflags;discardcorrupt|rtsp_transport;tcp"
_OF_FILES = f"protocol_whitelist;file|format_whitelist;{_CONTAINERS}|{_COMMON}"
_OF_STREAMS = f"protocol_whitelist;{_PROTOCOLS}|format_whitelist;{_STREAMS}|{_COMMON}"
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # of the environment, read when a video is opened
_TOLERATED = 2  # frames: what a container says of their number may be an estimate


class VideoError(ValueError):
    """There are no frames, or no more; the text says why, without the name of the source."""


@dataclass(frozen=True)
class Every:
    """Which frames are taken; one of both is given.

    Attributes:
        seconds: one in so many seconds.
        frames: one in so many frames.
    """

    seconds: float | None = None
    frames: int | None = None

    @property
    def in_words(self) -> str:
        """Such as "all frames", "one frame in 2 s" or "one frame in 10"."""
        if self.frames is None:
            return f"one frame in {self.seconds:g} s"
        return "all frames" if self.frames == 1 else f"one frame in {self.frames:,}"


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        time: of a file the seconds from its beginning, as a decoder places them; of a camera or
            stream the time when it came, in seconds since 1970.
        image: (height, width, 3) uint8 BGR.
    """

    time: float
    image: np.ndarray


def has_video_name(path: str) -> bool:
    """Whether a file's name has the extension of a video."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def read_video(path: str, every: Every) -> Iterator[Frame]:
    """Yield frames of a file, the first one first; the same ones each time.

    Args:
        path: of the file.
        every: which are taken.

    Raises:
        VideoError: it is no video, holds no frames, or is damaged; after the frames that could be
            read.
    """
    try:
        with open_input(path) as file:
            if not file.read(1):
                raise VideoError("the file is empty")
    except OSError as error:
        raise VideoError(error.strerror or str(error)) from error
    # From the root on, so that no name looks like a protocol of the decoder's.
    reading = _Reading(os.path.abspath(path), every, is_live=False)
    n_frames = 0
    with _pool(reading) as pool, contextlib.closing(pool.run(_numbers())) as answers:
        for answer in answers:
            if not isinstance(answer, Frame):
                break
            n_frames += 1
            yield answer
    if answer.reason is not None:
        raise VideoError(answer.reason)
    if not n_frames:
        raise VideoError("there are no frames in it")


class LiveFrames:
    """The frames of a camera or a stream, as they come; use it as a context.

    What comes while nobody asks is left out, so that a frame is always a new one.

    Args:
        address: the number of a camera, or the URL of a stream.
        every: of seconds nothing is known here: whoever asks waits as long; of frames, the ones in
            between are left out.
    """

    def __init__(self, address: int | str, every: Every) -> None:
        self._reading = _Reading(address, every, is_live=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._pool = self._stack.enter_context(_pool(self._reading))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    def next(self) -> Frame:
        """The next frame, waited for.

        Raises:
            VideoError: there is none: the source cannot be reached, ended or fell silent.
        """
        (answer,) = self._pool.run([None])
        if isinstance(answer, Frame):
            return answer
        raise VideoError(answer.reason)


@dataclass(frozen=True)
class _End:
    """There is no further frame, for a reason or, of a file, since it was read to its end."""

    reason: str | None = None


def _pool(reading: _Reading) -> ProcessPool[Frame | _End]:
    return ProcessPool(reading, 1, 1, variables=limits.variables() | {_OPTIONS: reading.options})


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@dataclass(frozen=True)
class _Reading:
    """Reads frames of one source: an ``ordered_queue.Task`` whose items are their numbers.

    The number of a file's frame says where a process goes on after another one has died.
    """

    address: int | str = field(repr=False)
    every: Every
    is_live: bool

    @property
    def options(self) -> str:
        return _OF_STREAMS if self.is_live else _OF_FILES

    def open(self) -> Callable[[list[Any]], list[Frame | _End]]:
        # What decoders say of damage is not for users, and may hold the password of a stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        kind = _LiveReader if self.is_live else _FileReader
        reader = kind(self)
        return lambda numbers: [reader.read(number) for number in numbers]

    def lost(self, number: Any) -> _End:  # noqa: ARG002
        return _End("no frame in time, or its decoder crashed")

    def capture(self) -> cv2.VideoCapture:
        """Open the source.

        Raises:
            VideoError: it cannot be opened, or its frames are too large.
        """
        timeouts = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 1000 * _SECONDS_TO_REACH,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: 1000 * _SECONDS_TO_REACH,
        }
        try:
            if isinstance(self.address, int):
                capture = cv2.VideoCapture(self.address)
            else:
                settings = [value for pair in timeouts.items() for value in pair]
                capture = cv2.VideoCapture(self.address, cv2.CAP_FFMPEG, settings)
        except UnicodeEncodeError as error:
            raise VideoError("videos whose names are no UTF-8 are not read") from error
        except cv2.error as error:
            raise VideoError("its decoder fails") from error
        if not capture.isOpened():
            raise VideoError(self._why_closed())
        width, height = (
            int(capture.get(name)) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        try:
            SizeLimit.in_force().check(width, height)
        except ContainerError as error:
            raise VideoError(str(error)) from error
        return capture

    def _why_closed(self) -> str:
        if isinstance(self.address, int):
            return "no such camera, or another program uses it"
        if self.is_live:
            return "it cannot be reached, or sends no video"
        return "not a video that can be read, or a damaged one"


@contextlib.contextmanager
def _in_bounds() -> Iterator[None]:
    """Limit the time and the memory of a decoder: beyond, this process ends, or it gets no more."""
    with system.ended_after(SECONDS_TO_WAIT), limited_decoding():
        yield


def _retrieve(capture: cv2.VideoCapture) -> np.ndarray:
    """The frame that was grabbed: (height, width, 3) uint8 BGR.

    Raises:
        VideoError: it cannot be decoded.
    """
    try:
        is_there, image = capture.retrieve()
    except cv2.error as error:
        raise VideoError("its decoder fails") from error
    if not is_there or image is None or not image.size:
        raise VideoError("a frame of it cannot be decoded")
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image


class _FileReader:
    """Takes frames out of a file, one after the other."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading
        self._capture: cv2.VideoCapture | None = None
        self._n_taken = self._n_grabbed = 0
        self._due = 0.0  # the time from which on a frame is the next one

    def read(self, number: int) -> Frame | _End:
        """A frame by its number among those that are taken; no earlier one than before."""
        try:
            with _in_bounds():
                if self._capture is None:
                    self._capture = self._reading.capture()
            while self._n_taken < number:
                if self._take() is None:
                    return self._end()
            time = self._take()
            if time is None:
                return self._end()
            with _in_bounds():
                return Frame(time, _retrieve(self._capture))
        except VideoError as error:
            return _End(str(error))

    def _take(self) -> float | None:
        """Go to the next frame that is taken; its time in seconds, or None at the end."""
        every = self._reading.every
        while True:
            with _in_bounds():
                if not self._capture.grab():
                    return None
            self._n_grabbed += 1
            time = max(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, 0.0)
            if every.frames is not None:
                is_due = (self._n_grabbed - 1) % every.frames == 0
            else:
                is_due = time >= self._due
            if is_due:
                if every.seconds is not None:
                    # Of whole periods, so that no error adds up; half a millisecond for rounding.
                    self._due = (math.floor((time + 5e-4) / every.seconds) + 1) * every.seconds
                    self._due -= 5e-4
                self._n_taken += 1
                return time

    def _end(self) -> _End:
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        n_missing = promised - self._n_grabbed
        if 0 < promised < 2**31 and n_missing > max(_TOLERATED, promised / 100):
            return _End(f"damaged or cut: {self._n_grabbed:,} of {int(promised):,} frames")
        return _End()


class _LiveReader:
    """Grabs all frames of a camera or a stream, and hands over a new one when it is asked."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading
        self._every = reading.every.frames or 1
        self._changed = threading.Condition()
        self._is_wanted = False
        self._answer: Frame | _End | None = None
        self._thread: threading.Thread | None = None

    def read(self, _: object) -> Frame | _End:
        """The next frame."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        with self._changed:
            self._is_wanted = True
            while self._answer is None:
                self._changed.wait()
            answer = self._answer
            if isinstance(answer, Frame):
                self._answer = None
        return answer

    def _work(self) -> None:
        try:
            self._grab_all()
        except VideoError as error:
            end = _End(str(error))
        except Exception as error:  # whoever waits must be told, of whatever
            end = _End(f"its decoder fails ({error})")
        with self._changed:
            self._answer = end
            self._changed.notify_all()

    def _grab_all(self) -> None:
        with _in_bounds():
            capture = self._reading.capture()
        n_grabbed, next_number = 0, 1
        while True:
            with _in_bounds():
                if not capture.grab():
                    raise VideoError("it ended, or was interrupted")
            n_grabbed += 1
            if not self._is_wanted or n_grabbed < next_number:
                continue
            time = datetime.now(UTC).timestamp()
            with _in_bounds():
                frame = Frame(time, _retrieve(capture))
            next_number = n_grabbed + self._every
            with self._changed:
                self._is_wanted, self._answer = False, frame
                self._changed.notify_all()
