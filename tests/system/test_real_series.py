"""Claims about autoencoders of series on the example's own data, which is not the project's."""

import csv
import json
from datetime import datetime

import numpy as np

from helpers.lazy import Lazy
from pyimagesearch.data.series import create_sequences
from pyimagesearch.detectors.series.window_autoencoder import Scaling, WindowAutoencoderDetector
from pyimagesearch.training.series import AutoencoderOptions

keras_runtime = Lazy("pyimagesearch.runtime.keras")
series = Lazy("pyimagesearch.training.series_networks")

TIME_STEPS = 288
# As on the page of the notebook on series, which says what 50 give.
EPOCHS = 3


def trained(architecture, values):
    """A detector with the usual network, trained as usual, but for fewer epochs."""
    usual = AutoencoderOptions(epochs=EPOCHS)
    keras_runtime.make_repeatable(1)
    scaling = Scaling.fit(values)
    windows = create_sequences(scaling.apply(values), TIME_STEPS)
    autoencoder = series.ARCHITECTURES[architecture].build(TIME_STEPS)
    settings = {
        name: getattr(usual, name) for name in ("epochs", "batch_size", "learning_rate", "seed")
    }
    rows, held_out = series.hold_out(np.arange(len(windows)), TIME_STEPS)
    run = series.new_training(autoencoder, windows, rows, held_out, **settings | {"seed": 1})
    list(run.run())
    run.take_best()
    return WindowAutoencoderDetector(TIME_STEPS, scaling, keras_runtime.to_onnx(autoencoder))


def read(data, name):
    with open(data / "nab" / "data" / name, newline="") as file:
        rows = list(csv.DictReader(file))
    times = np.array([datetime.fromisoformat(row["timestamp"]) for row in rows])
    return times, np.array([[float(row["value"])] for row in rows])


# The LSTM is trained on the page of the notebook on series.
def test_the_examples_series_are_flagged_within_their_labels_and_nowhere_else(data):
    times, values = read(data, "artificialNoAnomaly/art_daily_small_noise.csv")
    detector = trained("conv1d", values)
    threshold = detector.score_windows(values)[1].max()
    labels = json.loads((data / "nab" / "labels" / "combined_windows.json").read_text())
    for kind in ("jumpsup", "jumpsdown", "nojump"):
        name = f"artificialWithAnomaly/art_daily_{kind}.csv"
        times, values = read(data, name)
        found = times[detector.score_rows(values)[1] > threshold]
        start, end = (datetime.fromisoformat(time) for time in labels[name][0])
        assert len(found) > 0, kind
        assert ((found >= start) & (found <= end)).all(), kind
