"""The losses of a training: what it says of them, and what trackers have logged."""

from __future__ import annotations

import csv
from pathlib import Path


def said(stderr: bytes) -> list[str]:
    """The training loss of each epoch, as it is printed: with five decimals."""
    lines = [line for line in stderr.decode().splitlines() if " loss " in line]
    return [line.split("loss ")[1].split(",")[0] for line in lines]


def in_csv(path: Path) -> list[str]:
    """The same of ``losses.csv``."""
    with open(path, newline="") as file:
        return [f"{float(row['loss']):.5f}" for row in csv.DictReader(file)]


def in_tensorboard(folder: Path) -> list[str]:
    """The same of TensorBoard's event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder)).Reload().Tensors("epoch_loss")
    return [f"{make_ndarray(event.tensor_proto):.5f}" for event in events]


def in_wandb(path: Path) -> list[str]:
    """The same of a run's file: LevelDB's log format, without records over block ends."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, found = path.read_bytes(), 7, []
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        record = Record()
        record.ParseFromString(data[place + 7 : place + 7 + length])
        place += 7 + length
        for item in record.history.item:
            if "loss" in (item.key, *item.nested_key):
                found.append(f"{float(item.value_json):.5f}")
    return found
