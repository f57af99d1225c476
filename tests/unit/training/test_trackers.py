"""Claims about trackers: what a killed and resumed training leaves in its log."""

import csv
import json

import numpy as np
import pytest

from pyimagesearch.training import trackers

LOSSES = [{"loss": 0.5, "val_loss": 0.25}, {"loss": 0.1 + 0.2, "val_loss": 1e-7}]


@pytest.fixture(autouse=True, scope="module")
def _tensorflow():
    pytest.importorskip("pyimagesearch.runtime.keras")


def test_a_resumed_training_appends_its_losses_below_the_same_header(tmp_path):
    killed = trackers.open_tracker("csv", str(tmp_path), {"seed": 1}, resumed=False)
    killed.log_losses(0, LOSSES[0])
    resumed = trackers.open_tracker("csv", str(tmp_path), {"seed": 1}, resumed=True)
    resumed.log_losses(1, LOSSES[1])
    resumed.finish()
    with open(tmp_path / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    found = [{name: float(row[name]) for name in ("loss", "val_loss")} for row in rows]
    assert found == LOSSES
    assert json.loads((tmp_path / "config.json").read_bytes()) == {"seed": 1}


def test_a_training_that_is_not_resumed_replaces_the_losses(tmp_path):
    for losses in LOSSES:
        tracker = trackers.open_tracker("csv", str(tmp_path), {}, resumed=False)
        tracker.log_losses(0, losses)
        tracker.finish()
    assert (tmp_path / "losses.csv").read_text().split() == [
        "epoch,loss,val_loss",
        "0,0.30000000000000004,1e-07",
    ]


def test_a_killed_training_leaves_every_epoch_in_tensorboards_files(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed = trackers.open_tracker("tensorboard", str(tmp_path), {}, resumed=False)
    for epoch, losses in enumerate(LOSSES):
        killed.log_losses(epoch, losses)
    events = EventAccumulator(str(tmp_path / "train")).Reload()  # nothing was finished
    for name in ("epoch_loss", "epoch_val_loss"):
        assert [event.step for event in events.Tensors(name)] == [0, 1]
    killed.log_scores("scores", np.arange(9.0))
    killed.log_image("image", np.zeros((4, 5, 3), np.uint8))
    killed.finish()
    assert {"config", "scores", "image"} <= set(events.Reload().Tags()["tensors"])
