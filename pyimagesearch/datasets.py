"""The tutorials' own names for what they load, mix, cut and show, from the rooms they live in."""

from __future__ import annotations

from pyimagesearch.data.image_sets import (
    Dataset,
    DatasetError,
    build_unsupervised_dataset,
    load_named,
    read_npz,
    write_npz,
)
from pyimagesearch.data.series import TIME_STEPS, create_sequences
from pyimagesearch.reports.drawing import visualize_predictions
from pyimagesearch.reports.window_errors import calculate_mae

__all__ = [
    "TIME_STEPS",
    "Dataset",
    "DatasetError",
    "build_unsupervised_dataset",
    "calculate_mae",
    "create_sequences",
    "load_named",
    "read_npz",
    "visualize_predictions",
    "write_npz",
]
