"""Chains of operators that mostly fit together, so that the runtime opens and runs them."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.system.fuzz.mutate import edge

_UNARY = (
    *("Relu", "Sigmoid", "Exp", "Log", "Sqrt", "Reciprocal", "Softplus", "Neg", "Tanh", "Abs"),
    *("HardSwish", "Erf", "Floor", "Elu", "LeakyRelu", "Identity", "GlobalAveragePool", "Softmax"),
)
_BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")
_NUMBERS = (0.0, 1.0, -1.0, 0.5, 1e-38, 1e38, 3e38, -1e30, float("nan"), float("inf"))


class Chain:
    """A graph that grows by one operator at a time, from ``picture`` on.

    Args:
        rng: decides.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._channels = 3
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last = "picture"
        steps: tuple[Callable[[], None], ...] = (
            *(self._convolve, self._convolve, self._apply, self._apply, self._combine, self._pool),
            *(self._normalise, self._join, self._turn, self._surround, self._cut, self._enlarge),
            *(self._reshape, self._multiply),
        )
        for _ in range(rng.randrange(1, 8)):
            rng.choice(steps)()

    def _size(self) -> int:
        """Mostly a usual number, now and then one at which things go wrong."""
        rng = self._rng
        return edge(rng, 4) if rng.random() < 0.03 else rng.choice((0, 1, 1, 2, 2, 3, 4, 7, 8))

    def _add(self, operator: str, *inputs: str, **attributes: object) -> None:
        name = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *inputs], [name], **attributes))
        self.last = name

    def _weight(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def _floats(self, *shape: int) -> str:
        rng = self._rng
        values = np.random.default_rng(rng.randrange(99)).standard_normal(shape)
        if rng.random() < 0.1:
            values = np.full(shape, rng.choice(_NUMBERS))
        return self._weight(values.astype(np.float32))

    def _integers(self, *values: int) -> str:
        return self._weight(np.array([value % 2**63 for value in values], np.int64))

    def _convolve(self) -> None:
        side, more = self._rng.choice((1, 3, 5)), self._rng.choice((1, 4, 8))
        weights = self._floats(more, self._channels, side, side)
        chosen = {
            "strides": [max(self._size(), 1)] * 2,
            "pads": [self._size() for _ in range(4)],
            "dilations": [1 + self._size()] * 2,
        }
        names = self._rng.sample(list(chosen), self._rng.randrange(3))
        self._add("Conv", weights, **{name: chosen[name] for name in names})
        self._channels = more

    def _apply(self) -> None:
        self._add(self._rng.choice(_UNARY))

    def _combine(self) -> None:
        number = self._weight(np.float32(self._rng.choice(_NUMBERS)))
        self._add(self._rng.choice(_BINARY), self._rng.choice((number, self.last)))

    def _pool(self) -> None:
        kind, side = self._rng.choice(("MaxPool", "AveragePool")), max(self._size(), 1)
        self._add(kind, kernel_shape=[side, side], strides=[max(self._size(), 1)] * 2)

    def _normalise(self) -> None:
        four = [self._floats(self._channels) for _ in range(4)]
        self._add("BatchNormalization", *four, epsilon=self._rng.choice((1e-5, 0.0)))

    def _join(self) -> None:
        axis = self._rng.choice((1, 1, 2, 3))
        self._add("Concat", self.last, axis=axis)
        self._channels *= 2 if axis == 1 else 1

    def _turn(self) -> None:
        self._add("Transpose", perm=self._rng.choice(([0, 1, 3, 2], [0, 2, 3, 1], [1, 0, 2, 3])))

    def _surround(self) -> None:
        amounts = [0, 0, self._size(), self._size(), 0, 0, self._size(), self._size()]
        self._add("Pad", self._integers(*amounts), mode=self._rng.choice(("constant", "reflect")))

    def _cut(self) -> None:
        start, end = self._size(), self._size() + 8
        self._add("Slice", *(self._integers(number) for number in (start, end, 2)))

    def _enlarge(self) -> None:
        side, stride = self._rng.choice((1, 2, 3)), max(self._size(), 1)
        weights = self._floats(self._channels, self._channels, side, side)
        self._add("ConvTranspose", weights, strides=[stride, stride])

    def _reshape(self) -> None:
        shape = self._rng.choice(((0, 0, -1, 1), (0, 0, 1, -1), (1, -1, 1, 1), (0, -1, 8, 8)))
        array = self._weight(np.array(shape, np.int64))
        self._add("Reshape", array)

    def _multiply(self) -> None:
        self._add("MatMul", self._floats(self._rng.choice((6, 8, 12, 24, 96, 192)), 8))
