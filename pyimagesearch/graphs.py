"""Networks as ONNX graphs: opened for running, after a look at what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def open_graph(graph: bytes, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function of an autoencoder's ONNX graph.

    Args:
        graph: one that takes (n, *shape) float32 and gives the same shape.
        shape: of an item.

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
    if any(len(end) != 1 or tuple(end[0].shape[1:]) != shape for end in ends):
        raise ValueError(f"the autoencoder's network is not one of {shape} to the same")
    name = ends[0][0].name
    return lambda items: session.run(None, {name: items})[0]
