"""Have the parts of a line drifted? A conformal test martingale with a false-alarm rate for ever.

A batch can be tested once, at its end (``labelling.batch_shift``). A line has no end, and a test
that is made again and again finds something at last. So there is a bet after each part that it
looks like those before. Where nothing changes nobody wins such bets in the long run: a wealth that
begins with 1 reaches 100 in at most 1% of all lines, however long they are (Ville, Étude critique
de la notion de collectif, 1939). That is a notice. It is counted for the scores and for each
capture condition, in both directions, and these share the rate (Bonferroni).

Calibration scores are by detectors that learned fewer images, and rather too high. So scores that
rise are ranked among those, too, and scores that fall among earlier ones of the line alone.

The ranks. Each value is ranked among those of calibration and all earlier ones of the line, where
equal ones are ordered at random. If all of them are exchangeable, these conformal p-values are
independent and uniform, whatever the distribution (Vovk, Nouretdinov and Gammerman, Testing
exchangeability on-line, ICML 2003). Ranked among a fixed set alone they would not be: what is odd
about a calibration set shows in the end. To rank them exactly in memory that does not grow, at most
``MOST_EDGES`` values are kept, the first ones or a random choice of those of calibration; of all
others it is counted between which two of these they lie. A new one takes a random rank among those
in its interval. That changes nothing: by exchangeability the next value lies in an interval that
holds k with a chance in proportion to k + 1, whatever the counts before were (Pólya's urn), and
that is the number of ranks that the interval has.

Defects. No bet may pay much for a few odd parts. A bet on a p-value p is 1 + stake * (s - c), where
s falls in a line from 1 to -1 with p / (1 - c), from where that is 1 on stays -1, and c is
``MOST_DEFECTS``. With a chance of at most c the next part is a defect, and s at most 1. Otherwise
it is exchangeable with the other normal ones, and while at most a share c of those that it is
ranked with are defects, p / (1 - c) is at least its rank among the normal ones, so that s is 0 or
less on average. In both cases together s - c is 0 or less on average, and nobody wins: Huber's
neighbourhood of a distribution (A robust version of the probability ratio test, Annals of
Mathematical Statistics 36, 1965). The other direction is that of 1 - p.

Restarts. Who has bet for 5,000 parts on a change has lost all when it comes. So a small part of the
wealth is held back for bets that begin with each later part, less and less of it: a mixture of
martingales is one. (Volkhonskiy et al., Inductive conformal martingales for change-point
detection, COPA 2017; Shin, Ramdas and Rinaldo, E-detectors, 2023, who do not hold back but count
all restarts in full, which bounds the mean time to a false alarm alone.)
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import zipfile
from collections import deque
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from pyimagesearch.labelling.capture_conditions import CONDITIONS, UNNOTICED
from pyimagesearch.runtime.console import counted

# At most this share of lines in which nothing changes ever gets a notice ...
FALSE_NOTICE_RATE = 0.01
# ... while no more than this share of their parts are defects.
MOST_DEFECTS = 0.05
MOST_EDGES = 255  # so that a value is found by 8 comparisons
_N_COMPARISONS = 8
# Of what may be lost at most. More than one, since small changes are found by small stakes.
_STAKES = np.array([0.9, 0.5])
_SCALE = 1_000  # parts within which about the same is bet anew with each: see _held_back
_N_RECENT = 200  # parts that a notice may speak of
_WINDOWS = (20, 50, 100, _N_RECENT)
_STATE_VERSION = 1
# The kinds of values: scores with those of calibration, scores without, capture conditions.
_RISING, _FALLING, _FIRST_CONDITION = range(3)


class Ranks:
    """Conformal p-values of values that come one by one, of several kinds side by side.

    Args:
        known: of each kind, (n,) values of calibration.
        margins: (n_kinds,) differences that are of no account.
        rng: orders equal values.
    """

    def __init__(
        self, known: Sequence[np.ndarray], margins: np.ndarray, rng: np.random.Generator
    ) -> None:
        self._rng, self._margins = rng, margins
        shape = (len(known), MOST_EDGES)
        # In ascending order, first by the value and then by what orders equal ones.
        self.edges, self.tie_breaks = np.full(shape, np.inf), np.zeros(shape)
        self.n_edges = np.array([min(len(values), MOST_EDGES) for values in known])
        # How many ranks there are in an interval and those above; the first is below all edges.
        self.ranks_from = np.zeros((len(known), MOST_EDGES + 2), np.int64)
        for kind, values in enumerate(known):
            n_edges, tie_breaks = self.n_edges[kind], rng.random(len(values))
            order = np.lexsort((tie_breaks, values))
            is_edge = rng.permutation(len(values)) < n_edges
            self.edges[kind, :n_edges] = values[order][is_edge]
            self.tie_breaks[kind, :n_edges] = tie_breaks[order][is_edge]
            intervals = np.cumsum(is_edge)[~is_edge]
            n_ranks = 1 + np.bincount(intervals, minlength=n_edges + 1)
            self.ranks_from[kind, : n_edges + 1] = n_ranks[::-1].cumsum()[::-1]

    def add(self, values: np.ndarray) -> np.ndarray:
        """Rank the next values, and keep them.

        Args:
            values: (n_kinds,); NaN where there is none of a kind.

        Returns:
            (n_kinds, 2) p-values: small where the value is higher, and where it is lower, than
            others by more than the margin. NaN where there is none.
        """
        is_there = ~np.isnan(values)
        tie_breaks, within = self._rng.random(len(values)), 1 - self._rng.random(len(values))
        compared = values + np.stack([-self._margins, self._margins, np.zeros(len(values))])
        intervals = self._intervals(compared, tie_breaks)
        kinds, n_ranks = np.arange(len(values)), self.ranks_from[:, 0]
        above = self.ranks_from[kinds, intervals[:2] + 1]
        inside = self.ranks_from[kinds, intervals[:2]] - above
        higher, lower = (above + within * inside) / n_ranks
        self._keep(values, tie_breaks, np.where(is_there, intervals[2], -1))
        return np.where(is_there, [higher, 1 - lower], np.nan).T

    def _intervals(self, values: np.ndarray, tie_breaks: np.ndarray) -> np.ndarray:
        """How many edges are below (..., n_kinds) values, by bisection."""
        found = np.zeros(values.shape, np.intp)
        # Places in the flat array, from the edge before the first of each kind.
        starts = np.arange(values.shape[-1]) * MOST_EDGES - 1
        for bit in reversed(range(_N_COMPARISONS)):
            tried = found + (1 << bit)
            edges = self.edges.take(starts + tried)
            is_below = edges < values
            if (is_equal := edges == values).any():
                is_below |= is_equal & (self.tie_breaks.take(starts + tried) < tie_breaks)
            found = np.where(is_below, tried, found)
        return found

    def _keep(self, values: np.ndarray, tie_breaks: np.ndarray, intervals: np.ndarray) -> None:
        """Keep values of which the interval is not -1."""
        self.ranks_from += np.arange(MOST_EDGES + 2) <= intervals[:, None]
        growing = np.flatnonzero((self.n_edges < MOST_EDGES) & (intervals >= 0))
        if not len(growing):
            return
        # Few values so far: this one becomes an edge.
        at, places = intervals[growing, None], np.arange(MOST_EDGES)
        source = places - (places > at)
        for kept, new in ((self.edges, values), (self.tie_breaks, tie_breaks)):
            moved = np.take_along_axis(kept[growing], source, axis=1)
            kept[growing] = np.where(places == at, new[growing, None], moved)
        self.n_edges[growing] += 1
        n_ranks = self.n_edges[growing, None] + 1
        self.ranks_from[growing] = np.maximum(n_ranks - np.arange(MOST_EDGES + 2), 0)

    def middle(self, kind: int) -> float:
        """About the median of the values so far."""
        ranks = self.ranks_from[kind]
        interval = int(np.count_nonzero(ranks > ranks[0] / 2)) - 1
        return float(self.edges[kind, min(max(interval, 0), self.n_edges[kind] - 1)])


class Wealth:
    """What bets on small p-values have won, each kind and direction by itself.

    Args:
        n_kinds: number of kinds.
    """

    def __init__(self, n_kinds: int) -> None:
        self.invested = np.zeros((n_kinds, 2, len(_STAKES)))
        self.n_bets = np.zeros(n_kinds, np.int64)

    def add(self, p_values: np.ndarray) -> np.ndarray:
        """Bet on the next p-values.

        Args:
            p_values: (n_kinds, 2); NaN where there is no bet.

        Returns:
            (n_kinds, 2) what each has now, 1 at the beginning.
        """
        is_bet = ~np.isnan(p_values[:, 0])
        before, after = _held_back(self.n_bets), _held_back(self.n_bets + 1)
        s = 1 - 2 * np.minimum(p_values / (1 - MOST_DEFECTS), 1)
        stakes = _STAKES / (1 + MOST_DEFECTS)
        factors = 1 + stakes * (s - MOST_DEFECTS)[..., None]
        won = (self.invested + (before - after)[:, None, None]) * factors
        self.invested[is_bet] = won[is_bet]
        self.n_bets += is_bet
        return self.invested.mean(axis=-1) + _held_back(self.n_bets)[:, None]


def _held_back(n_bets: np.ndarray) -> np.ndarray:
    """The share of the wealth that is held back for later bets.

    It falls as slowly as a logarithm grows: a change after a million parts is found, too, only
    later than one after a thousand.
    """
    return 1 / (1 + np.log1p(n_bets / _SCALE))


class ConformalTestMartingale:
    """Notices that the parts of a line drift, from their scores and capture conditions.

    At most ``FALSE_NOTICE_RATE`` of the lines in which nothing changes ever get a notice, until one
    is reset. After that each stretch is as safe, if when it begins has nothing to do with the
    calibration scores; that there is one because of a false notice is no such case.

    Args:
        scores: (n,) of normal images that the detector was not fitted on.
        conditions: (m, len(CONDITIONS)) of training images, or None.
        seed: of the order of equal values.

    Attributes:
        n_parts: that were added since the beginning, or the last reset.
    """

    def __init__(
        self, scores: np.ndarray, conditions: np.ndarray | None = None, seed: int = 0
    ) -> None:
        self._known, self._margins = known_values(scores, conditions)
        self._limits = limits(len(self._known))
        self._rng = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """Begin anew, with what is known from calibration: what had changed is as it was.

        Where the change is to stay, the model has to learn it, and its new scores are the ones to
        begin with.
        """
        self._ranks = Ranks(self._known, self._margins, self._rng)
        self._wealth = Wealth(len(self._known))
        self._recent: deque[np.ndarray] = deque(maxlen=_N_RECENT)
        self._has_drifted = False
        self.n_parts = 0

    @property
    def has_drifted(self) -> bool:
        """Whether a notice was given; until a reset, there is no other."""
        return self._has_drifted

    def add(self, score: float, conditions: np.ndarray | None = None) -> str | None:
        """Add the next part.

        Args:
            score: one that is no finite number says nothing, and is left out.
            conditions: (len(CONDITIONS),); None where they were not measured.

        Returns:
            A sentence, where it has just become clear that the parts drift.
        """
        if self._has_drifted or not math.isfinite(score):
            return None
        values = np.full(len(self._known), np.nan)
        values[:_FIRST_CONDITION] = score
        if conditions is not None and len(values) > _FIRST_CONDITION:
            values[_FIRST_CONDITION:] = conditions
        self.n_parts += 1
        self._recent.append(values)
        wealth = self._wealth.add(self._ranks.add(values)) / self._limits
        if wealth.max() < 1:
            return None
        self._has_drifted = True
        return self._notice(*np.unravel_index(wealth.argmax(), wealth.shape))

    def _notice(self, kind: int, is_lower: int) -> str:
        usual, sign = self._ranks.middle(kind), -1 if is_lower else 1
        values = np.array([row[kind] for row in self._recent if not np.isnan(row[kind])])
        is_beyond = sign * (values - usual) > self._margins[kind]
        # Of the latest parts, as many as show it best.
        n_parts = max(
            (min(n, len(values)) for n in _WINDOWS),
            key=lambda n: (is_beyond[-n:].sum() - n / 2) / math.sqrt(n),
        )
        change = "look less strange" if is_lower else "look stranger"
        meaning = (
            "Light, camera or focus may have changed, and then defects may pass"
            if is_lower
            else "Either many of them are defects, or light, camera or focus has changed, and then "
            "the false-alarm rate no longer holds"
        )
        if kind >= _FIRST_CONDITION:
            condition = CONDITIONS[kind - _FIRST_CONDITION]
            word = condition.less if is_lower else condition.more
            amount = condition.difference(float(np.median(values[-n_parts:])), usual)
            change = f"are {word} (typically by {amount})"
            meaning = (
                "Light, camera or focus has changed: look at that before the parts, since the "
                "false-alarm rate no longer holds"
            )
        return (
            f"the line has drifted: {is_beyond[-n_parts:].sum()} of the last "
            f"{counted(n_parts, 'part')} {change} than half of those before. {meaning}. Where "
            f"nothing changes and at most {MOST_DEFECTS:.0%} of the parts are defects, at most "
            f"{FALSE_NOTICE_RATE:.0%} of the lines ever get such a notice before their first reset."
        )

    def state(self) -> str:
        """All that it knows beside the calibration, as text that does not grow with the line."""
        content = io.BytesIO()
        np.savez_compressed(content, **self._arrays())
        return json.dumps(
            {
                "version": _STATE_VERSION,
                "calibration": self._digest(),
                "has_drifted": self._has_drifted,
                "parts": self.n_parts,
                "rng": self._rng.bit_generator.state,
                "arrays": base64.b64encode(content.getvalue()).decode(),
            }
        )

    @classmethod
    def restore(cls, state: str, scores: np.ndarray, conditions: np.ndarray | None = None) -> Self:
        """Go on where another one was.

        Args:
            state: its ``state()``.
            scores, conditions: those it began with.

        Raises:
            ValueError: it is the state of a line with another calibration, or damaged.
        """
        found = cls(scores, conditions)
        try:
            said = json.loads(state)
            version, digest = said["version"], said["calibration"]
            if (version, digest) == (_STATE_VERSION, found._digest()):
                found._take(said)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"what was kept of the line's drift is damaged: {error}") from error
        if (version, digest) != (_STATE_VERSION, found._digest()):
            raise ValueError(
                "what was kept of the line's drift belongs to another model or version"
            )
        return found

    def _digest(self) -> str:
        """Of what it began with."""
        digest = hashlib.sha256()
        for values in self._known:
            digest.update(len(values).to_bytes(8) + values.astype("<f8").tobytes())
        return digest.hexdigest()

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "edges": self._ranks.edges,
            "tie_breaks": self._ranks.tie_breaks,
            "n_edges": self._ranks.n_edges,
            "ranks_from": self._ranks.ranks_from,
            "invested": self._wealth.invested,
            "n_bets": self._wealth.n_bets,
            "recent": np.array(self._recent).reshape(-1, len(self._known)),
        }

    def _take(self, said: dict[str, Any]) -> None:
        content = io.BytesIO(base64.b64decode(said["arrays"]))
        expected = self._arrays()
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in expected}
        for name, array in arrays.items():
            rows = slice(1 if name == "recent" else 0, None)
            if array.dtype != expected[name].dtype or (
                array.shape[rows] != expected[name].shape[rows]
            ):
                raise ValueError(f"{name} has another shape")
        self._ranks.edges, self._ranks.tie_breaks = arrays["edges"], arrays["tie_breaks"]
        self._ranks.n_edges, self._ranks.ranks_from = arrays["n_edges"], arrays["ranks_from"]
        self._wealth.invested, self._wealth.n_bets = arrays["invested"], arrays["n_bets"]
        self._recent.extend(arrays["recent"])
        self._has_drifted, self.n_parts = bool(said["has_drifted"]), int(said["parts"])
        self._rng.bit_generator.state = said["rng"]


def known_values(
    scores: np.ndarray, conditions: np.ndarray | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """What is known of each kind of values before the first part.

    Args:
        scores, conditions: as of ``ConformalTestMartingale``.

    Returns:
        The arguments ``known`` and ``margins`` of ``Ranks``: for scores, for scores that are ranked
        among those of the line alone, and for each capture condition.
    """
    known, margins = [np.asarray(scores, float), np.empty(0)], np.zeros(_FIRST_CONDITION)
    if conditions is None:
        return known, margins
    return known + list(np.asarray(conditions, float).T), np.append(margins, UNNOTICED)


def limits(n_kinds: int) -> np.ndarray:
    """What wealth is a notice, for (n_kinds, 2) bets that share the rate.

    A half of it, or all where there are no capture conditions, is for the scores.
    """
    n_conditions = n_kinds - _FIRST_CONDITION
    shares = np.full((n_kinds, 2), 0.25 / max(n_conditions, 1))
    shares[_RISING] = shares[_FALLING] = 0
    shares[_RISING, 0] = shares[_FALLING, 1] = 0.25 if n_conditions else 0.5
    with np.errstate(divide="ignore"):
        return 1 / (FALSE_NOTICE_RATE * shares)
