"""Folders of images, as a category of MVTec AD has them, with what does not belong there."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from helpers import tiny
from pyimagesearch.data import images, mvtec
from pyimagesearch.labelling import ground_truth
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import UNREADABLE
from pyimagesearch.runtime.console import UserError
from tests.system.fuzz import model_seeds
from tests.system.fuzz.case import Case, Finding, Target, check_finite

_FOLDERS = ("test/good", "test/scratch", "ground_truth/scratch", "test", "ground_truth", "train")
_LAID_OUT = ("test/good", "test/scratch", "ground_truth/scratch")
_NAMES = (
    *("0.png", "1.png", "2.png", "0_mask.png", "1_mask.png", ".hidden.png", "x" * 250 + ".png"),
    *("new\nline.png", "=1+1.png", "\udcff.png", "é.png", " .png", "good", "a.PNG", "%s{0}.jpg"),
)


@dataclass(frozen=True)
class Seeds:
    """A model, and a whole picture and a mask of its size.

    Attributes:
        labeller: of the model.
        picture, mask: as PNG.
    """

    labeller: Labeller
    picture: bytes
    mask: bytes


def make_seeds(folder: Path) -> None:
    model_seeds.make_forest(folder)


def load_seeds(folder: Path) -> Seeds:
    picture = tiny.part(np.random.default_rng(0), 24, 32)
    mask = np.zeros((24, 32), np.uint8)
    mask[4:9, 5:20] = 255
    encoded = (cv2.imencode(".png", image)[1].tobytes() for image in (picture, mask))
    return Seeds(Labeller.open(str(folder / "forest.model")), *encoded)


def attack(seeds: Seeds, case: Case) -> None:
    category = case.folder / "category"
    for name in _LAID_OUT:
        (category / name).mkdir(parents=True)
        for number in range(3):
            name_of = f"{number}_mask.png" if name.startswith("ground") else f"{number}.png"
            data = seeds.mask if name.startswith("ground") else seeds.picture
            # Otherwise they would be the same image under two names.
            (category / name / name_of).write_bytes(data + f"{name} {number}".encode())
    for _ in range(case.rng.choice((1, 2, 4, 8))):
        with suppress(OSError, ValueError):  # what cannot be made is no attack
            _spoil(category, seeds, case)
    for path in images.list_images(str(category)):
        verdict = seeds.labeller.label_batch([path])[0]
        if verdict.label != UNREADABLE:
            check_finite(verdict.label, verdict.score, verdict.p_value)
    folders = ground_truth.Folders.from_category(str(category))
    items, _ = ground_truth.score_in_halves(
        lambda paths: seeds.labeller.label(paths, jobs=1), folders, 0, 1
    )
    for item in items:
        check_finite("an image", item.score)
        if item.mask is None:
            continue
        shape = images.read_image(item.path).shape[:2]
        try:
            mask = mvtec.read_mask(item.mask, shape)
        except (images.ImageError, mvtec.LayoutError):
            continue
        if mask.shape != shape or mask.dtype != bool or not mask.any():
            raise Finding(f"a mask of {mask.dtype} {mask.shape}")


def _spoil(category: Path, seeds: Seeds, case: Case) -> None:
    """Put something into one of the folders, or take something away."""
    rng = case.rng
    folder = category / rng.choice(_FOLDERS)
    path = folder / rng.choice(_NAMES)
    there = sorted(category.rglob("*"))
    other = rng.choice(there) if there else category
    match rng.randrange(15):
        case 0:
            path.symlink_to(path.name)
        case 1:
            path.symlink_to(rng.choice((category, other, Path("/dev/zero"), Path("/proc/kmsg"))))
        case 2:
            path.symlink_to("nowhere")
        case 3:
            os.mkfifo(path)
        case 4:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(path))
        case 5:
            path.mkdir()
        case 6:
            deep = path.joinpath(*["d" * rng.choice((1, 100))] * 30)
            deep.mkdir(parents=True)
            (deep / "0.png").write_bytes(seeds.picture)
        case 7:
            _write(path, rng.choice((b"", b"text", seeds.picture[:50], bytes(500))))
        case 8:
            sides = (rng.choice((1, 24, 300)), rng.choice((1, 32, 300)))
            level = rng.choice((0, 1, 255))
            _write(path, cv2.imencode(".png", np.full(sides, level, np.uint8))[1].tobytes())
        case 9:
            _write(path, seeds.picture)
        case 10:
            os.chmod(folder, rng.choice((0o000, 0o100, 0o444)))
        case 11:
            other.unlink()
        case 12:
            other.rename(other.with_name(rng.choice(_NAMES)))
        case 13:
            os.link(other, path)
        case _:
            other.unlink()
            other.symlink_to(folder)


def _write(path: Path, data: bytes) -> None:
    if path.is_file() or not path.exists():  # what was put there before may be a pipe
        path.write_bytes(data)


TARGET = Target(
    "folders",
    (UserError, FileNotFoundError, NotADirectoryError, PermissionError),
    make_seeds,
    load_seeds,
    attack,
)
