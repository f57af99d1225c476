"""Claims about the notice that the parts of a line drift."""

import numpy as np
import pytest

from pyimagesearch.labelling.capture_conditions import CONDITIONS, NAMES
from pyimagesearch.line import drift
from pyimagesearch.line.drift import ConformalTestMartingale, Ranks, Wealth


def ranks_of(known, seed=0, margin=0.0):
    return Ranks(known, np.full(len(known), margin), np.random.default_rng(seed))


def conditions_of(rng, n_parts):
    return rng.normal(size=(n_parts, len(NAMES))).astype(np.float32)


def first_notice(martingale, scores, conditions=None):
    """The number of the part, from 1, after which there is a notice, and that."""
    for number, score in enumerate(scores):
        notice = martingale.add(score, None if conditions is None else conditions[number])
        if notice is not None:
            return number + 1, notice
    return None, None


@pytest.mark.parametrize("n_known", [0, 1, 40])
def test_few_values_have_the_rank_that_counting_finds(n_known):
    rng = np.random.default_rng(0)
    before = list(rng.normal(size=n_known))
    ranks = ranks_of([np.array(before)])
    for value in rng.normal(size=drift.MOST_EDGES - n_known):
        n_above, n_ranks = sum(other > value for other in before), len(before) + 1
        higher, lower = ranks.add(np.array([value]))[0]
        assert n_above / n_ranks <= higher <= (n_above + 1) / n_ranks
        assert lower == pytest.approx(1 - higher)
        before.append(value)


def test_many_values_have_a_rank_of_the_interval_that_they_lie_in():
    rng = np.random.default_rng(0)
    before = list(rng.normal(size=400))
    ranks = ranks_of([np.array(before)])
    edges = ranks.edges[0].copy()
    for value in rng.normal(size=600):
        place = np.searchsorted(edges, value)
        low, high = np.append(-np.inf, edges)[place], np.append(edges, np.inf)[place]
        n_ranks = len(before) + 1
        above, within = sum(x >= high for x in before), sum(low < x < high for x in before) + 1
        higher = ranks.add(np.array([value]))[0, 0]
        assert above / n_ranks <= higher <= (above + within) / n_ranks
        before.append(value)
    assert (ranks.edges[0] == edges).all()


@pytest.mark.parametrize("n_known", [3, 300])
@pytest.mark.parametrize("n_values", [3, None], ids=["with many ties", "without ties"])
def test_p_values_are_uniform_and_independent_of_each_other(n_known, n_values):
    rng = np.random.default_rng(0)
    n_lines, n_parts = 1_000, 30

    def drawn(*shape):
        return rng.normal(size=shape) if n_values is None else rng.integers(0, n_values, shape)

    ranks = ranks_of(list(drawn(n_lines, n_known).astype(float)))
    found = np.array([ranks.add(drawn(n_lines).astype(float))[:, 0] for _ in range(n_parts)])
    shares = np.histogram(found, np.linspace(0, 1, 11))[0] / found.size
    assert shares == pytest.approx(0.1, abs=0.006)
    # Of independent ones the mean varies that much; ranks among a fixed set share its chances.
    assert found.mean(axis=0).var() == pytest.approx(1 / 12 / n_parts, rel=0.15)


def test_a_difference_of_no_account_makes_no_p_value_small():
    rng = np.random.default_rng(0)
    known = rng.normal(size=400)
    exact, forgiving = ranks_of([known]), ranks_of([known], margin=0.3)
    found = np.array([[r.add(np.array([x]))[0] for r in (exact, forgiving)] for x in known])
    assert (found[:, 1] >= found[:, 0]).all()
    assert found[:, 1].mean(axis=0) == pytest.approx(0.5 + 0.08, abs=0.03)


def mean_wealth(draw, n_lines=20_000, n_parts=10):
    # Not many parts: few lines win much, and most nothing.
    rng = np.random.default_rng(0)
    wealth = Wealth(n_lines)
    for _ in range(n_parts):
        p_values = draw(rng, n_lines)
        has = wealth.add(np.column_stack([p_values, 1 - p_values]))
    return has.mean(axis=0)


def test_without_defects_to_forgive_the_bets_are_fair(monkeypatch):
    monkeypatch.setattr(drift, "MOST_DEFECTS", 0.0)
    monkeypatch.setattr(drift, "_SCALE", 2)
    assert mean_wealth(lambda rng, n: rng.random(n))[0] == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("p_value", [0.0, 0.02, 1.0])
def test_no_defects_up_to_their_share_win_bets_on_average(monkeypatch, p_value):
    monkeypatch.setattr(drift, "_SCALE", 2)

    def draw(rng, n):
        # As small as ranks can get by earlier defects.
        normal = rng.random(n) * (1 - drift.MOST_DEFECTS)
        return np.where(rng.random(n) < drift.MOST_DEFECTS, p_value, normal)

    assert mean_wealth(draw)[0] <= 1.04


def test_lines_in_which_nothing_changes_get_no_notice():
    rng = np.random.default_rng(0)
    n_lines, limit = 200, 2 / drift.FALSE_NOTICE_RATE
    ranks, wealth = ranks_of(list(rng.normal(size=(n_lines, 200)))), Wealth(n_lines)
    is_noticed = np.zeros(n_lines, bool)
    for _ in range(1_500):
        is_noticed |= (wealth.add(ranks.add(rng.normal(size=n_lines))) >= limit).any(axis=1)
    assert is_noticed.mean() <= drift.FALSE_NOTICE_RATE


def test_the_limits_share_the_rate():
    for n_kinds in (2, 2 + len(NAMES)):
        assert (1 / drift.limits(n_kinds)).sum() == pytest.approx(drift.FALSE_NOTICE_RATE)


def test_defects_up_to_their_share_get_no_notice_however_far_off_they_are():
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=100), conditions_of(rng, 100))
    scores, rows = rng.normal(size=1_000), conditions_of(rng, 1_000)
    is_defect = rng.random(1_000) < drift.MOST_DEFECTS
    scores[is_defect], rows[is_defect] = 1e6, -1e6
    assert first_notice(martingale, scores, rows) == (None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (1.5, "look stranger than half of those before. Either many of them are defects"),
        (-2, "look less strange than half of those before. Light, camera or focus"),
    ],
)
@pytest.mark.parametrize("start", [50, 1_000])
def test_scores_that_change_are_noticed_within_200_parts(change, said, start):
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=100))
    scores = rng.normal(size=start + 200)
    scores[start:] += change
    number, notice = first_notice(martingale, scores)
    assert start < number <= start + 200
    assert martingale.has_drifted
    assert notice.startswith("the line has drifted: ")
    assert said in notice
    assert "at most 5% of the parts are defects, at most 1% of the lines ever" in notice


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("brightness", np.log(0.8), "are darker (typically by 19%)"),
        ("brightest", -60, "are darker where brightest (typically by 60 grey levels)"),
    ],
)
def test_light_that_changes_is_noticed_though_the_scores_do_not(name, change, said):
    rng = np.random.default_rng(0)
    scale = np.array([0.02 if one.unit != "grey levels" else 2 for one in CONDITIONS])
    martingale = ConformalTestMartingale(rng.normal(size=50), conditions_of(rng, 60) * scale)
    rows = conditions_of(rng, 500) * scale
    rows[300:, NAMES.index(name)] += change
    number, notice = first_notice(martingale, rng.normal(size=500), rows)
    assert 300 < number <= 350
    assert notice.startswith(f"the line has drifted: 20 of the last 20 parts {said}")
    assert "look at that before the parts" in notice


def test_parts_without_capture_conditions_are_judged_by_their_scores():
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=100), conditions_of(rng, 100))
    number, _ = first_notice(martingale, np.append(rng.normal(size=100), np.full(200, 3.0)))
    assert number > 100


def test_after_a_notice_there_is_no_other_until_a_reset():
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=100))
    number, _ = first_notice(martingale, np.full(300, 3.0))
    assert number is not None
    assert first_notice(martingale, np.full(300, 3.0)) == (None, None)
    martingale.reset()
    assert not martingale.has_drifted
    assert first_notice(martingale, rng.normal(size=500)) == (None, None)
    assert first_notice(martingale, np.full(300, 3.0))[0] is not None


def test_calibration_scores_that_are_too_high_make_no_notice():
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=300) + 1)
    scores = rng.normal(size=1_200)
    scores[1_000:] -= 1.5
    number, notice = first_notice(martingale, scores)
    assert number > 1_000
    assert "look less strange" in notice


@pytest.mark.parametrize("n_known", [0, 1, 5])
def test_scores_that_are_all_equal_and_few_to_begin_with_get_no_notice(n_known):
    martingale = ConformalTestMartingale(np.full(n_known, 0.5))
    assert first_notice(martingale, np.full(600, 0.5)) == (None, None)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_says_nothing(score):
    martingale = ConformalTestMartingale(np.arange(20.0))
    before = martingale.state()
    assert martingale.add(score) is None
    assert martingale.state() == before


def test_a_line_that_is_broken_off_goes_on_as_if_it_were_not():
    rng = np.random.default_rng(0)
    known = rng.normal(size=100), conditions_of(rng, 80)
    scores, rows = rng.normal(size=360), conditions_of(rng, 360)
    scores[300:] += 3
    unbroken, broken = ConformalTestMartingale(*known), ConformalTestMartingale(*known)
    notices = []
    for number in range(360):
        if number in (0, 10, 250, 305, 350):
            broken = ConformalTestMartingale.restore(broken.state(), *known)
        notices.append(unbroken.add(scores[number], rows[number]))
        assert broken.add(scores[number], rows[number]) == notices[-1]
    assert sum(notice is not None for notice in notices) == 1
    assert broken.state() == unbroken.state()


def test_the_state_does_not_grow_with_the_line():
    rng = np.random.default_rng(0)
    martingale = ConformalTestMartingale(rng.normal(size=100))
    sizes = []
    for _ in range(2):
        for score in rng.normal(size=600):
            martingale.add(score)
        sizes.append(len(martingale.state()))
    assert sizes[1] < 1.05 * sizes[0]


def test_the_state_of_another_model_is_refused():
    state = ConformalTestMartingale(np.arange(20.0)).state()
    with pytest.raises(ValueError, match="belongs to another model"):
        ConformalTestMartingale.restore(state, np.arange(21.0))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "[]",
        lambda state: state[: len(state) // 2],
        lambda state: state.replace('"arrays": "', '"arrays": "x'),
        lambda state: state.replace('"parts": 0', '"parts": []'),
        lambda state: state.replace('"bit_generator": "PCG64"', '"bit_generator": "other"'),
    ],
)
def test_a_damaged_state_is_refused(damage):
    known = np.arange(20.0)
    state = ConformalTestMartingale(known).state()
    assert damage(state) != state
    with pytest.raises(ValueError, match="is damaged"):
        ConformalTestMartingale.restore(damage(state), known)
