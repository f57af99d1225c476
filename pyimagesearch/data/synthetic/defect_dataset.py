"""Fill a folder with images of defective parts, their masks, and a manifest of the defects."""

from __future__ import annotations

import functools
import itertools
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from pyimagesearch.data import images, mvtec
from pyimagesearch.data.synthetic import defects
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.progress import track
from pyimagesearch.runtime.system import with_slashes
from pyimagesearch.runtime.threads import chunked, ordered_map

MANIFEST = "manifest.jsonl"
FORMAT = "pyimagesearch spoiled pictures"
SEPARATOR = "__"  # between a background's name and the number of the image made from it
SEVERAL = "several"
_BACKGROUNDS_AT_ONCE = 4  # which give each other foreign patches
_OBJECTS_IN_MEMORY = 16
_MOST_OBJECT_SIDE = 1024

Object = tuple[str, np.ndarray, np.ndarray]


class Unreadable(NamedTuple):
    """An unreadable file, which was left out."""

    path: str
    reason: str


Line = dict[str, object]  # of the manifest


@dataclass(frozen=True)
class Recipe:
    """What is done to each background.

    Attributes:
        n_samples: images made from it for each of ``n_objects``.
        n_objects: numbers of defects or objects in an image.
        kinds: of synthetic defects, see ``defects.KINDS``; none means all.
        objects: files of objects to paste; with any, no synthetic defects are added.
        seed: the same one makes the same images, whatever other backgrounds there are.
    """

    n_samples: int = 5
    n_objects: Sequence[int] = (3,)
    kinds: Sequence[str] = ()
    objects: Sequence[str] = ()
    seed: int = 42


@dataclass
class Summary:
    """What ``fill_folder`` has written.

    Attributes:
        n_images: that were written.
        n_skipped: that were not, because no defect could be seen in them.
        unreadable: backgrounds and objects that were left out.
    """

    n_images: int = 0
    n_skipped: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def fill_folder(
    output: str, backgrounds: Sequence[str], below: str, recipe: Recipe, jobs: int
) -> Summary:
    """Write images with defects in the layout of ``mvtec``, replacing those of an earlier run.

    ``test/<kind>/<background>__<number>.png``, ``ground_truth/<kind>/<...>_mask.png`` and
    ``manifest.jsonl``: a line about all of them, then a line for each image.

    Args:
        output: the folder.
        backgrounds: files.
        below: the folder that they lie in; their relative paths below it are kept.
        recipe: what is done to each.
        jobs: number of threads; the images do not depend on it.

    Raises:
        FileExistsError: ``output`` holds other files.
        OSError: it cannot be written.
    """
    summary = Summary()
    with atomic_files.atomic_folder(output, MANIFEST) as folder:
        cached = functools.lru_cache(maxsize=_OBJECTS_IN_MEMORY)(read_object)
        recipe = replace(recipe, objects=_readable(recipe.objects, cached, summary))

        def fill_chunk(chunk: list[tuple[str, str]]) -> list[Line | Unreadable | None]:
            return list(_fill_chunk(chunk, below, folder, recipe, cached))

        named = zip(background_names(backgrounds, below), backgrounds, strict=True)
        manifest_path = os.path.join(folder, MANIFEST)
        with open(manifest_path, "w", encoding="ascii", newline="\n") as manifest:
            manifest.write(json.dumps(_describe(recipe)) + "\n")
            chunks = ordered_map(fill_chunk, chunked(named, _BACKGROUNDS_AT_ONCE), jobs)
            n_expected = len(backgrounds) * len(recipe.n_objects) * recipe.n_samples
            for made in track(
                itertools.chain.from_iterable(chunks), "adding defects", total=n_expected
            ):
                if made is None:
                    summary.n_skipped += 1
                elif isinstance(made, Unreadable):
                    summary.unreadable.append(made)
                else:
                    summary.n_images += 1
                    manifest.write(json.dumps(made) + "\n")
    return summary


def read_object(path: str) -> Object:
    """Read an object as ``defects.paste_objects`` takes it.

    Raises:
        images.ImageError: not a readable image.
    """
    pixels, alpha = images.read_cut_out(path)
    opacity = defects.object_opacity(pixels, alpha)
    return path, *(images.shrink(a, _MOST_OBJECT_SIDE) for a in (pixels, opacity))


def _describe(recipe: Recipe) -> Line:
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
    objects: Sequence[str], read: Callable[[str], Object], summary: Summary
) -> Sequence[str]:
    found = []
    for path in objects:
        try:
            read(path)
        except images.ImageError as error:
            summary.unreadable.append(Unreadable(path, str(error)))
        else:
            found.append(path)
    if objects and not found:
        raise images.ImageError("none of the objects is a readable image")
    return found


def background_names(backgrounds: Sequence[str], below: str) -> list[str]:
    """A distinct name for each, without its extension where that is enough."""
    whole = [with_slashes(os.path.relpath(path, below)) for path in backgrounds]
    short = [os.path.splitext(name)[0] for name in whole]
    times = Counter(short)
    return [w if times[s] > 1 else s for w, s in zip(whole, short, strict=True)]


def _fill_chunk(
    chunk: list[tuple[str, str]],
    below: str,
    folder: str,
    recipe: Recipe,
    read: Callable[[str], Object],
) -> Iterator[Line | Unreadable | None]:
    readable: list[tuple[str, str, np.ndarray]] = []
    for name, path in chunk:
        try:
            readable.append((name, path, images.read_image(path)))
        except images.ImageError as error:
            yield Unreadable(path, str(error))
    for name, path, background in readable:
        others = [other for _, others_path, other in readable if others_path != path]
        key = zlib.crc32(os.fsencode(name))
        for number, (n_objects, _) in enumerate(
            itertools.product(recipe.n_objects, range(recipe.n_samples)), start=1
        ):
            rng = np.random.default_rng([recipe.seed, key, number])
            if recipe.objects:
                which = rng.integers(len(recipe.objects), size=n_objects)
                chosen = [read(recipe.objects[i]) for i in which]
                defective = defects.paste_objects(background, chosen, rng)
            else:
                defective = defects.add_defects(
                    background, rng, kinds=recipe.kinds, n_defects=n_objects, others=others
                )
            if not defective.defects:
                yield None
                continue
            kinds = {defect.kind for defect in defective.defects}
            kind = kinds.pop() if len(kinds) == 1 else SEVERAL
            stem = os.path.join(kind, f"{name}{SEPARATOR}{number:04}")
            image_path = os.path.join(mvtec.TEST, f"{stem}.png")
            mask_path = os.path.join(mvtec.MASKS, f"{stem}{mvtec.MASK_SUFFIX}.png")
            _write(os.path.join(folder, image_path), defective.image)
            _write(os.path.join(folder, mask_path), defective.mask)
            yield {
                "image": with_slashes(image_path),
                "mask": with_slashes(mask_path),
                "background": with_slashes(os.path.relpath(path, below)),
                "defects": [defect.describe() for defect in defective.defects],
            }


def _write(path: str, picture: np.ndarray) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(images.encode_picture(picture, ".png"))
