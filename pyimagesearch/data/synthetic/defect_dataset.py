"""Fill a folder with spoiled pictures of good parts, their masks, and a list of what was done."""

from __future__ import annotations

import functools
import itertools
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from pyimagesearch.data import images, mvtec
from pyimagesearch.data.synthetic import defects
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.progress import track
from pyimagesearch.runtime.threads import chunked, ordered_map

MANIFEST = "manifest.jsonl"
FORMAT = "pyimagesearch spoiled pictures"
SEPARATOR = "__"  # between a background's name and the number of the picture made from it
SEVERAL = "several"
_BACKGROUNDS_AT_ONCE = 4  # each gets its foreign patches from the others
_OBJECTS_IN_MEMORY = 16
_MOST_OBJECT_SIDE = 1024

Object = tuple[str, np.ndarray, np.ndarray]


class Unreadable(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


Made = dict[str, Any] | Unreadable | None  # a picture's line of the manifest, or none was made


@dataclass(frozen=True)
class Recipe:
    """What is done to each background.

    Attributes:
        n_samples: pictures made from it for each of ``n_objects``.
        n_objects: numbers of defects or objects in a picture.
        kinds: of made defects, see ``defects.KINDS``; none means all.
        objects: files of objects to paste; with any, no defects are made.
        seed: the same one makes the same pictures, whatever other backgrounds there are.
    """

    n_samples: int = 5
    n_objects: Sequence[int] = (3,)
    kinds: Sequence[str] = ()
    objects: Sequence[str] = ()
    seed: int = 42


@dataclass
class Noised:
    """What came of it.

    Attributes:
        n_pictures: that were written.
        n_untouched: that were not, because no attempt at a defect could be seen.
        unreadable: backgrounds and objects that were left out.
    """

    n_pictures: int = 0
    n_untouched: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def fill_folder(
    output: str, backgrounds: Sequence[str], below: str, recipe: Recipe, jobs: int
) -> Noised:
    """Write spoiled pictures as ``layouts`` has it, in place of an earlier run's.

    ``test/<kind>/<background>__<number>.png``, ``ground_truth/<kind>/<...>_mask.png`` and
    ``manifest.jsonl``: a line about all of it, then a line for each picture.

    Args:
        output: the folder.
        backgrounds: files.
        below: the folder that they lie in; theirs below it is kept.
        recipe: what to do.
        jobs: number of threads; the pictures do not depend on it.

    Raises:
        FileExistsError: ``output`` holds something else.
        OSError: it cannot be written.
    """
    noised = Noised()
    with atomic_files.atomic_folder(output, MANIFEST) as folder:
        cached = functools.lru_cache(maxsize=_OBJECTS_IN_MEMORY)(read_object)
        recipe = replace(recipe, objects=_readable(recipe.objects, cached, noised))

        def spoil_chunk(chunk: list[tuple[str, str]]) -> list[Made]:
            return list(_spoil_chunk(chunk, below, folder, recipe, cached))

        named = zip(background_names(backgrounds, below), backgrounds, strict=True)
        with open(os.path.join(folder, MANIFEST), "w", encoding="ascii") as manifest:
            manifest.write(json.dumps(_describe(recipe)) + "\n")
            chunks = ordered_map(spoil_chunk, chunked(named, _BACKGROUNDS_AT_ONCE), jobs)
            n_expected = len(backgrounds) * len(recipe.n_objects) * recipe.n_samples
            for made in track(
                itertools.chain.from_iterable(chunks), "making defects", total=n_expected
            ):
                if made is None:
                    noised.n_untouched += 1
                elif isinstance(made, Unreadable):
                    noised.unreadable.append(made)
                else:
                    noised.n_pictures += 1
                    manifest.write(json.dumps(made) + "\n")
    return noised


def read_object(path: str) -> Object:
    """Read an object as ``defects.paste`` takes it.

    Raises:
        images.ImageError: not a readable picture.
    """
    pixels, alpha = images.read_cut_out(path)
    opacity = defects.cut_out(pixels, alpha)
    return path, *(images.shrink(a, _MOST_OBJECT_SIDE) for a in (pixels, opacity))


def _describe(recipe: Recipe) -> dict[str, Any]:
    described = {
        "format": FORMAT,
        "seed": recipe.seed,
        "n_samples": recipe.n_samples,
        "n_objects": list(recipe.n_objects),
    }
    if recipe.objects:
        return described | {"objects": [os.path.basename(path) for path in recipe.objects]}
    return described | {"kinds": list(recipe.kinds or defects.KINDS)}


def _readable(
    objects: Sequence[str], read: Callable[[str], Object], noised: Noised
) -> Sequence[str]:
    found = []
    for path in objects:
        try:
            read(path)
        except images.ImageError as error:
            noised.unreadable.append(Unreadable(path, str(error)))
        else:
            found.append(path)
    if objects and not found:
        raise images.ImageError("none of the objects is a readable picture")
    return found


def background_names(backgrounds: Sequence[str], below: str) -> list[str]:
    """A different name for each, without its ending where that is enough."""
    whole = [os.path.relpath(path, below) for path in backgrounds]
    short = [os.path.splitext(name)[0] for name in whole]
    times = Counter(short)
    return [w if times[s] > 1 else s for w, s in zip(whole, short, strict=True)]


def _spoil_chunk(
    chunk: list[tuple[str, str]],
    below: str,
    folder: str,
    recipe: Recipe,
    read: Callable[[str], Object],
) -> Iterator[Made]:
    pictures: list[tuple[str, str, np.ndarray]] = []
    for name, path in chunk:
        try:
            pictures.append((name, path, images.read_image(path)))
        except images.ImageError as error:
            yield Unreadable(path, str(error))
    for name, path, picture in pictures:
        others = [other for _, others_path, other in pictures if others_path != path]
        key = zlib.crc32(os.fsencode(name))
        for number, (n_objects, _) in enumerate(
            itertools.product(recipe.n_objects, range(recipe.n_samples)), start=1
        ):
            rng = np.random.default_rng([recipe.seed, key, number])
            if recipe.objects:
                which = rng.integers(len(recipe.objects), size=n_objects)
                chosen = [read(recipe.objects[i]) for i in which]
                spoiled = defects.paste(picture, chosen, rng)
            else:
                spoiled = defects.spoil(
                    picture, rng, kinds=recipe.kinds, n_defects=n_objects, others=others
                )
            if not spoiled.defects:
                yield None
                continue
            kinds = {defect.kind for defect in spoiled.defects}
            kind = kinds.pop() if len(kinds) == 1 else SEVERAL
            stem = os.path.join(kind, f"{name}{SEPARATOR}{number:04}")
            image = os.path.join(mvtec.TEST, f"{stem}.png")
            mask = os.path.join(mvtec.MASKS, f"{stem}{mvtec.MASK_SUFFIX}.png")
            _write(os.path.join(folder, image), spoiled.picture)
            _write(os.path.join(folder, mask), spoiled.mask)
            yield {
                "image": image,
                "mask": mask,
                "background": os.path.relpath(path, below),
                "defects": [defect.describe() for defect in spoiled.defects],
            }


def _write(path: str, picture: np.ndarray) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(images.encode_picture(picture, ".png"))
