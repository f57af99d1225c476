"""Claims about the notice that a whole batch has shifted."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive_shifts, tiny
from pyimagesearch.labelling import batch_shift, capture_conditions
from pyimagesearch.labelling.capture_conditions import CONDITIONS, NAMES

SHIFTED = "the whole batch looks shifted"


STRANGE = "look stranger than"


@pytest.mark.parametrize(("n_new", "n_known"), [(1, 1), (4, 3), (3, 6), (5, 5)])
def test_the_chance_of_a_count_is_that_of_all_orders(n_new, n_known):
    for n_above in range(n_known):
        for count in range(n_new + 2):
            expected = naive_shifts.chance_of_count(count, n_new, n_known, n_above)
            found = batch_shift.chance_of_count(count, n_new, n_known, n_above)
            assert found == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 2000), st.integers(1, 1000), st.data())
def test_a_higher_count_is_never_more_probable(n_new, n_known, data):
    n_above = data.draw(st.integers(0, n_known - 1))
    counts = sorted(data.draw(st.lists(st.integers(0, n_new), min_size=2, max_size=5)))
    chances = [batch_shift.chance_of_count(c, n_new, n_known, n_above) for c in counts]
    assert all(0 <= chance <= 1 for chance in chances)
    assert all(a >= b * (1 - 1e-9) for a, b in itertools.pairwise(chances))


def test_a_million_new_values_have_a_chance_too():
    assert batch_shift.chance_of_count(500_000, 1_000_000, 1_001, 500) == pytest.approx(
        0.5, abs=1e-3
    )
    assert batch_shift.chance_of_count(10**6, 10**6, 1_000, 10) < 1e-30


def test_ties_make_the_test_more_silent_and_never_louder():
    rng = np.random.default_rng(0)
    n_known, n_new, n_above, reached = 20, 30, 5, 0
    for _ in range(2000):
        values = rng.integers(0, 4, n_known + n_new)
        limit = np.sort(values[:n_known])[n_known - 1 - n_above]
        count = int((values[n_known:] > limit).sum())
        reached += batch_shift.chance_of_count(count, n_new, n_known, n_above) <= 0.05
    assert reached / 2000 <= 0.05


def some_conditions(rng, count):
    """Columns that depend on each other, and one of them with many ties."""
    rows = rng.normal(size=(count, len(NAMES))) + rng.normal(size=(count, 1))
    rows[:, NAMES.index("brightest")] = rng.integers(250, 256, count)
    return rows.astype(np.float32)


def batch_of(scores, rows, calibration, known):
    batch = batch_shift.Batch(calibration, known)
    for score, row in zip(scores, rows, strict=True):
        batch.add(score, row)
    return batch


def drawn(rng, n_known=30, n_new=50):
    return (
        rng.normal(size=n_new),
        some_conditions(rng, n_new),
        rng.normal(size=n_known),
        some_conditions(rng, n_known),
    )


def test_batches_in_which_nothing_has_shifted_get_no_notice():
    rng = np.random.default_rng(0)
    assert sum(bool(batch_of(*drawn(rng)).shifts()) for _ in range(300)) <= 3


@pytest.mark.parametrize("direction", [1, -1])
def test_a_quarter_of_anomalies_gets_no_notice_however_far_off_they_are(direction):
    rng = np.random.default_rng(0)
    n_noticed = 0
    for _ in range(300):
        scores, rows, calibration, known = drawn(rng)
        scores[:12], rows[:12] = 1e6, direction * 1e6
        n_noticed += bool(batch_of(scores, rows, calibration, known).shifts())
    assert n_noticed <= 3


def test_a_batch_that_has_moved_in_one_condition_is_told_in_which():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng)
    rows[:, NAMES.index("sharpness")] -= 5
    batch = batch_of(scores, rows, calibration, known)
    assert {shift.condition.name for shift in batch.shifts()} == {"sharpness"}
    (notice,) = batch.notices()
    assert notice.startswith(f"{SHIFTED}: 50 of 50 images are less sharp (typically by 99%) than")
    assert "at most 1% of the batches" in notice
    assert "at most 25% of the images" in notice


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("brightness", np.log(0.8), "darker (typically by 20%)"),
        ("left", np.log(1.4), "lit more from the left (typically by 40%)"),
        ("brightest", -60, "darker where brightest (typically by 60 grey levels)"),
        ("middle", 0.25, "brighter in the middle tones (typically by 50%)"),
    ],
)
def test_a_notice_says_by_how_much_it_has_moved_whatever_a_few_anomalies_are(name, change, said):
    known = np.full((100, len(NAMES)), 0.5)
    rows = known.copy()
    rows[:, NAMES.index(name)] += change
    rows[::5] = 1e3 if change < 0 else -1e3
    (notice,) = batch_of(np.zeros(100), rows, np.zeros(100), known).notices()
    assert said in notice
    assert "--update" in notice


def test_how_much_a_long_batch_has_moved_is_said_of_all_of_it():
    known = np.zeros((100, len(NAMES)))
    batch = batch_shift.Batch(np.zeros(100), known)
    for number in range(10_000):
        batch.add(0.0, known[0] + (np.log(1.1) if number < 4_000 else np.log(1.3)))
    assert "brighter (typically by 30%)" in batch.notices()[0]


@pytest.mark.parametrize("n_new", [batch_shift.LEAST_IMAGES, 13, 18])
def test_small_batches_in_which_nothing_has_shifted_get_no_notice(n_new):
    rng = np.random.default_rng(n_new)
    n_noticed = 0
    for _ in range(300):
        scores, rows, calibration, known = drawn(rng, n_new=n_new)
        n_anomalies = n_new // 4
        scores[:n_anomalies], rows[:n_anomalies] = 1e6, 1e6
        n_noticed += bool(batch_of(scores, rows, calibration, known).shifts())
    assert n_noticed <= 3


def test_of_strange_images_it_is_said_that_most_may_be_anomalies():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng)
    (notice,) = batch_of(scores + 5, rows, calibration, known).notices()
    assert STRANGE in notice
    assert "either most of them are anomalies, or" in notice


def test_images_that_the_model_has_learned_by_heart_are_no_shift():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng)
    assert batch_of(scores - 100, rows, calibration, known).notices() == []


def test_one_family_of_conditions_is_told_once():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng)
    for name in ("brightness", "middle", "red_green", "red_green_edges"):
        rows[:, NAMES.index(name)] += 9
    (notice,) = batch_of(scores, rows, calibration, known).notices()
    assert notice.count("brighter") == 1
    assert notice.count("redder") == 1


def test_differences_of_no_account_are_not_noticed_even_among_parts_that_are_all_alike():
    known = np.ones((100, len(NAMES)), np.float32)
    slightly = 1 + 0.9 * capture_conditions.UNNOTICED
    batch = batch_of(np.zeros(50), np.tile(slightly, (50, 1)), np.zeros(100), known)
    assert batch.notices() == []


def test_small_batches_get_no_notice():
    known = np.zeros((100, len(NAMES)), np.float32)
    n_few = batch_shift.LEAST_IMAGES - 1
    rows = np.full((n_few, len(NAMES)), 9, np.float32)
    assert batch_of(np.full(n_few, 9.0), rows, np.zeros(100), known).notices() == []
    batch = batch_of(np.full(n_few + 1, 9.0), rows[[0] * (n_few + 1)], np.zeros(100), known)
    assert len(batch.notices()) == 2


def test_eight_training_images_can_raise_the_notice():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng, n_known=8)
    rows[:, NAMES.index("brightness")] += 9
    assert any(SHIFTED in n for n in batch_of(scores, rows, calibration, known).notices())


def test_the_order_of_the_images_and_unreadable_ones_do_not_matter():
    rng = np.random.default_rng(0)
    scores, rows, calibration, known = drawn(rng)
    rows[:, NAMES.index("brightness")] += 3
    batch = batch_of(scores, rows, calibration, known)
    other = batch_of(scores[::-1], rows[::-1], calibration, known)
    for _ in range(500):
        other.add(None, None)
    assert batch.notices() == other.notices() != []


def test_without_known_conditions_the_scores_are_tested_alone():
    batch = batch_of(np.full(50, 9.0), [None] * 50, np.zeros(40), None)
    (notice,) = batch.notices()
    assert STRANGE in notice


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (8, 8), (17, 4000), (4000, 3)])
@pytest.mark.parametrize("value", [0, 255, None])
def test_conditions_are_finite_for_any_picture(shape, value):
    picture = np.full((*shape, 3), value or 0, np.uint8)
    if value is None:
        picture = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    measured = capture_conditions.measure(picture)
    assert measured.shape == (len(NAMES),)
    assert measured.dtype == np.float32
    assert np.isfinite(measured).all()


def slanting(picture):
    """Lines that fall from the upper left to the lower right."""
    spread = picture.copy()
    for offset in range(-150, 200, 20):
        cv2.line(spread, (offset, 0), (offset + 150, 150), (250, 250, 250), 2)
    return spread


@pytest.mark.parametrize(
    ("change", "name", "sign"),
    [
        (lambda p: (p * 0.8).astype(np.uint8), "brightness", -1),
        (lambda p: (p * 0.8).astype(np.uint8), "brightest", -1),
        (lambda p: p // 2 + 127, "darkest", 1),
        (lambda p: (255 * (p / 255) ** 0.7).astype(np.uint8), "middle", 1),
        (lambda p: (p * (1, 1, 1.2)).clip(0, 255).astype(np.uint8), "red_green", 1),
        (lambda p: (p * (1, 1, 1.2)).clip(0, 255).astype(np.uint8), "red_green_edges", 1),
        (lambda p: (p * (0.8, 1, 1)).astype(np.uint8), "blue_yellow", -1),
        (lambda p: (p * (0.8, 1, 1)).astype(np.uint8), "blue_yellow_edges", -1),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 1), "sharpness", -1),
        (lambda p: cv2.GaussianBlur(p, (1, 9), 0), "upright", 1),
        (lambda p: cv2.GaussianBlur(p, (9, 1), 0), "upright", -1),
        (slanting, "slanting", 1),
        (lambda p: slanting(p)[:, ::-1].copy(), "slanting", -1),
        (lambda p: (p * np.linspace(1, 0.5, 200)[:, None]).astype(np.uint8), "left", 1),
        (lambda p: (p * np.linspace(0.5, 1, 150)[:, None, None]).astype(np.uint8), "top", -1),
    ],
)
def test_a_condition_moves_the_way_that_its_words_say(change, name, sign):
    picture = tiny.part(np.random.default_rng(0))
    column, condition = NAMES.index(name), CONDITIONS[NAMES.index(name)]
    moved = capture_conditions.measure(change(picture)) - capture_conditions.measure(picture)
    assert sign * moved[column] > condition.unnoticed


@pytest.mark.parametrize(("high", "wide"), [(8, 8), (1, 40), (40, 1), (3, 5)])
def test_a_large_picture_is_measured_all_over(high, wide):
    """Of small blocks of all colours, so that any part of the picture is as good as another."""
    rng = np.random.default_rng(0)
    small = rng.integers(100, 200, (100, 100, 3), np.uint8)
    large = np.tile(small, (high, wide, 1))
    difference = np.abs(capture_conditions.measure(large) - capture_conditions.measure(small))
    # Of grey levels three, of all else a twentieth.
    assert (
        difference <= np.where([name in ("brightest", "darkest") for name in NAMES], 3, 0.05)
    ).all()
    half = large.copy()
    half[half.shape[0] // 2 :] //= 2
    assert capture_conditions.measure(half)[NAMES.index("top")] == pytest.approx(
        np.log(4 / 3), abs=0.1
    )
    half = large.copy()
    half[:, half.shape[1] // 2 :] //= 2
    assert capture_conditions.measure(half)[NAMES.index("left")] == pytest.approx(
        np.log(4 / 3), abs=0.1
    )


def test_which_pictures_are_kept_does_not_depend_on_their_order():
    rng = np.random.default_rng(0)
    count = capture_conditions.MOST_IMAGES + 100
    rows, digests = some_conditions(rng, count), [rng.bytes(32) for _ in range(count)]
    order = rng.permutation(count)
    kept = capture_conditions.from_files(rows, digests)
    assert np.array_equal(
        kept, capture_conditions.from_files(rows[order], [digests[i] for i in order])
    )
    assert len(kept) == capture_conditions.MOST_IMAGES


def test_of_two_sets_each_has_its_share():
    old, new = np.zeros((1000, len(NAMES)), np.float32), np.ones((500, len(NAMES)), np.float32)
    merged = capture_conditions.merged(old, 9_500, new, 500)
    assert len(merged) == capture_conditions.MOST_IMAGES
    assert merged[:, 0].sum() == 50
    assert len(capture_conditions.merged(old[:10], 10, new[:5], 5)) == 15


def darker(picture):
    return (picture * 0.85).astype(np.uint8)


def test_only_what_was_measured_is_counted():
    rng = np.random.default_rng(5)
    known = rng.normal(size=(200, len(CONDITIONS)))
    batch = batch_shift.Batch(rng.normal(size=200), known)
    for number in range(400):
        darker = known.mean(axis=0) - 5 * known.std(axis=0)
        batch.add(-9.0, darker if number % 8 == 0 else None)
    (notice,) = batch.notices()
    assert "50 of 50 measured images" in notice
    few = batch_shift.Batch(rng.normal(size=200), known)
    for number in range(400):
        few.add(-9.0, known.min(axis=0) - 9 if number < batch_shift.LEAST_IMAGES - 1 else None)
    assert few.notices() == []
