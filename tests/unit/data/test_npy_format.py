"""Arrays are read strictly: what their header claims is compared with the bytes that there are."""

import io

import numpy as np
import pytest

from pyimagesearch.data.npy_format import NpyError, parse_npy


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def with_header(text: str, content: bytes = b"") -> bytes:
    header = text.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def test_what_numpy_writes_is_read_as_it_was():
    rng = np.random.default_rng(0)
    for kind in ("u1", "<i8", ">f4", "<f8", "?", "<f2", "<u2"):
        for shape in ((), (0,), (7,), (3, 4), (2, 3, 4, 5)):
            array = (rng.random(shape) * 200).astype(kind)
            for written in (array, np.asfortranarray(array)):
                for version in ((1, 0), (2, 0), (3, 0)):
                    found = parse_npy(npy(written, version))
                    assert found.dtype == written.dtype, (kind, shape)
                    assert found.shape == written.shape
                    np.testing.assert_array_equal(found, written)


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x00\x00",
        with_header("(" * 3000),
        with_header("-" * 3000 + "1"),
        with_header("__import__('os')"),
        with_header(PLAIN, b"1234567"),
        with_header(PLAIN.replace("(2,)", "(98000000000000,)"), b"12345678"),
        with_header(PLAIN.replace("(2,)", "(-2,)"), b"12345678"),
        with_header(PLAIN.replace("(2,)", f"({'9' * 18},{'9' * 18})"), b"12345678"),
        with_header(PLAIN.replace("(2,)", "(" + "1," * 40 + ")"), b"1234"),
        with_header(PLAIN.replace("<f4", "|O"), b"12345678"),
        with_header(PLAIN.replace("<f4", "<f3"), b"123456"),
        with_header(PLAIN.replace("'<f4'", "[('a', '<f4')]"), b"12345678"),
        with_header(" " * 5000 + PLAIN, b"12345678"),
        npy(np.arange(9.0))[:-1],
        npy(np.arange(9.0)) + b"x",
        npy(np.array(["text"])),
    ],
)
def test_anything_else_is_refused_with_a_sentence(data):
    with pytest.raises(NpyError, match=r"\w"):
        parse_npy(data)


def test_headers_with_any_byte_changed_are_read_or_refused():
    whole = npy(np.arange(6, dtype=np.float32).reshape(2, 3))
    for place in range(len(whole) - 24):
        for value in (0, 39, 40, 41, 44, 48, 57, 91, 123, 255):
            changed = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                found = parse_npy(changed)
            except NpyError:
                continue
            assert found.nbytes <= len(changed), (place, value)
