"""Render the data that the examples work with, and add defects to images of good parts.

  python generate_data.py scenes --output forest --kinds forest --count 24
  python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7
  python generate_data.py series --output examples --variants normal jump
  python generate_data.py parts --output parts
  python generate_data.py defects --backgrounds parts/test/good --output faulty
  python generate_data.py defects --backgrounds good --objects objects -o noisy --n-objects 1 4

The same command makes the same files.
"""

import dataclasses
import os
from collections.abc import Sequence

from pyimagesearch.cli import data_options
from pyimagesearch.cli.data_options import DailySeries, Defects, Parts, Scenes
from pyimagesearch.data import image_folder, images
from pyimagesearch.data.synthetic import defect_dataset, example_files
from pyimagesearch.runtime.atomic_files import check_replaceable_folder, is_inside
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_UNREADABLE,
    UserError,
    counted,
    info,
    printable,
    warn,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Generate data as a command line says; return the exit status."""
    options = data_options.parse(__doc__, argv)
    match options:
        case Scenes(output, kinds, count, size, seed):
            written = counted(example_files.write_scenes(output, kinds, count, size, seed), "image")
        case Parts(output, count, test_count, size, seed):
            n_parts = example_files.write_parts(output, count, test_count, size, seed)
            written = counted(n_parts, "image")
        case DailySeries(output, variants, days, labels, seed):
            n_series = example_files.write_series(output, variants, days, labels, seed)
            written = f"{n_series:,} series"
        case Defects():
            return _make_defects(options)
    info(f"{written} written to {printable(options.output)}")
    return EXIT_DONE


def _make_defects(options: Defects) -> int:
    check_replaceable_folder(options.output, defect_dataset.MANIFEST)
    for folder in filter(None, (options.backgrounds, options.objects)):
        if is_inside(folder, options.output):
            raise UserError(
                f"{printable(folder)} lies inside the output folder {printable(options.output)}, "
                "which would be replaced"
            )
    backgrounds = _images_in(options.backgrounds)
    objects = [] if options.objects is None else _images_in(options.objects)
    recipe = dataclasses.replace(options.recipe, objects=objects)
    info(f"adding defects to {counted(len(backgrounds), 'image')}...")
    try:
        made = defect_dataset.fill_folder(
            options.output, backgrounds, options.backgrounds, recipe, options.executor.jobs
        )
    except images.ImageError as error:
        raise UserError(f"{printable(options.objects or '')}: {error}") from error
    for path, reason in made.unreadable:
        warn(f"{printable(path)}: {reason}; left out")
    if made.n_skipped:
        were = "was" if made.n_skipped == 1 else "were"
        warn(f"{counted(made.n_skipped, 'image')} {were} left out: no defect could be seen there")
    info(f"{counted(made.n_images, 'image')} written to {printable(options.output)}")
    return EXIT_UNREADABLE if made.unreadable else EXIT_DONE


def _images_in(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such folder")
    return image_folder.list_folder(folder)
