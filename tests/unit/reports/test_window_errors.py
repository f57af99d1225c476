"""Claims about the errors of windows, as a notebook computes and draws them."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from helpers import naive
from pyimagesearch.datasets import calculate_mae, create_sequences


class Halving:
    """A model that makes half of everything, or of a number of columns."""

    def __init__(self, n_columns=None):
        self._n_columns = n_columns

    def predict(self, x):
        if self._n_columns not in (None, x.shape[2]):
            raise ValueError(f"it takes {self._n_columns} columns\nand no others")
        return x / 2


class Returning:
    """A model that makes the same of all windows."""

    def __init__(self, predictions):
        self._predictions = predictions

    def predict(self, x):  # noqa: ARG002
        return self._predictions


def windows(n_columns=1, dtype=float):
    values = np.random.default_rng(0).normal(0, 20, (40, n_columns))
    return create_sequences(values.astype(dtype), 8)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "uint8"])
@pytest.mark.parametrize("n_columns", [1, 3])
def test_errors_are_means_over_the_steps_and_the_threshold_is_the_largest(n_columns, dtype):
    x_data = windows(n_columns, dtype)
    predictions, threshold, mae = calculate_mae(Halving(), x_data, "test")
    assert np.array_equal(predictions, x_data / 2)
    expected = naive.mean_absolute_errors(x_data, x_data / 2)
    assert mae.shape == (33, n_columns)
    np.testing.assert_allclose(mae, expected, rtol=1e-5)
    assert threshold == mae.max()


def test_whole_numbers_do_not_wrap_around():
    x_data = np.full((2, 3, 1), 250, np.uint8)
    assert calculate_mae(Returning(np.full((2, 3, 1), 255, np.uint8)), x_data)[1] == 5
    assert calculate_mae(Returning(np.zeros((2, 3, 1), np.uint8)), x_data)[1] == 250


@pytest.mark.parametrize("n_columns", [1, 3, 9])
def test_the_histogram_goes_to_its_file_and_is_the_same_each_time(tmp_path, n_columns):
    drawn = []
    for name in ("a.png", "b.PNG"):
        calculate_mae(Halving(), windows(n_columns), "train", tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert cv2.imread(str(tmp_path / "a.png")).shape == (495, 770, 3)
    calculate_mae(Halving(), windows(n_columns), "test", str(tmp_path / "c.png"), threshold=12.0)
    assert (tmp_path / "c.png").read_bytes() != drawn[0]


@pytest.mark.parametrize(
    "differences", [[0.0, 0.0], [0.3, 0.3], [1.0, 1 + 1e-15], [0.0, 5e-324], [1e200, 1.0]]
)
def test_errors_that_are_all_but_equal_have_a_histogram_too(tmp_path, differences):
    predictions = np.array(differences)[:, None, None] * np.ones((2, 3, 1))
    model, path = Returning(predictions), tmp_path / "histogram.png"
    calculate_mae(model, np.zeros((2, 3, 1)), "$\\frac{\n", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_no_window_is_opened_and_nothing_is_looked_for_to_show_one(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from pyimagesearch.datasets import calculate_mae\n"
        "class Model:\n    predict = staticmethod(np.sin)\n"
        f"calculate_mae(Model, np.ones((3, 4, 1)), 'train', {str(tmp_path / 'h.png')!r})\n"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout == b"True False\n"


def changed(x_data, value):
    x_data = x_data.copy()
    x_data[3, 2] = value
    return x_data


@pytest.mark.parametrize(
    ("model", "x_data", "message"),
    [
        (Halving(), np.ones((40, 1)), r"the shape \(40, 1\); it takes windows"),
        (Halving(), np.ones((0, 8, 1)), r"the shape \(0, 8, 1\); it takes windows"),
        (Halving(), np.array([[["a"]]]), "x_data holds <U1, not numbers"),
        (Halving(), changed(windows(), np.nan), "x_data has values that are not finite"),
        (Halving(), changed(windows(), np.inf), "x_data has values that are not finite"),
        ("a path", windows(), "a str has no predict: it is no model"),
        (Halving(3), windows(), "takes no windows of 8 x 1 values: it takes 3 columns"),
        (Returning(np.ones((33, 8, 2))), windows(), r"\(33, 8, 2\) of windows of the shape"),
        (Returning(windows()[:, 0]), windows(), r"\(33, 1\) of windows of the shape"),
        (Returning(changed(windows(), np.nan)), windows(), "predictions have errors that are not"),
        (Returning(np.full((33, 8, 1), 1e308)), np.full((33, 8, 1), -1e308), "that are not finite"),
    ],
)
def test_what_is_no_window_or_no_model_of_it_is_refused(tmp_path, model, x_data, message):
    with pytest.raises(ValueError, match=message):
        calculate_mae(model, x_data, "train", tmp_path / "histogram.png")
    assert list(tmp_path.iterdir()) == []


def test_a_histogram_that_cannot_be_written_is_refused_before_the_model_is_asked(tmp_path):
    asked = []

    class Model:
        def predict(self, x):
            asked.append(len(x))
            return x

    with pytest.raises(ValueError, match=r"h\.jpg: pictures are written as \.png"):
        calculate_mae(Model(), windows(), "train", tmp_path / "h.jpg")
    with pytest.raises(OSError, match=r"absent/h\.png"):
        calculate_mae(Model(), windows(), "train", tmp_path / "absent" / "h.png")
    assert asked == []
