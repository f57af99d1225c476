"""Claims about the rendered parts."""

import numpy as np

from pyimagesearch.data.synthetic import parts


def test_a_part_is_a_function_of_seed_and_number():
    assert np.array_equal(parts.render_part(1, 2, 64), parts.render_part(1, 2, 64))
    assert not np.array_equal(parts.render_part(1, 2, 64), parts.render_part(1, 3, 64))
    assert not np.array_equal(parts.render_part(1, 2, 64), parts.render_part(2, 2, 64))


def test_parts_vary_little():
    pictures = np.stack([parts.render_part(1, number, 64) for number in range(8)]).astype(float)
    spread = pictures.std(axis=0).mean()
    assert 1 < spread < pictures.mean(axis=0).std() / 3
