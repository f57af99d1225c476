"""Small videos, and a server of a stream."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

RATE = 10  # frames a second


def write_video(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """Write frames, (height, width, 3) uint8 BGR of one size, as an AVI of JPEGs; its path."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter_fourcc(*"MJPG"), RATE, (width, height)
    )
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def plain_frames(number: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frames of one grey level each, 5 more in each."""
    return [np.full((height, width, 3), 20 + 5 * n, np.uint8) for n in range(number)]


@contextlib.contextmanager
def stream_served(frames: Sequence[np.ndarray], per_connection: int) -> Iterator[str]:
    """Serve frames as a stream of JPEGs that breaks off after a few; yields its URL."""
    encoded = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever watches has gone
                for number in range(per_connection):
                    jpeg = encoded[number % len(encoded)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                    self.wfile.write(f"{head}\r\n\r\n".encode() + jpeg + b"\r\n")
                    time.sleep(0.02)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mjpeg"
    finally:
        server.shutdown()
        server.server_close()
