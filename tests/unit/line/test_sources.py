"""Any source gives parts with names of their own; one that is lost is reached again."""

from __future__ import annotations

import itertools
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from helpers.videos import plain_frames, stream_served, write_video
from pyimagesearch.data.videos import Every
from pyimagesearch.line.sources import live_source, masked, open_source
from pyimagesearch.runtime.console import UserError
from pyimagesearch.runtime.interrupts import DeferredInterrupt


def test_frames_of_a_video_are_named_by_their_place_in_it(tmp_path):
    video = write_video(tmp_path / "parts.avi", plain_frames(12))
    names = [part.name for part in open_source(str(video), Every(seconds=0.4))]
    assert names == [f"{video}/00:00:0{time}" for time in ("0.000", "0.400", "0.800")]


def test_a_stream_that_breaks_off_is_reached_again_and_its_secrets_are_not_told(caplog):
    changes: list[bool] = []
    with stream_served(plain_frames(3), per_connection=40) as url, DeferredInterrupt() as interrupt:
        source = live_source(f"{url}?token=abcdef")
        assert source is not None
        parts = source.parts(Every(frames=3), interrupt, changes.append)
        with caplog.at_level(logging.INFO, "pyimagesearch"):
            found = []
            for part in parts:
                found.append(part)
                if changes[-2:] == [False, True]:
                    interrupt.requested = True
    assert changes == [True, False, True]
    assert all(re.search(r"/mjpeg\?token=\*\*\*/\d{4}-\d\d-\d\dT.*Z$", one.name) for one in found)
    assert len({part.name for part in found}) == len(found)
    assert all(part.content.shape == (48, 64, 3) for part in found)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "abcdef" not in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("camera:99", "camera:99: no such camera"),
        ("camera:front", "camera:front: cameras are numbered"),
        ("rtsp://operator:secret@127.0.0.1:9/x", r"rtsp://\*\*\*@127.0.0.1:9/x: it cannot be"),
        ("nowhere/*.png", "nothing matches this pattern"),
    ],
)
def test_a_source_that_is_not_there_is_a_sentence(text, sentence):
    with pytest.raises((UserError, FileNotFoundError), match=sentence) as error:
        list(open_source(text))
    assert "secret" not in str(error.value)


def test_a_pattern_is_expanded_in_order(tmp_path: Path):
    for name in ("b.png", "a.png", "c.jpg"):
        (tmp_path / name).touch()
    names = [part.name for part in open_source(f"{tmp_path}/*.png")]
    assert names == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]
    (tmp_path / "*.png").touch()  # now it is the name of a file
    assert [part.name for part in open_source(f"{tmp_path}/*.png")] == [f"{tmp_path}/*.png"]


def test_a_server_says_whether_its_address_is_a_stream():
    with stream_served(plain_frames(1), per_connection=1) as url:
        root = url.removesuffix("/mjpeg")
        assert live_source(root + "/mjpg/video.mjpg") is not None
        assert live_source(root + "/photo.jpg") is None
        assert live_source(root + "/film.mp4") is None
    assert live_source(root + "/another") is None  # nobody answers
    assert live_source(root + "/another", is_watched=True) is not None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("rtsp://user:p@ss/w@10.0.0.7/s?channel=1", "rtsp://***@10.0.0.7/s?channel=1"),
        ("rtsp://h/user=admin&password=x&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("http://h/video?key=0123", "http://h/video?key=***"),
        ("camera:0", "camera:0"),
        ("photos/a@b?c=d.png", "photos/a@b?c=d.png"),
    ],
)
def test_what_may_be_secret_in_a_url_is_masked(url, shown):
    assert masked(url) == shown


def test_frames_are_pixels_and_files_are_names(tmp_path):
    video = write_video(tmp_path / "parts.avi", plain_frames(2))
    (tmp_path / "a.png").touch()
    parts = itertools.chain(open_source(str(tmp_path)), open_source(str(video), Every(frames=1)))
    kinds = [type(part.content) for part in parts]
    assert kinds == [type(None), np.ndarray, np.ndarray]
