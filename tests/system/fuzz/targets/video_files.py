"""Videos of several containers and codecs, changed bytewise."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pyimagesearch.data.videos import Every, VideoError, read_video
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.mutate import mutated
from tests.system.fuzz.targets.image_files import picture

_N_FRAMES = 12
# Such as ask for other files.
_LISTS = {
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/dev/zero\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile /dev/zero\n",
    "list.sdp": b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 26\n",
}


def make_seeds(folder: Path) -> None:
    image = picture(40)
    frames = [np.roll(image, 3 * number, axis=1) for number in range(_N_FRAMES)]
    for name, codec in (("a.avi", "MJPG"), ("b.mp4", "mp4v"), ("c.mkv", "FFV1")):
        writer = cv2.VideoWriter(
            str(folder / name), cv2.VideoWriter_fourcc(*codec), 10, image.shape[1::-1]
        )
        for frame in frames:
            writer.write(frame)
        writer.release()
    stream = b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames)
    for name, data in {"d.mjpeg": stream, **_LISTS}.items():
        (folder / name).write_bytes(data)


def load_seeds(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def attack(seeds: list[bytes], case: Case) -> None:
    data = case.rng.choice(seeds)
    for _ in range(case.rng.choice((1, 1, 2, 3))):
        data = mutated(case.rng, data, seeds)
    path = case.write("video.mp4", data)
    every = case.rng.choice((Every(frames=1), Every(frames=5), Every(seconds=0.25)))
    before = -1.0
    # As somebody who has seen enough: a file may claim frames without end.
    for _, frame in zip(range(50), read_video(path, every), strict=False):
        image = frame.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise Finding(f"a frame of {image.dtype} {image.shape}")
        if not np.isfinite(frame.time) or frame.time < 0:
            raise Finding(f"a frame at {frame.time} after one at {before}")
        before = frame.time


TARGET = Target("videos", (VideoError,), make_seeds, load_seeds, attack)
