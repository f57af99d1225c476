"""Where parts come from: a file, a folder, a glob, a video, a camera, a stream.

A frame has the name of its source and a time: ``parts.mp4/00:00:12.040`` by its place in the file,
``camera:0/2026-11-29T14:03:05.123Z`` by the clock, in UTC. What may be secret in a URL is masked.
"""

from __future__ import annotations

import errno
import functools
import glob
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pyimagesearch.data import images, videos
from pyimagesearch.data.videos import Every, LiveFrames, VideoError
from pyimagesearch.line.judging import Part
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.console import UserError, info, printable, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt

DEFAULT_EVERY = Every(seconds=1.0)
_CAMERA = re.compile(r"camera:(.*)", re.DOTALL)
_ALWAYS_STREAMS = re.compile(r"(rtsp|rtsps|rtmp|rtmps|rtp|udp|tcp|srt)://", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_STREAM_TYPES = re.compile(r"multipart/x-mixed-replace|application/(x-mpegurl|vnd\.apple\.mpegurl)")
_CAMERA_NAMES = (".mjpg", ".mjpeg")  # which cameras give their streams, too
_SECONDS_FOR_TYPE = 10.0
# Before the first try to reach a lost source again, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_VALUE = re.compile(r"([?&;/][^?&;/=]*=)([^?&;/#]*)")
_HARMLESS = re.compile(r"\d{0,2}")  # the number of a channel
_MASK = "***"


@dataclass(frozen=True)
class LiveSource:
    """A camera or a stream.

    Attributes:
        name: as it stands in names and messages, without secrets.
        address: the number of a camera, or a URL.
    """

    name: str
    address: int | str

    def parts(
        self,
        every: Every,
        interrupt: DeferredInterrupt,
        on_change: Callable[[bool], None] = lambda _: None,
        waits: bool = False,
    ) -> Iterator[Part]:
        """Yield frames as they come, until an interrupt is requested.

        A source that is lost is tried again after 1, 2, 4 ... 30 seconds; a warning says so once.

        Args:
            every: which frames are taken.
            interrupt: that ends it.
            on_change: called when the source is there, and when it is lost.
            waits: whether one that is not there from the beginning is waited for, too.

        Raises:
            UserError: there is not even a first frame, and none is waited for.
        """
        pause, has_frames, is_lost = _FIRST_PAUSE, False, False
        while not interrupt.requested:
            try:
                for part in self._until_lost(every, interrupt):
                    if is_lost:
                        info(f"{printable(self.name)} is there again")
                    if is_lost or not has_frames:
                        on_change(True)
                    pause, has_frames, is_lost = _FIRST_PAUSE, True, False
                    yield part
            except VideoError as error:
                if not (has_frames or waits):
                    raise UserError(f"{printable(self.name)}: {error}") from error
                if not is_lost:
                    on_change(False)
                    warn(f"{printable(self.name)}: {error}; it is waited for")
                is_lost = True
                interrupt.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _until_lost(self, every: Every, interrupt: DeferredInterrupt) -> Iterator[Part]:
        due = time.monotonic()
        with LiveFrames(self.address, every) as frames:
            while True:
                interrupt.sleep(due - time.monotonic())
                if interrupt.requested:
                    return
                frame = frames.next()
                if every.seconds is not None:
                    due = max(due + every.seconds, time.monotonic())
                yield Part(f"{self.name}/{_clock(frame.time)}", frame.image)


def live_source(text: str, is_watched: bool = False) -> LiveSource | None:
    """The camera or stream that a text names, or None where it names none.

    Whether a web address is a stream, its server says: it is asked where the name is no image's
    or video's.

    Args:
        text: such as ``camera:0``, ``rtsp://...`` or ``http://.../mjpeg``.
        is_watched: whether images are waited for, so that a web address can only be a stream.

    Raises:
        UserError: a camera without a number.
    """
    if (camera := _CAMERA.fullmatch(text)) and not os.path.lexists(text):
        if not re.fullmatch(r"[0-9]{1,3}", camera[1]):
            raise UserError(f"{printable(text)}: cameras are numbered, from camera:0 on")
        return LiveSource(text, int(camera[1]))
    is_stream = _ALWAYS_STREAMS.match(text) is not None
    if _WEB.match(text):
        is_stream = not _names_web_file(text) if is_watched else _is_web_stream(text)
    if is_stream:
        return LiveSource(masked(text), text)
    return None


@functools.lru_cache
def _is_web_stream(url: str) -> bool:
    if _names_web_file(url):
        return False
    if "@" in url:  # the decoder sends the password, nobody else here does
        return True
    import urllib.request  # 20 ms that only web addresses should pay

    try:
        with urllib.request.urlopen(url, timeout=_SECONDS_FOR_TYPE) as answer:
            kind, has_end = answer.headers.get_content_type(), "Content-Length" in answer.headers
            is_video = kind.startswith("video/") and not has_end
            return is_video or _STREAM_TYPES.fullmatch(kind) is not None
    except (OSError, ValueError):  # whoever reads the URL will say what is wrong with it
        return False


def _names_web_file(url: str) -> bool:
    path = url.partition("?")[0].lower()
    is_file = images.has_image_name(path) or videos.has_video_name(path)
    return is_file and not path.endswith(_CAMERA_NAMES)


def masked(url: str) -> str:
    """A URL without what may be secret: user and password, and all values but short numbers.

    >>> masked("rtsp://operator:secret@10.0.0.7/stream?channel=1&key=1234")
    'rtsp://***@10.0.0.7/stream?channel=1&key=***'
    """
    if not remote_files.is_url(url):
        return url
    scheme, _, rest = url.partition("://")
    *secret, rest = rest.rpartition("@")
    if any(secret):
        rest = f"{_MASK}@{rest}"

    def mask(value: re.Match[str]) -> str:
        return value[1] + (value[2] if _HARMLESS.fullmatch(value[2]) else _MASK)

    return f"{scheme}://{_VALUE.sub(mask, rest)}"


def is_video(text: str) -> bool:
    """Whether a text names a video file, here or at a URL."""
    return videos.has_video_name(text) and not os.path.isdir(text)


def is_glob(text: str) -> bool:
    """Whether a text is a pattern of names, and not itself the name of anything."""
    return glob.has_magic(text) and not remote_files.is_url(text) and not os.path.lexists(text)


def is_several(text: str) -> bool:
    """Whether a text names what may hold many images: anything but an image file."""
    is_pattern_or_video = is_glob(text) or is_video(text) or live_source(text) is not None
    return is_pattern_or_video or images.is_folder(text)


def is_there(text: str) -> bool:
    """Whether a text names a file or folder that exists; of all else that is found out later."""
    there = os.path.exists(text) or remote_files.is_url(text)
    return there or is_glob(text) or live_source(text) is not None


def expanded(pattern: str) -> list[str]:
    """What a pattern matches, in the order of the names' bytes; hidden files only if it says so.

    Raises:
        FileNotFoundError: nothing.
    """
    found = sorted(glob.iglob(pattern, recursive=True), key=os.fsencode)
    if not found:
        raise FileNotFoundError(errno.ENOENT, "nothing matches this pattern", pattern)
    return found


def video_parts(path: str, every: Every) -> Iterator[Part]:
    """Yield frames of a video file, the same ones each time.

    Args:
        path: of the file, or a URL, whose content is fetched first.
        every: which frames are taken.

    Raises:
        VideoError: as of ``videos.read_video``.
    """
    if not remote_files.is_url(path):
        yield from _named_by_position(path, path, every)
        return
    with tempfile.NamedTemporaryFile() as file:
        try:
            file.write(images.read_bytes(path))
        except images.ImageError as error:
            raise VideoError(str(error)) from error
        file.flush()
        yield from _named_by_position(masked(path), file.name, every)


def _named_by_position(name: str, path: str, every: Every) -> Iterator[Part]:
    before = -1
    for frame in videos.read_video(path, every):
        # Where a file claims no times, or more than a thousand frames a second.
        before = max(round(1000 * frame.time), before + 1)
        yield Part(f"{name}/{_position(before)}", frame.image)


def open_source(
    text: str,
    every: Every = DEFAULT_EVERY,
    interrupt: DeferredInterrupt | None = None,
    on_other: Callable[[str], None] | None = None,
) -> Iterator[Part]:
    """Yield the parts of any source: frames with their pixels, files by their names.

    Args:
        text: a file, folder, pattern, URL, video or camera.
        every: which frames are taken.
        interrupt: that ends a camera or stream; None is one of its own.
        on_other: as of ``images.list_images``.

    Raises:
        UserError: a camera that is not there.
        VideoError: as of ``video_parts``.
        OSError: a folder cannot be listed, or nothing matches a pattern.
    """
    if (live := live_source(text)) is not None:
        with interrupt or DeferredInterrupt(signal.SIGINT, signal.SIGTERM) as asked:
            yield from live.parts(every, asked)
    elif is_video(text):
        yield from video_parts(text, every)
    elif is_glob(text):
        for name in expanded(text):
            yield from open_source(name, every, on_other=on_other)
    elif images.is_folder(text):
        yield from map(Part, images.list_images(text, on_other))
    else:
        yield Part(text)


def _position(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"


def _clock(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
