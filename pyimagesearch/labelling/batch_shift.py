"""Has the whole batch shifted? A test with a false-alarm rate of its own.

A new lamp, a knocked lens or another camera moves most images of a batch together, and then
neither scores nor their false-alarm rate mean what they did. A few anomalies, on the other hand,
move a few images as far as they like. So one thing is counted, for the scores and for each of
the capture conditions of the images: how many images of the batch lie beyond a quantile of the
normal ones.

The count's law. Let a batch have n normal images, exchangeable with m that are known, and let t
be the known value that exactly a others exceed. How many of the n exceed t depends on no
distribution: all orders of the m + n are equally probable. This is the precedence test (Mathisen,
A Method of Testing the Hypothesis that Two Samples are from the Same Population, Annals of
Mathematical Statistics 14, 1943), and the law is the beta-binomial one of the number of conformal
p-values below a level (Vovk, Conditional validity of inductive conformal predictors, Machine
Learning 92, 2013; Bates, Candes, Lei, Romano and Sesia, Testing for outliers with conformal
p-values, Annals of Statistics 51, 2023). It is exact for few known images, too. Ties are counted
as if they did not exceed, which errs on the side of silence.

Anomalies. If at most c of the images are not normal, the count exceeds that of the normal
ones by at most c, whatever the anomalies look like: Huber's neighbourhood of a distribution (A
robust version of the probability ratio test, Annals of Mathematical Statistics 36, 1965). So c are
taken off the count, and off the batch. This makes the test conservative, and also forgives known
images that are not quite exchangeable with new ones: scores of cross-validation, training sets
with a few anomalies.

All tests share the rate (Bonferroni), as Rabanser, Günnemann and Lipton recommend, who found tests
of one number each as good at finding shifts as those of many at once (Failing Loudly: An Empirical
Study of Methods for Detecting Dataset Shift, NeurIPS 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pyimagesearch.labelling.capture_conditions import CONDITIONS, UNNOTICED, Condition

# At most this share of batches in which nothing has shifted gets a notice ...
FALSE_NOTICE_RATE = 0.01
# ... while no more than this share of their images are anomalies.
MOST_ANOMALIES = 0.25
# Of fewer, not even all can be beyond a quantile so improbably.
LEAST_IMAGES = 10
# Of so many images of a batch, or of half of them, it is said how far they have moved.
_MOST_KEPT = 2_000
# Beyond which share of the known images it is counted.
_LEVELS = (0.5, 0.75)
_LEVEL_WORDS = ("half", "three quarters")
# What is counted: scores; conditions that are larger than usual; conditions that are smaller.
_COLUMNS: list[tuple[Condition | None, str]] = [
    (None, "stranger"),
    *((condition, condition.more) for condition in CONDITIONS),
    *((condition, condition.less) for condition in CONDITIONS),
]


def chance_of_count(count: int, n_new: int, n_known: int, n_above: int) -> float:
    """The chance that so many new values are above a known one, if all are exchangeable.

    Args:
        count: of the new values that exceed the known value, at least.
        n_new: number of new values.
        n_known: number of known values.
        n_above: how many of the known values exceed that one, below ``n_known``.

    Returns:
        The probability of that count or a larger one.
    """
    if count <= 0:
        return 1.0
    if count > n_new:
        return 0.0
    # At least that many are above just when, among the n_above + count highest of all, at most
    # n_above are known ones, whose number is hypergeometric.
    n_highest = n_above + count
    least = max(0, n_highest - n_new)
    first = (
        _log_choose(n_known, least)
        + _log_choose(n_new, n_highest - least)
        - _log_choose(n_known + n_new, n_highest)
    )
    i = np.arange(least, n_above)
    ratios = (n_known - i) * (n_highest - i) / ((i + 1) * (n_new - n_highest + i + 1))
    logs = first + np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    highest = logs.max()
    return min(1.0, math.exp(highest) * float(np.exp(logs - highest).sum()))


def _n_above(level: float, n_known: int) -> int:
    """How many of the known values are above that which is their quantile."""
    return round((1 - level) * (n_known - 1))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@dataclass(frozen=True)
class Shift:
    """Something that most images of a batch have more of than most normal ones.

    Attributes:
        condition: which of the conditions; None of the scores.
        word: what the images are, as a comparative.
        count: of the batch's images beyond the quantile.
        level: number of the quantile.
        chance: at most that of such a count where nothing has shifted.
        amount: by how much the middle image of the batch differs from that of training, such as
            "45%"; empty of scores, and where it does not differ that way.
    """

    condition: Condition | None
    word: str
    count: int
    level: int
    chance: float
    amount: str = ""

    @property
    def is_of_scores(self) -> bool:
        """Whether it is one of the scores."""
        return self.condition is None


class Batch:
    """Counts the images of a batch as they come, in memory that does not grow with it."""

    def __init__(self, scores: np.ndarray, conditions: np.ndarray | None) -> None:
        """Find the quantiles.

        Args:
            scores: (n,) of normal images that the detector was not fitted on.
            conditions: (m, len(CONDITIONS)) of training images, or None.
        """
        # Scores that fall are no cause for concern: what dulls images shows in their conditions,
        # and images that the model has learned by heart score low.
        columns, margins = [np.asarray(scores)], [0.0]
        if conditions is not None:
            columns += [*conditions.T, *-conditions.T]
            margins += [*UNNOTICED, *UNNOTICED]
        self._n_known = [len(known) for known in columns]
        # Counting beyond some more than the quantile can but lower a count.
        self._limits = np.empty((len(_LEVELS), len(columns)))
        for column, (known, margin) in enumerate(zip(columns, margins, strict=True)):
            places = [len(known) - 1 - _n_above(level, len(known)) for level in _LEVELS]
            self._limits[:, column] = np.sort(known)[places] + margin
        self._counts = np.zeros(self._limits.shape, np.int64)
        self._usual = None if conditions is None else np.median(conditions, axis=0)
        self._kept: list[np.ndarray] = []
        self._keep_every = 1
        self.n_images = 0
        self.n_measured = 0

    def add(self, score: float | None, conditions: np.ndarray | None) -> None:
        """Count one image of the batch.

        Args:
            score: None of an unreadable image, which does not count.
            conditions: (len(CONDITIONS),); None where they were not measured, or cannot be
                compared.
        """
        if score is None:
            return
        self.n_images += 1
        row = np.full(self._limits.shape[1], -np.inf)
        row[0] = score
        if conditions is not None and len(row) > 1:
            self._keep(conditions)
            self.n_measured += 1
            row[1 : 1 + len(conditions)] = conditions
            row[1 + len(conditions) :] = -conditions
        self._counts += row > self._limits

    def _keep(self, conditions: np.ndarray) -> None:
        """Keep every image's, then every second's, fourth's ..., so that they are never many."""
        if self.n_measured % self._keep_every == 0:
            self._kept.append(conditions)
        if len(self._kept) == _MOST_KEPT:
            self._kept = self._kept[::2]
            self._keep_every *= 2

    def shifts(self) -> list[Shift]:
        """What has shifted, the least probable first; empty for small batches."""
        rate = FALSE_NOTICE_RATE / self._counts.size
        found = []
        for (level, column), count in np.ndenumerate(self._counts):
            condition, word = _COLUMNS[column]
            n_new = self.n_images if condition is None else self.n_measured
            if n_new < LEAST_IMAGES:
                continue
            n_anomalies = math.floor(MOST_ANOMALIES * n_new)
            n_known = self._n_known[column]
            n_above = _n_above(_LEVELS[level], n_known)
            chance = chance_of_count(
                int(count) - n_anomalies, n_new - n_anomalies, n_known, n_above
            )
            if chance <= rate:
                amount = self._amount(condition, word)
                found.append(Shift(condition, word, int(count), level, chance, amount))
        return sorted(found, key=lambda shift: shift.chance)

    @property
    def conditions_have_shifted(self) -> bool:
        """Whether any of the capture conditions has."""
        return any(not shift.is_of_scores for shift in self.shifts())

    def _amount(self, condition: Condition | None, word: str) -> str:
        if condition is None or self._usual is None:
            return ""
        column = CONDITIONS.index(condition)
        usual = float(self._usual[column])
        middle = float(np.median([row[column] for row in self._kept]))
        is_that_way = middle > usual if word == condition.more else middle < usual
        return condition.difference(middle, usual) if is_that_way else ""

    def notices(self) -> list[str]:
        """Whole sentences on what has shifted, for warnings and reports; mostly none."""
        shifts = self.shifts()
        advice = (
            "Where that is to stay, let the model learn good images taken like these, too: by "
            "training with --update, or training again with all of them. Where nothing has "
            f"shifted and at most {MOST_ANOMALIES:.0%} of the images are anomalies, such a notice "
            f"comes in at most {FALSE_NOTICE_RATE:.0%} of the batches."
        )
        foremost: dict[str, Shift] = {}
        for shift in shifts:
            if shift.condition is not None:
                foremost.setdefault(shift.condition.family, shift)
        found = []
        if foremost:
            found.append(
                f"the whole batch looks shifted: {self._compared(list(foremost.values()))}. Unless "
                "most of them are anomalies, light, camera or focus has changed: look at that "
                "before the parts, since the false-alarm rate no longer holds."
            )
        for shift in [shift for shift in shifts if shift.is_of_scores][:1]:
            found.append(
                f"{shift.count:,} of {self.n_images:,} images look {shift.word} than "
                f"{_LEVEL_WORDS[shift.level]} of the normal ones: either most of them are "
                "anomalies, or all were taken under other conditions than the training images, "
                "and then the false-alarm rate no longer holds."
            )
        return [f"{sentence} {advice}" for sentence in found[:1]] + found[1:]

    def _compared(self, shifts: list[Shift]) -> str:
        """Such as: 49 of 50 images are darker (typically by 9%) than half of the training ones."""
        found = []
        for level, of_known in enumerate(_LEVEL_WORDS):
            said = [
                f"{s.count:,} {s.word}" + (f" (typically by {s.amount})" if s.amount else "")
                for s in shifts
                if s.level == level
            ]
            if said:
                found.append(f"{', '.join(said)} than {of_known} of the training images")
        first_number, rest = found[0].split(" ", 1)
        measured = "" if self.n_measured == self.n_images else "measured "
        found[0] = f"{first_number} of {self.n_measured:,} {measured}images are {rest}"
        return ", and ".join(found)
