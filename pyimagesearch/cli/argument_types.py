"""Types of argparse: each turns the text of an option into its value, or says why it cannot."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from pyimagesearch.data.videos import Every
from pyimagesearch.labelling import thresholds
from pyimagesearch.runtime.limits import MOST_PIXELS

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_MOST_CLASSES = 30
_MOST_SECONDS = 366 * _SECONDS["d"]
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number, at least ``least`` and, where that is given, at most ``most``."""
    limits = f"from {least} up" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {limits}")
        return number

    return parse


def share(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return number


def share_or_zero(text: str) -> float:
    """A number from 0 to 1, the latter excluded."""
    with contextlib.suppress(ValueError):
        if float(text) == 0:
            return 0.0
    return share(text)


def class_names(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once, such as scratch,dent."""
    names = tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    if not names or len(names) > _MOST_CLASSES or not all(map(str.isprintable, names)):
        raise argparse.ArgumentTypeError(
            f"{text!r} are not 1 to {_MOST_CLASSES} names with commas between them"
        )
    return names


def any_share(text: str) -> float:
    """A number from 0 to 1."""
    with contextlib.suppress(ValueError):
        if float(text) == 1:
            return 1.0
    return share_or_zero(text)


def memory_size(text: str) -> int:
    """A number of bytes, such as 2GB or 500M."""
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = number[-1:] if number[-1:] in "kmgt" else ""
    try:
        size = float(number.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        size = math.nan
    if not 1024**2 <= size < 2**60:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an amount of memory such as 2GB or 500MB"
        )
    return int(size)


def duration(text: str) -> float:
    """A number of seconds, such as 90s, 10m, 1h or 1d."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration such as 90s, 10m, 1h or 1d, at most a year"
        )
    return seconds


def every(text: str) -> Every:
    """One frame in so many seconds, such as 2s, or in so many frames, such as 10."""
    if re.fullmatch(r"[1-9]\d{0,8}", text):
        return Every(frames=int(text))
    try:
        return Every(seconds=duration(text))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a duration such as 0.5s or 1m nor a number of frames"
        ) from error


def moment(text: str) -> datetime:
    """A time, such as 2026-11-29T06:00, or how long ago it was, such as 8h."""
    with contextlib.suppress(argparse.ArgumentTypeError):
        return datetime.now().astimezone() - timedelta(seconds=duration(text))
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromisoformat(text).astimezone()
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a time such as 2026-11-29T06:00, nor how long ago, such as 8h or 7d"
    )


def pixel_count(text: str) -> int:
    """A number of pixels, such as 200M or 200000000."""
    number = re.fullmatch(r"(\d{1,10})([kKmM]?)", text)
    thousands = {"": 0, "k": 1, "m": 2}
    n_pixels = int(number[1]) * 1000 ** thousands[number[2].lower()] if number else 0
    if not 1 <= n_pixels <= MOST_PIXELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of pixels such as 200M, at most {MOST_PIXELS // 10**6}M"
        )
    return n_pixels


def scheduler(text: str) -> str:
    """The address of a Dask scheduler, or local[N]."""
    if not re.fullmatch(r"local\[[1-9]\d{0,3}\]|(tcp|tls|wss?|ucx)://.+:\d{1,5}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of tls://HOST:PORT, tcp://HOST:PORT and local[N], such as local[4]"
        )
    return text


def threshold(text: str) -> str:
    """A score, or the name of a rule that chooses one."""
    with contextlib.suppress(ValueError):
        if text in thresholds.RULES or math.isfinite(float(text)):
            return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a number nor one of {', '.join(thresholds.RULES)}"
    )
