"""Claims about the rendered parts."""

import cv2
import numpy as np

from helpers.scripts import run_script
from pyimagesearch.data.synthetic import parts


def test_a_part_is_a_function_of_seed_and_number():
    assert np.array_equal(parts.render_part(1, 2, 64), parts.render_part(1, 2, 64))
    assert not np.array_equal(parts.render_part(1, 2, 64), parts.render_part(1, 3, 64))
    assert not np.array_equal(parts.render_part(1, 2, 64), parts.render_part(2, 2, 64))


def test_parts_vary_little():
    pictures = np.stack([parts.render_part(1, number, 64) for number in range(8)]).astype(float)
    spread = pictures.std(axis=0).mean()
    assert 1 < spread < pictures.mean(axis=0).std() / 3


def test_no_part_is_in_both_folders(tmp_path):
    command = ("generate_data.py", "parts", "-o", tmp_path, "--count", "3", "--test-count", "2")
    assert run_script(*command, "--size", "40").returncode == 0
    train, test = (sorted((tmp_path / name / "good").iterdir()) for name in ("train", "test"))
    assert (len(train), len(test)) == (3, 2)
    assert len({path.read_bytes() for path in [*train, *test]}) == 5
    assert cv2.imread(str(train[0])).shape == (40, 40, 3)
