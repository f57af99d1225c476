"""Lists of images that others have written."""

import io
import sys

from pyimagesearch.cli.image_source import ImageSource


class Endless(io.RawIOBase):
    """A line of so many bytes, and two more; what of it was held at once would show in memory."""

    def __init__(self, n_bytes):
        self._left = n_bytes
        self._rest = io.BytesIO(b"\na.jpg\r\nb.jpg")

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._left:
            return self._rest.readinto(buffer)
        n_bytes = min(len(buffer), self._left)
        buffer[:n_bytes] = b"x" * n_bytes
        self._left -= n_bytes
        return n_bytes


def test_a_line_without_an_end_costs_its_beginning_and_the_list_goes_on(monkeypatch):
    for n_bytes in (2**16 - 1, 2**16, 2**16 + 1, 10**7):
        stream = io.TextIOWrapper(io.BufferedReader(Endless(n_bytes)))
        monkeypatch.setattr(sys, "stdin", stream)
        first, *others = ImageSource(["-"]).paths()
        assert first == "x" * min(n_bytes, 2**16)
        assert others == ["a.jpg", "b.jpg"]
