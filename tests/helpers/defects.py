"""Backgrounds for defects, and the script that pastes them."""

import cv2

from helpers.scripts import run_script
from pyimagesearch.data.synthetic import parts

SIZE = 96


def good_pictures():
    """Pictures of good parts."""
    return [parts.render_part(7, number, SIZE) for number in range(4)]


def write_backgrounds(folder, pictures):
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"part_{number}.png"), picture)
    return folder


def make(backgrounds, output, *options, **settings):
    return run_script(
        *("generate_data.py", "defects", "--backgrounds", backgrounds, "--output", output),
        *options,
        **settings,
    )


def contents(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
