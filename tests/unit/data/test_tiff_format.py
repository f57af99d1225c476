"""TIFF's directory: what two readers could read in two ways is refused."""

import struct

import numpy as np
import pytest

from pyimagesearch.data.size_limit import ContainerError, SizeLimit
from pyimagesearch.data.tiff_format import check_tiff, orientation

WHOLE = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 4, 1, 8), (273, 4, 1, 150), (279, 4, 1, 64)]


def tiff(entries, rest=400, order="<"):
    """A file of entries: tag, type, number of values and value or offset."""
    body = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IH", 8, len(entries)) + body + bytes(rest)


def test_a_whole_file_passes():
    check_tiff(tiff(WHOLE), SizeLimit())


@pytest.mark.parametrize("kind", [1, 6, 8, 9, 11])
def test_a_size_of_an_unusual_type_is_refused(kind):
    with pytest.raises(ContainerError, match="does not say its size"):
        check_tiff(tiff([(256, kind, 1, 8), *WHOLE[1:]]), SizeLimit())


def test_a_size_that_is_said_twice_is_refused():
    with pytest.raises(ContainerError, match="does not say its size"):
        check_tiff(tiff([WHOLE[0], *WHOLE]), SizeLimit())


def test_tags_that_share_their_values_are_refused_before_they_are_copied():
    entries = [*WHOLE, *((tag, 1, 50_000, 0) for tag in range(700, 704))]
    with pytest.raises(ContainerError, match="more values than it has bytes"):
        check_tiff(tiff(entries, rest=60_000), SizeLimit())


def test_more_entries_than_a_directory_has_are_refused():
    data = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 70_000) + bytes(20 * 70_000)
    with pytest.raises(ContainerError, match="points behind its end"):
        check_tiff(data, SizeLimit())


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_found_and_damaged_metadata_have_none(order):
    value = 6 << 16 if order == ">" else 6
    exif = tiff([(271, 4, 1, 1), (274, 3, 1, value)], order=order)
    assert orientation(exif) == 6
    assert {orientation(exif[:size]) for size in range(34)} == {1}
    for seed in range(200):
        assert isinstance(orientation(exif[:10] + np.random.default_rng(seed).bytes(40)), int)
