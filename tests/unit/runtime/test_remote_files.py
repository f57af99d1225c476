"""Claims about files that are not on this machine; memory:// and file:// stand for them."""

import contextlib
import http.server
import json
import os
import threading

import fsspec
import pytest

from pyimagesearch.data import images
from pyimagesearch.runtime import remote_files


@pytest.fixture
def bucket(sample_jpeg):
    """Names of files that a store holds."""
    names = [
        "b.jpg",
        "a/z.jpg",
        "a/B.PNG",
        "a/é.jpg",
        "a.jpg",
        "no.txt",
        ".hidden.jpg",
        "a/b/c.jpg",
    ]
    store = fsspec.filesystem("memory")
    for name in names:
        store.pipe_file(f"/bucket/{name}", sample_jpeg)
    yield names
    store.rm("/bucket", recursive=True)


def test_a_store_is_listed_in_the_order_of_a_folder(bucket, tmp_path):
    for name in bucket:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    here = [os.path.relpath(path, tmp_path) for path in images.list_images(str(tmp_path))]
    there = [path.partition("bucket/")[2] for path in images.list_images("memory://bucket")]
    assert there == here
    assert len(here) == 6


@pytest.mark.usefixtures("bucket")
def test_a_file_of_a_store_is_read_and_one_that_is_not_there_is_unreadable(sample_jpeg):
    (path,) = images.list_images("memory://bucket/b.jpg")
    assert images.read_bytes(path) == sample_jpeg
    assert all(images.read_bytes(path) == sample_jpeg for path in images.list_images("memory://"))
    with pytest.raises(images.ImageError, match=r"^no such file"):
        images.read_bytes("memory://bucket/nowhere.jpg")
    assert images.is_folder("memory://bucket/a")
    assert not images.is_folder("memory://bucket/b.jpg")


def test_a_local_file_with_a_name_like_a_url_is_reached_with_a_dot(
    tmp_path, monkeypatch, sample_jpeg
):
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "x.jpg").write_bytes(sample_jpeg)
    monkeypatch.chdir(tmp_path)
    assert remote_files.is_url("s3://x.jpg")
    assert list(images.list_images("./s3://")) == ["./s3://x.jpg"]
    assert images.read_bytes("./s3://x.jpg") == sample_jpeg


@pytest.mark.usefixtures("bucket")
def test_a_file_of_a_store_has_no_more_bytes_than_one_of_this_machine_may_have(
    sample_jpeg, monkeypatch
):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(sample_jpeg))
    assert images.read_bytes("memory://bucket/b.jpg") == sample_jpeg
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(sample_jpeg) - 1)
    with pytest.raises(images.ImageError, match="more than"):
        images.read_bytes("memory://bucket/b.jpg")


def test_a_file_of_a_store_cannot_have_files_of_this_machine_read(tmp_path, sample_jpeg):
    (tmp_path / "private.jpg").write_bytes(sample_jpeg)
    references = {"version": 1, "refs": {"a.jpg": [f"file://{tmp_path}/private.jpg"]}}
    fsspec.filesystem("memory").pipe_file("/refs.json", json.dumps(references).encode())
    with pytest.raises(images.ImageError, match="chains of storages"):
        images.read_bytes("reference://a.jpg::memory://refs.json")


class Server(http.server.BaseHTTPRequestHandler):
    """Sends an image, or without an end, whatever part it is asked for."""

    image = b""
    n_sent = 0

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        content = self.image if self.path == "/a.jpg" else bytes(2**16)
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(content)
                type(self).n_sent += len(content)
                if content is self.image:
                    return

    def log_message(self, *_):
        pass


def test_a_web_server_that_sends_without_an_end_is_not_listened_to_for_ever(
    sample_jpeg, monkeypatch
):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10**6)
    monkeypatch.setattr(Server, "image", sample_jpeg)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert images.read_bytes(f"{address}/a.jpg") == sample_jpeg
        with pytest.raises(images.ImageError, match="more than"):
            images.read_bytes(f"{address}/endless.jpg")
        server.shutdown()
    assert Server.n_sent < 10**8
