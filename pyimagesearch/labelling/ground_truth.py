"""Images whose truth is known: found in folders, scored, and divided into two sets.

A threshold is selected on some of the images and reported on others: on those that selected it, it
looks better than it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pyimagesearch.data import images, mvtec
from pyimagesearch.data.image_folder import OtherFiles
from pyimagesearch.labelling.verdict import UNREADABLE, Verdict
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.runtime.progress import track
from pyimagesearch.runtime.threads import ordered_map

# Paths of images -> the verdict on each, in order.
Label = Callable[[Iterable[str]], Iterator[Verdict]]

SELECTING, REPORTING = "select", "report"
SHOWN_AT_MOST = 10


@dataclass(frozen=True)
class Item:
    """An image whose truth is known.

    Attributes:
        path: of its file.
        is_anomaly: the truth.
        digest: of the file's content.
        score: by the model; nan where it is unreadable.
        used_for: ``SELECTING`` or ``REPORTING``.
        mask: file of its mask, if it has one.
    """

    path: str
    is_anomaly: bool
    digest: bytes
    score: float
    used_for: str = REPORTING
    mask: str | None = None


@dataclass(frozen=True)
class Counts:
    """How many images there are.

    Attributes:
        normal: images without an anomaly.
        anomalous: images with one.
    """

    normal: int
    anomalous: int

    @classmethod
    def from_items(cls, items: Sequence[Item]) -> Self:
        n_anomalies = sum(item.is_anomaly for item in items)
        return cls(len(items) - n_anomalies, n_anomalies)


@dataclass(frozen=True)
class Folders:
    """Where images whose truth is known lie.

    Attributes:
        normal: folder of normal images.
        anomalous: folders of anomalies.
        masks: folder of masks of these, if there is one.
        masks_follow: folders below which the anomalies lie as the masks do below theirs.
    """

    normal: str
    anomalous: tuple[str, ...]
    masks: str | None
    masks_follow: tuple[str, ...]

    @classmethod
    def from_category(cls, folder: str) -> Self:
        """Find them in a dataset that is laid out as a category of MVTec AD.

        Raises:
            UserError: there is no such folder, or it is laid out otherwise.
        """
        check_folder(folder)
        try:
            normal, anomalous, masks = mvtec.find_category(folder)
        except mvtec.LayoutError as error:
            raise UserError(f"{printable(folder)}: {error}") from error
        return cls(normal, tuple(anomalous), masks, (os.path.dirname(anomalous[0]),))


@dataclass(frozen=True)
class Scored:
    """What was scored.

    Attributes:
        items: the readable images, each content once.
        unreadable: (path, reason).
        repeated: (path, path of the image that it equals byte for byte), left out.
    """

    items: list[Item]
    unreadable: list[tuple[str, str]]
    repeated: list[tuple[str, str]]


class ContradictionError(ValueError):
    """The same image is said to be normal and to be an anomaly."""


def score_in_halves(label: Label, folders: Folders, seed: int, jobs: int) -> tuple[list[Item], int]:
    """Score the images of some folders, half of them to select a threshold on.

    Args:
        label: labels images.
        folders: where they lie.
        seed: of the division.
        jobs: number of threads that read them once more.

    Returns:
        The readable images, each content once, and how many are unreadable.

    Raises:
        UserError: a folder is missing, there are too few images, or they contradict each other.
    """
    scored, n_unreadable = score_folders(label, folders, jobs)
    items = split_in_half(scored, seed)
    check_enough(items)
    return items, n_unreadable


def score_two_sets(
    label: Label, selecting: Folders, reporting: Folders, jobs: int
) -> tuple[list[Item], int]:
    """Score images to select a threshold on, and others to report it on.

    An image that is in both, whatever its name, is not reported on.

    Args:
        label: labels images.
        selecting, reporting: where they lie.
        jobs: number of threads that read them once more.

    Returns:
        The readable images, each content once, and how many are unreadable.

    Raises:
        UserError: as of ``score_in_halves``.
    """
    first, n_first = score_folders(label, selecting, jobs)
    second, n_second = score_folders(label, reporting, jobs, known=first)
    items = [replace(item, used_for=SELECTING) for item in first]
    items += [replace(item, used_for=REPORTING) for item in second]
    check_enough(items)
    return items, n_first + n_second


def check_enough(items: Sequence[Item]) -> None:
    """Refuse a set, to select on or to report on, without normal images or without anomalies.

    Raises:
        UserError: with a sentence.
    """
    for used_for, verb in ((SELECTING, "choose a threshold on"), (REPORTING, "report on")):
        counts = Counts.from_items([item for item in items if item.used_for == used_for])
        for number, name in ((counts.normal, "normal"), (counts.anomalous, "anomalous")):
            if not number:
                raise UserError(f"there are too few different {name} images to {verb}: {number}")


def score_folders(
    label: Label, folders: Folders, jobs: int, known: Sequence[Item] = ()
) -> tuple[list[Item], int]:
    """Score the images of some folders, and report what is left out.

    Args:
        label: labels images.
        folders: where they lie.
        jobs: number of threads that read them once more.
        known: items whose contents are left out, too.

    Returns:
        The readable images, each content once, and how many are unreadable.

    Raises:
        UserError: a folder is missing, or images or masks contradict each other.
    """
    named: list[tuple[str, bool]] = []
    others = OtherFiles()
    for folder, is_anomaly in (
        (folders.normal, False),
        *((folder, True) for folder in folders.anomalous),
    ):
        check_folder(folder)
        named += [(path, is_anomaly) for path in images.list_images(folder, others.add)]
    others.report()
    info(f"scoring {counted(len(named), 'image')}...")
    try:
        scored = score_items(label, named, jobs, known)
        report_first(scored.repeated, "equals {}; left out", info)
        report_first(scored.unreadable, "{}; left out", warn)
        if folders.masks is None:
            return scored.items, len(scored.unreadable)
        check_folder(folders.masks)
        items, unused = with_masks(scored.items, folders.masks_follow, folders.masks)
    except (ContradictionError, mvtec.LayoutError) as error:
        raise UserError(printable(str(error))) from error
    left_out = {path for path, _ in (*scored.repeated, *scored.unreadable)}
    unused = [path for path in unused if not _belongs_to(path, left_out)]
    report_first([(path, "") for path in unused], "a mask without an image; left out{}", warn)
    without = sum(item.is_anomaly and item.mask is None for item in items)
    if without:
        have, their = ("has", "its") if without == 1 else ("have", "their")
        n_anomalies = counted(Counts.from_items(items).anomalous, "anomalous image")
        warn(f"{without} of {n_anomalies} {have} no mask: {their} pixels do not count")
    return items, len(scored.unreadable)


def check_folder(folder: str) -> None:
    """Raise ``UserError`` where there is no such folder."""
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such folder")


def _belongs_to(mask: str, paths: set[str]) -> bool:
    """Whether a mask is of an image that was left out, so that nobody need look for it."""
    name = os.path.splitext(os.path.basename(mask))[0].removesuffix(mvtec.MASK_SUFFIX)
    return any(os.path.splitext(os.path.basename(path))[0] == name for path in paths)


def report_first(
    found: Sequence[tuple[str, str]], sentence: str, say: Callable[[str], None]
) -> None:
    """Say what was found about the first files, and how many more there are.

    Args:
        found: (path, reason) of each file.
        sentence: its ``{}`` stands for the reason.
        say: ``info`` or ``warn``.
    """
    for path, reason in found[:SHOWN_AT_MOST]:
        say(f"{printable(path)}: {sentence.format(printable(reason))}")
    if len(found) > SHOWN_AT_MOST:
        say(f"... and {len(found) - SHOWN_AT_MOST} more")


def score_items(
    label: Label,
    named: Sequence[tuple[str, bool]],
    jobs: int,
    known: Sequence[Item] = (),
) -> Scored:
    """Score images, each content once.

    Args:
        label: labels images.
        named: (path, whether it is an anomaly) of each.
        jobs: number of threads that read them once more.
        known: items whose contents are left out, too.

    Raises:
        ContradictionError: two images of the same content and of different truth.
    """
    first = {item.digest: item for item in known}
    scored = Scored([], [], [])
    verdicts = track(label(path for path, _ in named), "scoring", total=len(named))
    digests = ordered_map(_digest, (path for path, _ in named), jobs)
    for (path, is_anomaly), verdict, digest in zip(named, verdicts, digests, strict=True):
        if verdict.label == UNREADABLE:
            scored.unreadable.append((path, verdict.reason or ""))
        elif digest in first:
            if first[digest].is_anomaly != is_anomaly:
                raise ContradictionError(
                    f"{path} equals {first[digest].path}, and one is said to be normal and the "
                    "other an anomaly"
                )
            scored.repeated.append((path, first[digest].path))
        else:
            first[digest] = Item(path, is_anomaly, digest, verdict.score)
            scored.items.append(first[digest])
    return scored


def _digest(path: str) -> bytes:
    try:
        return hashlib.sha256(images.read_bytes(path)).digest()
    except images.ImageError:
        return b""


def split_in_half(items: Sequence[Item], seed: int) -> list[Item]:
    """Divide normal images and anomalies alike between selecting a threshold and reporting.

    Which goes where depends on the seed and on the images' content alone, not on their names.
    """
    divided: list[Item] = []
    for is_anomaly in (False, True):
        of_kind = sorted(
            (item for item in items if item.is_anomaly == is_anomaly), key=lambda i: i.digest
        )
        order = np.random.default_rng(seed).permutation(len(of_kind))
        for place, index in enumerate(order):
            used_for = SELECTING if place % 2 else REPORTING
            divided.append(replace(of_kind[index], used_for=used_for))
    return sorted(divided, key=lambda item: (item.is_anomaly, item.path))


def with_masks(
    items: Sequence[Item], folders: Sequence[str], masks: str
) -> tuple[list[Item], list[str]]:
    """Give anomalies their masks.

    Args:
        items: normal ones stay as they are.
        folders: that the anomalies lie in.
        masks: folder of masks, which lie as the images lie below their folders.

    Returns:
        The items, and masks that belong to none of them.

    Raises:
        mvtec.LayoutError: two masks for one image.
    """
    found: dict[str, str] = {}
    unused: set[str] | None = None
    for folder in folders:
        anomalies = [item.path for item in items if item.is_anomaly]
        paired = mvtec.pair_masks(anomalies, folder, masks)
        found |= paired.by_image
        left = set(paired.without_image)
        unused = left if unused is None else unused & left
    return [replace(item, mask=found.get(item.path)) for item in items], sorted(unused or ())


def truth_and_scores(items: Iterable[Item]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, whether each is an anomaly, and (n,) float64."""
    kept = list(items)
    return np.array([i.is_anomaly for i in kept], bool), np.array([i.score for i in kept], float)
