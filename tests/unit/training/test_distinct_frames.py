"""A part that lies still before a camera is learned once."""

import numpy as np

from pyimagesearch.data.synthetic.parts import render_part
from pyimagesearch.training.distinct_frames import DistinctFrames


def test_frames_that_differ_by_noise_are_near_equal_and_parts_are_not():
    rng = np.random.default_rng(0)
    parts = [render_part(3, number, 128) for number in range(1, 41)]
    distinct, taken = DistinctFrames(), []
    # All of them, and all of them again: each is compared with more than the last one.
    for number, part in [*enumerate(parts), *enumerate(parts)]:
        noisy = np.clip(part + rng.normal(0, 2, part.shape), 0, 255).astype(np.uint8)
        if distinct.add(noisy):
            taken.append(number)
    assert taken == list(range(len(parts)))
    assert distinct.n_copies == len(parts)


def test_a_small_defect_makes_another_part():
    part = render_part(3, 1, 128)
    scratched = part.copy()
    scratched[60:63, 40:70] = 20
    distinct = DistinctFrames()
    assert distinct.add(part)
    assert distinct.add(scratched)
