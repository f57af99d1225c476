"""Write the examples that are made by rendering alone: scenes, parts and series."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

from pyimagesearch.data import images, mvtec
from pyimagesearch.data.synthetic.parts import render_part
from pyimagesearch.data.synthetic.scenes import render_scene
from pyimagesearch.data.synthetic.series import make_series
from pyimagesearch.runtime.atomic_files import write_bytes
from pyimagesearch.runtime.progress import track


def write_scenes(folder: str, kinds: Sequence[str], count: int, size: int, seed: int) -> int:
    """Write scenes as ``<kind>_<number>.jpg`` and return how many.

    Args:
        folder: made if it is not there.
        kinds: some of ``scenes.SCENES``.
        count: number of scenes of each kind.
        size: height and width in pixels.
        seed: the same one makes the same scenes.

    Raises:
        OSError: they cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    n_scenes = len(kinds) * count
    numbered = itertools.product(kinds, range(1, count + 1))
    for kind, number in track(numbered, "rendering scenes", total=n_scenes):
        image = images.encode_picture(render_scene(kind, seed, number, size), ".jpg")
        write_bytes(os.path.join(folder, f"{kind}_{number}.jpg"), image)
    return n_scenes


def write_parts(folder: str, count: int, test_count: int, size: int, seed: int) -> int:
    """Write good parts as ``train/good/part_<number>.png`` and ``test/good/...``.

    Args:
        folder: made if it is not there.
        count, test_count: number of parts to train on, and to test with.
        size: height and width in pixels.
        seed: the same one makes the same parts.

    Returns:
        The number of parts.

    Raises:
        OSError: they cannot be written.
    """
    # Numbers go on from the one folder to the other, so that no part is in both.
    n_total = count + test_count
    numbers = track(range(1, n_total + 1), "rendering parts", total=n_total)
    for below, n_parts in ((mvtec.TRAIN_GOOD, count), (mvtec.TEST_GOOD, test_count)):
        target = os.path.join(folder, below)
        os.makedirs(target, exist_ok=True)
        for number in itertools.islice(numbers, n_parts):
            image = images.encode_picture(render_part(seed, number, size), ".png")
            write_bytes(os.path.join(target, f"part_{number:04}.png"), image)
    return n_total


def write_series(folder: str, variants: Sequence[str], days: int, labels: bool, seed: int) -> int:
    """Write series as ``daily_<variant>.csv`` and return how many.

    Args:
        folder: made if it is not there.
        variants: some of ``series.VARIANTS``.
        days: length of each.
        labels: write a column that is 1 where something is wrong.
        seed: the same one makes the same series.

    Raises:
        OSError: they cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    for variant in variants:
        lines = ["timestamp,value,label" if labels else "timestamp,value"]
        for time, value, is_wrong in zip(*make_series(variant, days, seed), strict=True):
            lines.append(f"{time},{value:.3f}" + (f",{int(is_wrong)}" if labels else ""))
        write_bytes(
            os.path.join(folder, f"daily_{variant}.csv"), ("\n".join(lines) + "\n").encode()
        )
    return len(variants)
