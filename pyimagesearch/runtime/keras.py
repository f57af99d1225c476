"""TensorFlow and Keras, imported without their chatter; networks as ONNX graphs."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np

from pyimagesearch.runtime import system


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Suppress what TensorFlow's C++ part prints on stderr, unless there is an error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _without_chatter():
    import keras
    import tensorflow as tf


def make_repeatable(seed: int) -> None:
    """Seed what TensorFlow draws, and have it add numbers in the same order every time."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def to_onnx(network: keras.Model, probe: np.ndarray | None = None) -> bytes:
    """Export a network as an ONNX graph.

    Args:
        network: takes (n, ...) float32.
        probe: a batch to call it with, where its input has no fixed size.
    """
    # Keras exports only models that were called.
    if probe is None:
        probe = np.zeros((1, *network.input_shape[1:]), np.float32)
    network.predict_on_batch(probe)
    with (
        system.named_scratch_file() as (name, file),
        warnings.catch_warnings(),
        _without_chatter(),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # the converter's, about numpy
        network.export(name, format="onnx", verbose=False)
        file.seek(0)
        return _with_plain_names(file.read())


def _with_plain_names(exported: bytes) -> bytes:
    """Name the nodes and values of an ONNX graph by their order: the converter's names vary."""
    import onnx

    model = onnx.load_model_from_string(exported)
    graph = model.graph
    names: dict[str, str] = {"": ""}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        names |= {value.name: f"{kind}_{i}" for i, value in enumerate(values)}
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = names.setdefault(name, f"value_{len(names)}")
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
    initializers = sorted(graph.initializer, key=lambda tensor: tensor.name)
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(initializers)
    graph.name, graph.doc_string = "autoencoder", ""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
