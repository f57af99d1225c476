"""How large an image may be, and what to do about it."""

import pytest

from pyimagesearch.data.size_limit import ContainerError, SizeLimit


def test_an_image_is_as_large_as_its_pixels_and_its_bytes():
    limit = SizeLimit(100_000_000)
    limit.check(10_000, 10_000)
    with pytest.raises(ContainerError) as refused:
        limit.check(10_000, 10_001, 1)
    assert str(refused.value) == (
        "10000 x 10001 is more than 100 megapixels: --max-pixels 101M reads it"
    )
    with pytest.raises(ContainerError) as refused:
        limit.check(10_000, 10_000, 8)
    assert str(refused.value) == (
        "10000 x 10000 takes 800 MB of memory, more than 400 MB: --max-pixels 200M reads it"
    )


def test_what_no_option_reads_has_no_remedy():
    with pytest.raises(ContainerError) as refused:
        SizeLimit().check(2**31, 2**31, 0)
    assert str(refused.value) == "2147483648 x 2147483648 is more than 100 megapixels"


def test_the_limit_is_the_environments(monkeypatch):
    monkeypatch.setenv("ANOMALY_MAX_PIXELS", "5000")
    assert SizeLimit.in_force() == SizeLimit(5000)
    monkeypatch.setenv("ANOMALY_MAX_PIXELS", "1e12")
    assert SizeLimit.in_force() == SizeLimit(1_000_000_000)
