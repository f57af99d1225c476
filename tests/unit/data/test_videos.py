"""Frames of a file are the same ones each time, and what is no video, or half of one, is said."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from helpers.videos import plain_frames, write_video
from pyimagesearch.data.videos import Every, Frame, VideoError, read_video
from pyimagesearch.runtime import limits


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Thirty frames, a tenth of a second each."""
    return write_video(tmp_path / "parts.avi", plain_frames(30))


def levels(frames: list[Frame]) -> list[int]:
    """The numbers of plain frames."""
    return [round((float(frame.image.mean()) - 20) / 5) for frame in frames]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (Every(seconds=0.5), [0, 5, 10, 15, 20, 25]),
        (Every(seconds=0.3), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]),
        (Every(frames=7), [0, 7, 14, 21, 28]),
    ],
)
def test_one_frame_in_so_much_time_or_so_many_frames_is_taken(video, every, expected):
    frames = list(read_video(str(video), every))
    assert levels(frames) == expected
    assert [round(10 * frame.time) for frame in frames] == expected


def test_a_cut_video_gives_its_whole_frames_and_says_how_many_it_should_have(video):
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    frames: list[Frame] = []

    def read() -> None:
        for frame in read_video(str(video), Every(frames=1)):
            frames.append(frame)

    with pytest.raises(VideoError, match=r"damaged or cut: \d+ of 30 frames"):
        read()
    assert 5 < len(frames) < 20
    # None is half grey.
    assert levels(frames) == list(range(len(frames)))
    assert max(float(frame.image.std()) for frame in frames) < 2


def test_a_decoder_that_dies_goes_on_where_it_was(video):
    found = []
    for frame in read_video(str(video), Every(frames=10)):
        found.append(frame)
        if len(found) == 1:
            for process in multiprocessing.active_children():
                process.kill()
    assert levels(found) == [0, 10, 20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no video", "not a video that can be read, or a damaged one"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nparts.avi\n#EXT-X-ENDLIST\n",
            "not a video that can be read, or a damaged one",
        ),
        (b"ffconcat version 1.0\nfile parts.avi\n", "not a video that can be read"),
    ],
)
def test_what_is_no_video_or_names_other_files_is_not_read(video, content, reason):
    other = video.with_name("other.mp4")
    other.write_bytes(content)
    with pytest.raises(VideoError, match=reason):
        list(read_video(str(other), Every(frames=1)))


def test_a_video_that_is_not_there_is_said(tmp_path):
    with pytest.raises(VideoError, match="No such file"):
        list(read_video(str(tmp_path / "none.mp4"), Every(frames=1)))


def test_frames_that_are_too_large_are_not_decoded(video, monkeypatch):
    monkeypatch.setenv(limits.PIXELS_VARIABLE, "1000")
    with pytest.raises(VideoError, match="64 x 48"):
        list(read_video(str(video), Every(frames=1)))
