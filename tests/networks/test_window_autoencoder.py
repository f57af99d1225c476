"""Claims about the series' networks, their training, their errors and the rows' scores."""

import json
import tracemalloc

import numpy as np
import pytest

from helpers import naive
from helpers.lazy import Lazy
from pyimagesearch.datasets import calculate_mae, create_sequences
from pyimagesearch.detectors.series.window_autoencoder import Scaling, WindowAutoencoderDetector

keras_runtime = Lazy("pyimagesearch.runtime.keras")
networks = Lazy("pyimagesearch.training.keras_loop")
series = Lazy("pyimagesearch.training.series_networks")
series_training = Lazy("pyimagesearch.training.series")

PERIOD = 24
# As many levels as the usual networks have, and few numbers.
SMALL = {
    "conv1d": {"filters": (8, 8, 8), "latent_dim": 8},
    "lstm": {"units": (24, 16, 12), "most_steps": 12},
}
# Of networks that are never asked what they found.
TINY = {
    "conv1d": {"filters": (4, 4), "latent_dim": 4},
    "lstm": {"units": (8, 4), "most_steps": 12},
}
BOTH = pytest.mark.parametrize("architecture", ["conv1d", "lstm"])


def days(n_days, period=PERIOD, seed=0):
    """A daily peak with a little noise, (n_rows, 1)."""
    rng = np.random.default_rng(seed)
    phase = np.arange(n_days * period) % period / period
    values = 20 + 60 * ((phase > 0.4) & (phase < 0.7)) + rng.normal(size=len(phase))
    return values[:, None]


def new_training(autoencoder, windows, time_steps, **chosen):
    """A training with the usual options, but for those that are chosen."""
    usual = series_training.AutoencoderOptions(**chosen)
    names = ("epochs", "batch_size", "learning_rate", "seed")
    rows, held_out = series.hold_out(np.arange(len(windows)), time_steps)
    settings = {name: getattr(usual, name) for name in names}
    return series.new_training(autoencoder, windows, rows, held_out, **settings)


def small(architecture, time_steps=PERIOD, n_columns=1):
    return series.ARCHITECTURES[architecture].build(time_steps, n_columns, **SMALL[architecture])


def trained(architecture, values, time_steps, seed=1, **options):
    keras_runtime.make_repeatable(seed)
    scaling = Scaling.fit(values)
    windows = create_sequences(scaling.apply(values), time_steps)
    autoencoder = small(architecture, time_steps, values.shape[1])
    run = new_training(autoencoder, windows, time_steps, seed=seed, **options)
    list(run.run())
    run.take_best()
    network = keras_runtime.to_onnx(autoencoder)
    return run, WindowAutoencoderDetector(time_steps, scaling, network)


@pytest.fixture(scope="module", params=["conv1d", "lstm"])
def daily(request):
    """A training and its detector, for each architecture."""
    return trained(request.param, days(40), PERIOD, epochs=20)


def test_each_architecture_is_tested():
    assert sorted(series.ARCHITECTURES) == ["conv1d", "lstm"]


@BOTH
@pytest.mark.parametrize("n_columns", [1, 3])
def test_a_window_of_any_length_is_reconstructed_at_its_own_length(architecture, n_columns):
    for time_steps in (1, 2, 8, 9, 13, 31, 48, 97, 100, 211, 288, 293, 300):
        autoencoder = series.ARCHITECTURES[architecture].build(time_steps, n_columns)
        assert autoencoder.output_shape == (None, time_steps, n_columns)


def test_the_lstm_makes_few_steps_however_long_the_window():
    for time_steps in (1, 24, 25, 47, 288, 1009):
        down, up = series.resampling(time_steps, 24)
        assert len(down) <= 24
        np.testing.assert_allclose(down.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(up.sum(axis=1), 1, rtol=1e-6)
    assert len(series.resampling(24, 24)[0]) == 24


def test_lengthening_gives_a_slope_back_but_for_its_ends():
    down, up = series.resampling(100, 24)
    slope = np.arange(100, dtype=np.float32)
    np.testing.assert_allclose((up @ (down @ slope))[2:-2], slope[2:-2], rtol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "time_steps", "n_columns"),
    [("conv1d", 288, 1), ("conv1d", 37, 3), ("lstm", 37, 3)],
)
def test_the_onnx_network_reconstructs_as_keras_does(architecture, time_steps, n_columns):
    autoencoder = small(architecture, time_steps, n_columns)
    rng = np.random.default_rng(0)
    autoencoder.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in autoencoder.get_weights()])
    windows = rng.normal(size=(5, time_steps, n_columns)).astype(np.float32)
    detector = WindowAutoencoderDetector(
        time_steps,
        Scaling(np.zeros(n_columns), np.ones(n_columns)),
        keras_runtime.to_onnx(autoencoder),
    )
    expected = autoencoder.predict(windows, verbose=0)
    for window, wanted in zip(windows, expected, strict=True):
        np.testing.assert_allclose(detector.reconstruct(window), wanted, atol=1e-5)


def test_held_out_windows_share_no_row_with_those_learned_from():
    for n_windows, time_steps in ((3745, 288), (40_000, 50), (200, 1)):
        rows, held_out = series.hold_out(np.arange(n_windows), time_steps)
        assert len(held_out) == pytest.approx(0.1 * n_windows, rel=0.01)
        assert least_distance(rows, held_out) >= time_steps
    # As many blocks as keep the windows between them few.
    assert (np.diff(held_out) > 1).sum() == 4


def least_distance(rows, others):
    """Between any of the one and any of the other, which are in ascending order."""
    after = np.searchsorted(others, rows).clip(1, len(others) - 1)
    return min(np.abs(rows - others[after]).min(), np.abs(rows - others[after - 1]).min())


def test_windows_of_a_series_with_gaps_are_held_out_by_their_place_in_it():
    starts = np.concatenate([np.arange(300), np.arange(700, 1000)])
    rows, held_out = series.hold_out(starts, 20)
    assert set(rows) | set(held_out) < set(starts)
    assert least_distance(rows, held_out) >= 20


def test_windows_that_all_overlap_are_too_few():
    with pytest.raises(ValueError, match="30 windows of 48 rows: too few"):
        series.hold_out(np.arange(30), 48)


def test_training_learns_and_stops_when_held_out_windows_no_longer_improve(daily):
    run, _ = daily
    losses = run.history["val_loss"]
    assert min(losses) < 0.5 * losses[0]
    assert len(losses) == min(run.epochs, run.best_epoch + series.PATIENCE)


def new_short_training(architecture, seed=1):
    keras_runtime.make_repeatable(seed)
    windows = create_sequences(Scaling.fit(days(12)).apply(days(12)), PERIOD)
    autoencoder = series.ARCHITECTURES[architecture].build(PERIOD, **TINY[architecture])
    return new_training(autoencoder, windows, PERIOD, seed=seed, epochs=2)


@pytest.fixture(scope="module", params=["conv1d", "lstm"])
def short(request):
    """An architecture, a training of two epochs that has ended, and its state after the first."""
    run = new_short_training(request.param)
    epochs = run.run()
    next(epochs)
    state = {name: values.copy() for name, values in run.state().items()}
    list(epochs)
    return request.param, run, state


def have_equal_weights(first, second):
    pairs = zip(first.autoencoder.get_weights(), second.autoencoder.get_weights(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_the_same_seed_gives_the_same_network_and_another_seed_begins_with_another(short):
    architecture, first, _ = short
    again, other = (new_short_training(architecture, seed) for seed in (1, 2))
    assert not have_equal_weights(other, again)
    list(again.run())
    assert keras_runtime.to_onnx(again.autoencoder) == keras_runtime.to_onnx(first.autoencoder)


def test_a_training_that_went_on_from_a_state_ends_with_the_same_weights(short):
    architecture, whole, state = short
    second = new_short_training(architecture)
    next(second.run())  # so that dropout has drawn something else
    second.restore(state)
    list(second.run())
    assert second.history == whole.history
    assert have_equal_weights(second, whole)


def test_a_gap_among_the_windows_ends_the_training_with_a_sentence():
    values = days(12)
    values[50] = np.nan
    windows = create_sequences(values.astype(np.float32), PERIOD)
    run = new_training(small("conv1d"), windows, PERIOD, epochs=1)
    with pytest.raises(networks.TrainingDiverged, match="the loss became nan in epoch 1"):
        list(run.run())


def test_a_million_windows_are_never_copied_as_a_whole():
    windows = create_sequences(np.zeros((1_000_000, 1), np.float32), 288)
    keras_runtime.make_repeatable(1)
    autoencoder = series.Conv1DAutoencoder.build(288, filters=(2,), latent_dim=2)
    run = new_training(autoencoder, windows, 288, epochs=1)
    tracemalloc.start()
    list(run.run())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6  # the windows would be 1.15 GB


def test_constant_columns_are_scaled_without_dividing_by_nothing():
    values = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    scaling = Scaling.fit(values)
    scaled = scaling.apply(values)
    assert (scaled[:, 0] == 0).all()
    assert scaled[:, 1].std(ddof=1) == pytest.approx(1)
    np.testing.assert_allclose(scaling.undo(scaled), values, atol=1e-5)
    assert np.isfinite(scaling.apply(np.full((1, 2), -1e308))).all()


@pytest.mark.parametrize("largest", [1e308, 1e-320])
def test_values_out_of_reach_of_arithmetic_are_refused(largest):
    with pytest.raises(ValueError, match="too large or too small"):
        Scaling.fit(np.array([[largest], [-largest], [largest]]))


def test_window_scores_are_the_mean_absolute_error_over_time(daily):
    detector = daily[1]
    values = days(3, seed=5)
    starts, scores = detector.score_windows(values)
    assert starts.tolist() == list(range(len(values) - PERIOD + 1))
    for start in (0, 7, len(scores) - 1):
        window = values[start : start + PERIOD]
        error = np.abs(detector.reconstruct(window) - window).mean() / detector.scaling.std[0]
        assert scores[start] == pytest.approx(error, rel=1e-4)
    rows = naive.row_scores(starts, scores, len(values), PERIOD)
    mean, least = detector.score_rows(values)
    np.testing.assert_allclose(mean, [m for m, _ in rows], rtol=1e-12)
    assert least.tolist() == [m for _, m in rows]


def test_a_long_series_is_scored_by_fewer_windows_that_say_the_same():
    autoencoder = series.Conv1DAutoencoder.build(48, filters=(2,), latent_dim=1)
    detector = WindowAutoencoderDetector(
        48, Scaling(np.zeros(1), np.ones(1)), keras_runtime.to_onnx(autoencoder)
    )
    values = np.random.default_rng(0).normal(size=(120_001, 1))
    starts, scores = detector.score_windows(values)
    assert starts.tolist() == [*range(0, 120_001 - 48, 3), 120_001 - 48]
    all_starts, all_scores = detector.score_windows(values[:49_000])
    np.testing.assert_allclose(scores[:16_000], all_scores[:48_000:3], rtol=1e-5)
    assert np.diff(all_starts).max() == 1
    assert (
        detector.score_rows(values)[1][:48_000]
        >= detector.score_rows(values[:49_000])[1][:48_000] - 1e-5
    ).all()


def test_values_are_scored_in_little_memory():
    autoencoder = series.Conv1DAutoencoder.build(288, filters=(2,), latent_dim=1)
    detector = WindowAutoencoderDetector(
        288, Scaling(np.zeros(1), np.ones(1)), keras_runtime.to_onnx(autoencoder)
    )
    values = np.zeros((1_000_000, 1))
    tracemalloc.start()
    detector.score_windows(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6


def test_a_missing_peak_a_jump_and_a_spike_are_found_where_they_are(daily):
    detector = daily[1]
    threshold = detector.score_windows(days(40))[1].max()
    for change in ("missing peak", "jump", "spike"):
        values = days(12, seed=7)
        day = slice(6 * PERIOD, 7 * PERIOD)
        if change == "missing peak":
            values[day] = values[:PERIOD].min()
        elif change == "jump":
            values[day] += 40
        else:
            values[6 * PERIOD + 5] += 500
        rows = np.flatnonzero(detector.score_rows(values)[1] > threshold)
        assert len(rows) > 0, change
        assert rows.min() >= 5 * PERIOD, change
        assert rows.max() < 8 * PERIOD, change


def test_a_keras_models_errors_are_those_of_the_detector_made_of_it(tmp_path):
    """``calculate_mae``, as in the notebook."""
    autoencoder = small("conv1d")
    values = days(3)
    scaling = Scaling.fit(values)
    windows = create_sequences(scaling.apply(values), PERIOD)
    predictions, threshold, mae = calculate_mae(autoencoder, windows, "train", tmp_path / "h.png")
    detector = WindowAutoencoderDetector(PERIOD, scaling, keras_runtime.to_onnx(autoencoder))
    assert predictions.shape == windows.shape
    np.testing.assert_allclose(mae[:, 0], detector.score_windows(values)[1], rtol=1e-4)
    assert threshold == mae.max()
    with pytest.raises(ValueError, match="takes windows of 24 x 1 values, not 23 x 1"):
        calculate_mae(autoencoder, windows[:, 1:])


def parts_of(detector):
    return detector.parameters(), dict(detector.arrays()), dict(detector.networks())


def test_a_restored_detector_gives_the_same_scores(daily):
    detector = daily[1]
    parameters, arrays, graphs = parts_of(detector)
    again = WindowAutoencoderDetector.restore(json.loads(json.dumps(parameters)), arrays, graphs)
    assert again.score_rows(days(4))[1].tolist() == detector.score_rows(days(4))[1].tolist()


def in_parameters(**values):
    return lambda parameters, _arrays, _graphs: parameters.update(values)


def in_arrays(name, change):
    return lambda _parameters, arrays, _graphs: arrays.update({name: change(arrays[name])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_parameters(time_steps=0), "time_steps is 0"),
        (in_parameters(time_steps=24.0), "time_steps is 24.0"),
        (in_parameters(time_steps=True), "time_steps is True"),
        (in_parameters(time_steps=10**12), "windows have"),
        (in_parameters(time_steps=25), "network is not one of"),
        (in_arrays("mean", lambda _: None), "no array 'mean'"),
        (in_arrays("mean", lambda a: a.astype(np.float32)), "'mean' is not float64"),
        (in_arrays("mean", lambda a: a * np.nan), "'mean' has .* not finite"),
        (in_arrays("mean", lambda a: a[0]), "'mean' is not float64 of shape"),
        (in_arrays("std", lambda a: np.append(a, 1.0)), "'std' is not float64 of shape"),
        (in_arrays("std", lambda a: 0 * a), "'std' has .* not positive"),
        (lambda _p, _a, graphs: graphs.clear(), "networks are"),
        (lambda _p, _a, graphs: graphs.update(other=b"x"), "networks are"),
        (lambda _p, _a, graphs: graphs.update(network=b"no graph"), "cannot be read"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(daily, change, message):
    parts = parts_of(daily[1])
    change(*parts)
    with pytest.raises(ValueError, match=message):
        WindowAutoencoderDetector.restore(*parts).check()


@pytest.mark.parametrize("daily", ["conv1d"], indirect=True)
def test_a_network_whose_weights_are_no_numbers_is_refused(daily):
    parameters, arrays, _ = parts_of(daily[1])
    autoencoder = series.Conv1DAutoencoder.build(PERIOD)
    autoencoder.set_weights([w * np.nan for w in autoencoder.get_weights()])
    with pytest.raises(ValueError, match="not numbers"):
        WindowAutoencoderDetector.restore(
            parameters, arrays, {"network": keras_runtime.to_onnx(autoencoder)}
        ).check()


def test_series_that_are_too_short_or_too_wide_are_refused(daily):
    with pytest.raises(ValueError, match="23 rows, but a window has 24"):
        daily[1].score_rows(days(1)[:-1])[1]
    with pytest.raises(ValueError, match="for 1 columns"):
        daily[1].score_rows(np.zeros((50, 2)))[1]
