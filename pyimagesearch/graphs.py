"""Networks as ONNX graphs: opened for running, after a look at what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def open_graph(
    graph: bytes, shape: tuple[int, ...], gives: tuple[int, ...] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function of an autoencoder's ONNX graph.

    Args:
        graph: one that takes (n, *shape) float32.
        shape: of an item.
        gives: shape of what it gives for an item; None is the same.

    Returns:
        What runs it, on one thread: items are worked on in parallel already.

    Raises:
        ValueError: it cannot be read, or takes or gives another shape.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base of their own
        raise ValueError(f"the autoencoder's network cannot be read: {error}") from error
    ends = [session.get_inputs(), session.get_outputs()]
    expected = [[shape], [shape if gives is None else gives]]
    if [[tuple(value.shape[1:]) for value in end] for end in ends] != expected:
        raise ValueError(f"the autoencoder's network is not one of {shape} to {expected[1][0]}")
    name = ends[0][0].name
    return lambda items: session.run(None, {name: items})[0]
