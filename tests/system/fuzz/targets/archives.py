"""Images in NumPy's archives."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from pyimagesearch.data.image_sets import Dataset, DatasetError, read_npz
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.model_changes import changed_archive, changed_header, npy, with_extremes

_BOMB = 1 / 300  # of all cases
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_SHAPES = ((4, 8, 8), (4, 8, 8, 1), (4, 8, 8, 3), (0, 8, 8), (4, 8), (4, 0, 8), (1, 1, 1, 1), ())
_NAMES = ("images", "x_train", "labels", "y_train", "is_anomaly", "images.npy", "../x", "")


def make_seeds(folder: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 8, 8), np.uint8)
    labels = np.arange(6)
    np.savez(folder / "keras.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    np.savez_compressed(
        folder / "own.npz", images=pixels[..., None] / 255, labels=labels, is_anomaly=labels > 4
    )


def load_seeds(folder: Path) -> list[dict[str, bytes]]:
    seeds = []
    for path in sorted(folder.iterdir()):
        with zipfile.ZipFile(path) as archive:
            seeds.append({name: archive.read(name) for name in archive.namelist()})
    return seeds


def attack(seeds: list[dict[str, bytes]], case: Case) -> None:
    rng = case.rng
    if case.chance(_BOMB):
        path = str(case.folder / "bomb.npz")
        _write_bomb(rng, path)
        _check(read_npz(path))
        return
    members = list(rng.choice(seeds).items())
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(rng, members)
    data = _zipped(rng, members)
    path = case.write("images.npz", changed_archive(rng, data) if case.chance(0.4) else data)
    _check(read_npz(path))


def _check(found: Dataset) -> None:
    if found.images.dtype != np.uint8 or found.images.ndim != 4 or not found.images.size:
        raise Finding(f"images of {found.images.dtype} {found.images.shape}")
    for known in (found.labels, found.is_anomaly):
        if known is not None and len(known) != len(found.images):
            raise Finding("not as many labels as images")
    found.digest  # noqa: B018
    for image in found.bgr_images():
        if image.dtype != np.uint8 or image.shape[2] != 3:
            raise Finding(f"an image of {image.dtype} {image.shape}")


def _change(rng: random.Random, members: list[tuple[str, bytes]]) -> None:
    chosen = rng.randrange(len(members))
    name, data = members[chosen]
    match rng.randrange(7):
        case 0:
            members[chosen] = (rng.choice(_NAMES), data)
        case 1:
            members.append((name, data))
        case 2:
            members[chosen] = (name, changed_header(rng, data))
        case 3:
            members[chosen] = (name, data[: rng.randrange(len(data) + 1)])
        case 4:
            shape = rng.choice(_SHAPES)
            array = np.ones(shape, rng.choice(("u1", "f4", "f8", "f2", "i8", "b1", "c8", "U3")))
            members[chosen] = (name, npy(array))
        case 5:
            array = np.linspace(0, 1, 6 * 64).reshape(6, 8, 8)
            members[chosen] = (name, npy(with_extremes(rng, array)))
        case _:
            members[chosen] = (name, npy(np.array([{"code": print}], object)))


def _write_bomb(rng: random.Random, path: str) -> None:
    """Zeros, of which few bytes are left when they are compressed."""
    side = rng.choice((1000, 10_000, 20_000))
    dtype = np.dtype(rng.choice(("u1", "f4", "f8")) if side < 20_000 else "u1")
    row = bytes(side * dtype.itemsize)
    # Here, as there: they are never in memory as a whole.
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as member,
    ):
        described = {"descr": dtype.str, "fortran_order": False, "shape": (1, side, side)}
        np.lib.format.write_array_header_1_0(member, described)
        for _ in range(side):
            member.write(row)


def _zipped(rng: random.Random, members: list[tuple[str, bytes]]) -> bytes:
    buffer = BytesIO()
    kind = rng.choice((*_KINDS, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer, "w", kind, compresslevel=1) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name or "x"), data, kind)
    return buffer.getvalue()


TARGET = Target("archives", (DatasetError,), make_seeds, load_seeds, attack)
