"""Isolation forest: grown by scikit-learn, kept as plain arrays and scored with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from pyimagesearch.detectors.array_checks import Array, check_rows, checked_count
from pyimagesearch.detectors.base import Relative, WholeImageDetector

# Trees are unrolled to equal depth; scikit-learn's end at depth log2(256 samples) = 8.
_MAX_UNROLLED_NODES = 2**25
MAX_SAMPLES = 256  # of the paper, section 4.1, and of scikit-learn
# Levels of all trees together, which is what scoring an item costs. At 100 trees, the usual
# number, labels change with the seed; with these the standard error of a score is 0.003 or less.
_TREES_TIMES_LEVELS = 16_000
_VALUES_AT_ONCE = 2**22  # of the rows that differ in one feature each
_ROWS_AT_ONCE = 16  # rows x trees stays in the processor's cache

_LEAF = -1
_MOST = 2**15 - 1  # features or samples that a model file may speak of


@dataclass(frozen=True)
class IsolationForestDetector(WholeImageDetector):
    """An isolation forest (Liu, Ting and Zhou, Isolation Forest, ICDM 2008).

    The trees stand one behind the other in flat arrays; ``left`` and ``right`` count nodes from
    the start of their own tree, and children come after their parent.

    Attributes:
        max_samples: number of items that each tree was grown from; sets the scale of the score.
        typical: (n_features,) float32, the medians of the items that it was fitted on.
        tree_start: (n_trees + 1,) int64, where each tree begins.
        feature: (n_nodes,) int16, the feature that a node asks for; -1 marks a leaf.
        threshold: (n_nodes,) float64; items at or below it go left.
        left, right: (n_nodes,) int32, the children; -1 at leaves.
        n_samples: (n_nodes,) int32, number of training items that reached the node.
    """

    name = "isolation-forest"
    ARRAYS: ClassVar = {
        "typical": Array(np.float32, ("n_features",)),
        "tree_start": Array(np.int64, ("n_trees + 1",)),
        "feature": Array(np.int16, ("n_nodes",)),
        "threshold": Array(np.float64, ("n_nodes",)),
        "left": Array(np.int32, ("n_nodes",)),
        "right": Array(np.int32, ("n_nodes",)),
        "n_samples": Array(np.int32, ("n_nodes",)),
    }

    max_samples: int
    typical: np.ndarray
    tree_start: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    n_samples: np.ndarray
    _levels: tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_levels", self._checked_levels())

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        *,
        max_samples: int = MAX_SAMPLES,
        n_estimators: int | None = None,
        seed: int = 42,
    ) -> Self:
        """Grow isolation trees: totally random ones, each from a sample without replacement.

        They are scikit-learn's trees with the settings that its ``IsolationForest`` gives them,
        grown directly: that class spends six times as long on bookkeeping for each tree, and
        leave-one-out calibration grows tens of thousands.

        Args:
            features: (n_items, n_features) float32, finite.
            max_samples: size of each tree's sample; at most n_items are taken.
            n_estimators: number of trees; None takes ``default_estimators``.
            seed: the same seed and rows in the same order give the same forest.
        """
        from sklearn import config_context
        from sklearn.tree import ExtraTreeRegressor

        random_state = np.random.RandomState(seed)
        n_items = len(features)
        max_samples = min(max_samples, n_items)
        tree = ExtraTreeRegressor(
            max_features=1, max_depth=_depth_limit(max_samples), random_state=random_state
        )
        trees = []
        with config_context(skip_parameter_validation=True, assume_finite=True):
            for _ in range(n_estimators or default_estimators(max_samples)):
                rows = random_state.permutation(n_items)[:max_samples]
                target = random_state.uniform(size=max_samples)  # without effect on random splits
                trees.append(tree.fit(features[rows], target, check_input=False).tree_)
        return cls.from_trees(trees, np.median(features, axis=0), max_samples)

    @classmethod
    def fit_options(cls, least_images: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The size of each tree's sample and the number of trees.

        Scores can be compared only between forests whose trees were grown from equal numbers.
        """
        max_samples = min(MAX_SAMPLES, least_images)
        n_estimators = asked.get("n_estimators") or default_estimators(max_samples)
        return {"max_samples": max_samples, "n_estimators": n_estimators}

    @classmethod
    def from_trees(cls, trees: list[Any], typical: np.ndarray, max_samples: int) -> Self:
        """Take over fitted trees.

        Args:
            trees: the ``tree_`` of each estimator of a scikit-learn forest.
            typical: (n_features,) the items' medians.
            max_samples: number of items that each tree was grown from.
        """

        def joined(attribute: str, dtype: type) -> np.ndarray:
            return np.concatenate([getattr(tree, attribute) for tree in trees]).astype(dtype)

        left = joined("children_left", np.int32)
        leaf = left < 0
        sizes = [tree.node_count for tree in trees]
        return cls(
            max_samples=max_samples,
            typical=typical.astype(np.float32),
            tree_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            feature=np.where(leaf, np.int16(_LEAF), joined("feature", np.int16)),
            threshold=np.where(leaf, 0.0, joined("threshold", np.float64)),
            left=left,
            right=joined("children_right", np.int32),
            n_samples=joined("n_node_samples", np.int32),
        )

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.typical)

    def parameters(self) -> dict[str, Any]:
        return {"n_features": self.n_features, "max_samples": self.max_samples}

    @classmethod
    def checked_fields(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Its ``max_samples``; raises ``ValueError`` where that is no number of samples."""
        checked_count(parameters, "n_features", most=_MOST)
        return {"max_samples": checked_count(parameters, "max_samples", most=_MOST)}

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores: scikit-learn's ``-score_samples``.

        Args:
            features: (n_items, n_features) float32.

        Returns:
            (n_items,) float64 in (0, 1]; ``2 ** (-mean path length / c(max_samples))``, section 3
            of the paper. A row's score does not depend on the other rows.

        Raises:
            ValueError: another number of features than the forest was fitted on.
        """
        features = np.ascontiguousarray(features, np.float32)
        check_rows(features, self.n_features, f"a forest of {self.n_features} features")
        scores = np.empty(len(features))
        for start in range(0, len(features), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            path_lengths = self._path_lengths(features[rows])
            scores[rows] = 2.0 ** (-path_lengths / _average_path_length(self.max_samples))
        return scores

    def heat(self, features: np.ndarray, relative: Relative) -> np.ndarray:
        """Give the most anomalous feature the image's own score, the others their share of it.

        Args:
            features: (n_features,) of one image.
            relative: takes scores to the scale where 0 is typical and 1 the threshold.

        Returns:
            (n_features,) float64; what exceeds 1 is anomalous.
        """
        contributions = self.contributions(features)
        score, most = relative(self.score(features[None])[0]), contributions.max()
        if most == 0 and score > 1:  # the verdict rests on what no single feature shows
            return np.full(self.n_features, score)
        return score * contributions / (most or 1)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """Find what an image has too much of: how far its score falls without each surplus.

        Args:
            features: (n_features,) of one image.

        Returns:
            (n_features,) float64, not negative; 0 where the image has no more than is typical.
        """
        is_asked = np.zeros(self.n_features, bool)
        is_asked[self.feature[self.feature != _LEAF]] = True
        # Elsewhere nothing would change.
        surplus = np.flatnonzero(is_asked & (features > self.typical))
        score = self.score(features[None])[0]
        contributions = np.zeros(self.n_features)
        at_once = max(_VALUES_AT_ONCE // self.n_features, 1)
        for start in range(0, len(surplus), at_once):
            some = surplus[start : start + at_once]
            rows = np.repeat(features[None], len(some), axis=0)
            rows[np.arange(len(some)), some] = self.typical[some]
            contributions[some] = np.maximum(score - self.score(rows), 0.0)
        return contributions

    def typical_features(self) -> np.ndarray:
        """The medians of the images that it was fitted on."""
        return self.typical

    def _path_lengths(self, rows: np.ndarray) -> np.ndarray:
        # All trees descend together: at depth d the node at position i of tree t is number
        # t * 2**d + i of its level, so that its children are 2 * number and 2 * number + 1.
        splits, leaf_depths = self._levels
        n_trees = len(self.tree_start) - 1
        row_start = np.arange(len(rows))[:, None] * self.n_features
        flat = rows.ravel()
        node = np.tile(np.arange(n_trees), (len(rows), 1))
        for feature, threshold in splits:
            goes_right = flat.take(feature.take(node) + row_start) > threshold.take(node)
            node <<= 1
            node += goes_right
        return leaf_depths.take(node).sum(axis=1) / n_trees

    def _checked_levels(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Unroll the trees to equal depth, level by level, and refuse what is no forest."""
        start, left, right = (
            self.tree_start,
            self.left.astype(np.int64),
            self.right.astype(np.int64),
        )
        n_nodes = len(self.feature)
        if len(start) < 2 or start[0] != 0 or start[-1] != n_nodes or (np.diff(start) < 1).any():
            raise ValueError("the forest's trees do not cover its nodes")
        own = np.arange(n_nodes) - np.repeat(start[:-1], np.diff(start))
        size = np.repeat(np.diff(start), np.diff(start))
        inner = self.feature != _LEAF
        for child in (left, right):
            if ((child < 0) | (child >= size))[inner].any():
                raise ValueError("a node of the forest points outside its tree")
            if (child <= own)[inner].any():
                raise ValueError("a node of the forest points back: its tree has a cycle")
        if ((self.feature < 0) | (self.feature >= self.n_features))[inner].any():
            raise ValueError(f"a node asks for a feature beyond the {self.n_features} there are")
        if ((self.n_samples < 1) | (self.n_samples > self.max_samples)).any():
            raise ValueError("a node of the forest has no samples, or more than its tree")

        first = np.repeat(start[:-1], np.diff(start))
        splits = []
        node = start[:-1].copy()
        depth = np.zeros(len(node))
        while inner[node].any():
            if 2 * len(node) > _MAX_UNROLLED_NODES:
                raise ValueError("the forest's trees are too many or too deep")
            is_inner = inner[node]
            # An unrolled leaf sends everything left: its threshold is infinite.
            splits.append(
                (
                    np.where(is_inner, self.feature[node], 0).astype(np.int16),
                    np.where(is_inner, _at_most(self.threshold[node]), np.float32(np.inf)),
                )
            )
            children = [
                np.where(is_inner, first[node] + child[node], node) for child in (left, right)
            ]
            node = np.stack(children, axis=1).ravel()
            depth = np.repeat(depth + is_inner, 2)
        return splits, depth + _average_path_length(self.n_samples[node])


def default_estimators(max_samples: int) -> int:
    """The number of trees of a forest that are grown from ``max_samples`` items each."""
    return _TREES_TIMES_LEVELS // _depth_limit(max_samples)


def _depth_limit(max_samples: int) -> int:
    """The depth at which trees stop growing: about the average, section 4.1 of the paper."""
    return int(np.ceil(np.log2(max(max_samples, 2))))


def _at_most(threshold: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above: x <= it exactly when x <= threshold, for float32 x."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _average_path_length(n: int | np.ndarray) -> np.ndarray:
    """Mean depth of an unsuccessful search among n items: c(n), equation 1 of the paper."""
    # From a table: a forest has many thousands of leaves, but few different sizes.
    size = np.arange(np.max(n) + 1, dtype=np.float64)
    table = np.zeros(len(size))
    table[2:3] = 1.0
    table[3:] = 2.0 * (np.log(size[2:-1]) + np.euler_gamma) - 2.0 * size[2:-1] / size[3:]
    return table[n]
