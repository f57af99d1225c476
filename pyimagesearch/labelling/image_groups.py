"""Groups of images, such as of cameras or products, each judged by its own calibration.

A p-value among the calibration scores of its own group promises the same false-alarm rate in each
group: Mondrian conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, section 4.5). One threshold for all keeps the rate only in the mean over the groups.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from pyimagesearch.detectors.model_file import ModelFile
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.console import UserError, counted, printable

FOLDER = "folder"
# Where no rate is asked for: of fewer images, the best possible rate is above 1 in 20.
LEAST_IMAGES = 20
# Of more unknown groups than so many, the names are not listed.
_MOST_LISTED = 5
# A model file is not to make anybody wait: matching takes time exponential in these.
_MOST_PATTERN, _MOST_REPEATS, _MOST_PARENTHESES = 200, 4, 4
GROUPS = "groups"  # in the manifest of a model file
_MEMBER = "calibration_groups"


@dataclass(frozen=True)
class GroupRule:
    """How the path of an image says which group it is of.

    Attributes:
        by: ``FOLDER``, or a regular expression with one group in parentheses, which is searched in
            the path.

    Raises:
        ValueError: it is neither.
    """

    by: str

    def __post_init__(self) -> None:
        if not isinstance(self.by, str):
            raise ValueError(f"{self.by!r} says nothing of groups")
        if self.by != FOLDER:
            _compiled(self.by)

    def of_training(self, path: str, root: str) -> str:
        """The group of an image that is learned.

        Args:
            path: of the image.
            root: the dataset: below it, the first folder is the group.

        Raises:
            UserError: it is of no group.
        """
        if self.by != FOLDER:
            if (name := self.find(path)) is None:
                raise UserError(
                    f"{printable(path)}: --group-by {printable(self.by)} does not match it"
                )
            return name
        below = PurePath(path.removeprefix(root).lstrip("/\\")).parts
        if not path.startswith(root) or len(below) < 2:
            raise UserError(
                f"{printable(path)}: --group-by folder: it lies in no folder below "
                f"{printable(root)}, so that it is of no group"
            )
        return below[0]

    def of_all(self, paths: Sequence[str], root: str) -> list[str]:
        """The groups of all images that are learned: see ``of_training``.

        Raises:
            UserError: also where the path of one names another group, too, and counts as of that
                when it is labelled.
        """
        names = [self.of_training(path, root) for path in paths]
        known = set(names)
        for path, name in zip(paths, names, strict=True):
            if (other := self.find(path, known)) != name:
                raise UserError(
                    f"{printable(path)}: it lies in folders of two groups, {printable(name)} and "
                    f"{printable(other)}: rename one"
                )
        return names

    def find(self, path: str, known: Iterable[str] = ()) -> str | None:
        """The group that the path of an image names, whether it is known or not.

        Args:
            path: of the image.
            known: names of groups; of the folders of a path, the innermost of them counts.

        Returns:
            Its name; of folders that are all unknown, that of the innermost; None where the path
            has no folder, or nothing in it matches.
        """
        if self.by != FOLDER:
            found = _compiled(self.by).search(path)
            return None if found is None else found[1]
        folders = PurePath(path).parent.parts[::-1]
        return next((name for name in folders if name in known), folders[0] if folders else None)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    bare = re.sub(r"\\.", "", pattern, flags=re.DOTALL)
    if (
        len(pattern) > _MOST_PATTERN
        or len(re.findall(r"[*+{]|(?<!\()\?", bare)) > _MOST_REPEATS
        or bare.count("(") > _MOST_PARENTHESES
        or re.search(r"\)[*+{]", bare)
    ):
        raise ValueError(
            f"{pattern[:_MOST_PATTERN]!r} could take for ever to match: at most {_MOST_PATTERN} "
            f"characters, {_MOST_REPEATS} repeats and {_MOST_PARENTHESES} parentheses, none of "
            "them repeated"
        )
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if found.groups != 1:
        raise ValueError(
            f"{pattern!r} has {counted(found.groups, 'group')} in parentheses; one is to be the "
            "name, as in '(cam[0-9]+)_'"
        )
    return found


def least_images(rate: float | None) -> int:
    """How many images a group takes for a rate that was asked for, or where none was."""
    return LEAST_IMAGES if rate is None else thresholds.items_needed(rate)


def check_counts(by: str, counts: Mapping[str, int], rate: float | None) -> None:
    """Refuse groups of too few images.

    Args:
        by: what makes the groups, for people.
        counts: the number of calibration images of each.
        rate: that was asked for; None needs ``LEAST_IMAGES``.

    Raises:
        UserError: it names all of these groups.
    """
    needed = least_images(rate)
    few = [f"{printable(name)} has {n}" for name, n in sorted(counts.items()) if n < needed]
    if few:
        why = "" if rate is None else f" for a false-alarm rate of {rate:g}"
        raise UserError(
            f"--group-by {printable(by)}: each group takes at least {needed} images{why}; "
            f"{', '.join(few)}"
        )


@dataclass(frozen=True)
class ImageGroup:
    """What the images of one group are judged by.

    Attributes:
        calibration: (n,) float64 sorted scores of its normal images.
        training: (m,) float64 scores of its images that the detector was fitted on.
        threshold: the score above which an image of it is an anomaly.
    """

    calibration: np.ndarray
    training: np.ndarray
    threshold: float

    @property
    def false_alarm_rate(self) -> float:
        """The share of its normal images that may exceed the threshold."""
        return thresholds.false_alarms(self.threshold, self.calibration, n_items=0).rate


@dataclass(frozen=True)
class ImageGroups:
    """The groups that a model knows.

    Attributes:
        rule: says which group an image is of.
        members: the groups by name, in the order of the names.
        index: (n_images,) int32, which of them each of the model's scores is of.
    """

    rule: GroupRule
    members: dict[str, ImageGroup]
    index: np.ndarray

    @classmethod
    def fit(
        cls,
        rule: GroupRule,
        names: Sequence[str],
        calibration: np.ndarray,
        training: np.ndarray,
    ) -> ImageGroups:
        """Divide scores among groups, whose thresholds are then still to be chosen.

        Args:
            rule: as of the class.
            names: of the group of each image, (n_images,).
            calibration: (n_images,) scores by detectors that had not seen them.
            training: (n_images,) scores by the detector itself.
        """
        known = sorted(set(names))
        numbers = {name: number for number, name in enumerate(known)}
        index = np.array([numbers[name] for name in names], np.int32)
        members = {
            name: ImageGroup(np.sort(calibration[index == i]), training[index == i], math.inf)
            for name, i in numbers.items()
        }
        return cls(rule, members, index)

    @classmethod
    def restore(cls, model: ModelFile) -> ImageGroups | None:
        """The groups of a model file; None where it has none; raises ValueError, KeyError."""
        described = model.manifest.get(GROUPS)
        if described is None:
            return None
        index, values = model.arrays[_MEMBER], described["thresholds"]
        calibration, training = (model.scores(f"{k}_scores") for k in ("calibration", "training"))
        names = sorted(values)
        if (
            index.dtype.kind not in "iu"
            or not index.shape == calibration.shape == training.shape
            or set(index.tolist()) != set(range(len(names)))
        ):
            raise ValueError("its groups are not those of its calibration scores")
        found = cls.fit(
            GroupRule(described["by"]), [names[i] for i in index], calibration, training
        )
        if not all(isinstance(v, float) and math.isfinite(v) for v in values.values()):
            raise ValueError("the threshold of a group is no score")
        return found.with_thresholds([values[name] for name in names])

    def members_of_file(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What goes into the manifest of a model file, and into its arrays."""
        described = {
            "by": self.rule.by,
            "images": {name: len(group.calibration) for name, group in self.members.items()},
            "thresholds": {name: group.threshold for name, group in self.members.items()},
        }
        return {GROUPS: described}, {_MEMBER: self.index}

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The thresholds of the groups, in the order of their names."""
        return tuple(group.threshold for group in self.members.values())

    def with_thresholds(self, values: Sequence[float]) -> ImageGroups:
        """The same groups with other thresholds, in the order of their names."""
        pairs = zip(self.members.items(), values, strict=True)
        members = {name: replace(group, threshold=value) for (name, group), value in pairs}
        return replace(self, members=members)

    def same_rate(self, rule: ThresholdRule) -> ThresholdRule:
        """The rule with a false-alarm rate that all groups can have, where none was asked for."""
        if rule.name != thresholds.FALSE_ALARM_RATE or rule.parameter is not None:
            return rule
        rates = (thresholds.default_rate(group.calibration) for group in self.members.values())
        return ThresholdRule(rule.name, max(rates))

    def choose(self, rule: ThresholdRule) -> ImageGroups:
        """The groups with thresholds that the same rule finds on each one's own scores.

        Args:
            rule: any that is about one image.

        Raises:
            UserError: a group has too few images for the rate.
        """
        counts = {name: len(group.calibration) for name, group in self.members.items()}
        check_counts(self.rule.by, counts, rule.asked_rate)
        rule = self.same_rate(rule)
        found = (rule.choose(group.calibration, group.training) for group in self.members.values())
        return self.with_thresholds([threshold.value for threshold in found])

    def group_of(self, path: str) -> ImageGroup | None:
        """The group of an image; None where the model does not know it."""
        return self.members.get(self.rule.find(path, self.members) or "")

    def ranks(self) -> np.ndarray:
        """How strange the calibration images are among the others of their group.

        Returns:
            (n_images,) float64 in [-1, 0): what ``-p_value`` is for a new image of the group.
        """
        sizes = (len(group.calibration) for group in self.members.values())
        of_groups = (
            (thresholds.p_values(group.calibration, group.calibration) * (size + 1) - 1) / size
            for group, size in zip(self.members.values(), sizes, strict=True)
        )
        return -np.concatenate(list(of_groups))

    def __str__(self) -> str:
        shown = (f"{printable(name)} {group.threshold:.4f}" for name, group in self.members.items())
        return f"anomalies score above the threshold of their group: {', '.join(shown)}"


class UnknownGroups:
    """Counts images whose group a model does not know.

    Args:
        groups: that it knows, or None.
    """

    def __init__(self, groups: ImageGroups | None) -> None:
        self._groups = groups
        self._counts: Counter[str] = Counter()

    def add(self, path: str) -> bool:
        """Count an image; whether its group is seen for the first time, and unknown."""
        groups = self._groups
        if groups is None or groups.group_of(path) is not None:
            return False
        name = groups.rule.find(path, groups.members) or ""
        self._counts[name] += 1
        return self._counts[name] == 1

    def notices(self) -> list[str]:
        """A sentence about them, where there were some."""
        if not self._counts:
            return []
        listed = [printable(name) or "(no name)" for name in sorted(self._counts)[:_MOST_LISTED]]
        more = f" and {n} more" if (n := len(self._counts) - len(listed)) else ""
        total = self._counts.total()
        return [
            f"{counted(total, 'image')} {'is' if total == 1 else 'are'} of no group that the model "
            f"has learned ({', '.join(listed)}{more}), and judged by the images of all groups, "
            "which promises no false-alarm rate for them"
        ]


def refuse_groups(groups: object, path: str) -> None:
    """Refuse to validate a threshold for all images where a model has one for each group.

    Args:
        groups: of the model, or None.
        path: of its file.

    Raises:
        UserError: the model has groups.
    """
    if groups is not None:
        raise UserError(
            f"{printable(path)}: one threshold for all images is validated, and this model has one "
            "for each of its groups (--group-by)"
        )
