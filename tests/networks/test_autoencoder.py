"""Claims about the autoencoder's network, its training, its ONNX form and its score."""

import warnings

import numpy as np
import pytest

from helpers import naive
from helpers.docstrings import disagreements
from helpers.lazy import Lazy
from pyimagesearch.data import image_sets
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.image.autoencoder import AutoencoderDetector, Components
from pyimagesearch.features import as_floats
from pyimagesearch.labelling.images import Labeller

keras_runtime = Lazy("pyimagesearch.runtime.keras")
networks = Lazy("pyimagesearch.training.keras_loop")
convautoencoder = Lazy("pyimagesearch.convautoencoder")


@pytest.fixture(scope="module")
def ones():
    digits = image_sets.load_named(image_sets.DIGITS)
    return digits.images[digits.labels == 1]


@pytest.fixture(scope="module")
def others():
    digits = image_sets.load_named(image_sets.DIGITS)
    return digits.images[digits.labels == 3]


def new_training(pixels, autoencoder=None, **options):
    keras_runtime.make_repeatable(1)
    height, width, depth = pixels.shape[1:]
    if autoencoder is None:
        autoencoder = convautoencoder.ConvAutoencoder.build(width, height, depth, (4, 8), 6)[2]
    settings = {"epochs": 4, "batch_size": 64, "learning_rate": 3e-3, "seed": 42, "least_steps": 80}
    rows, held_out = np.arange(40, len(pixels)), np.arange(40)
    return networks.Training(autoencoder, pixels, rows, held_out, as_floats, **settings | options)


@pytest.fixture(scope="module")
def trained(ones):
    """A training of four epochs that has ended with its best, and its state after the second."""
    run = new_training(ones)
    epochs = run.run()
    next(epochs)
    next(epochs)
    state = {name: values.copy() for name, values in run.state().items()}
    list(epochs)
    run.take_best()
    return run, state


@pytest.fixture(scope="module")
def network(trained):
    return keras_runtime.to_onnx(trained[0].autoencoder)


@pytest.mark.parametrize(
    ("width", "height", "depth"), [(28, 28, 1), (8, 8, 1), (31, 17, 3), (5, 3, 1), (1, 1, 3)]
)
def test_every_size_is_reconstructed_at_its_own_size_without_a_warning(width, height, depth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder, decoder, autoencoder = convautoencoder.ConvAutoencoder.build(width, height, depth)
    pictures = np.random.default_rng(0).random((2, height, width, depth), np.float32)
    latent = encoder(pictures)
    assert latent.shape == (2, 16)
    decoded = np.asarray(decoder(latent))
    assert decoded.shape == pictures.shape
    assert (decoded > 0).all()
    assert (decoded < 1).all()
    np.testing.assert_array_equal(np.asarray(autoencoder(pictures)), decoded)


def test_its_docstring_names_each_argument_and_what_is_returned():
    assert list(disagreements(convautoencoder.ConvAutoencoder.build)) == []


def test_the_network_is_the_tutorials():
    _, _, autoencoder = convautoencoder.ConvAutoencoder.build(28, 28, 1)
    # 3x3 convolutions of 32 and 64, a latent vector of 16, and the same backwards: counted by hand.
    encoder = (9 * 32 + 32) + 4 * 32 + (9 * 32 * 64 + 64) + 4 * 64 + (7 * 7 * 64 * 16 + 16)
    decoder = (16 * 3136 + 3136) + (9 * 64 * 64 + 64) + 4 * 64 + (9 * 64 * 32 + 32) + 4 * 32
    assert autoencoder.count_params() == encoder + decoder + (9 * 32 + 1)


@pytest.mark.parametrize(("width", "height", "depth"), [(28, 28, 1), (31, 17, 3)])
def test_the_onnx_network_reconstructs_as_keras_does(width, height, depth):
    _, _, autoencoder = convautoencoder.ConvAutoencoder.build(width, height, depth, (16, 32))
    pictures = np.random.default_rng(0).random((5, height, width, depth), np.float32)
    # As training would, so that the statistics of no layer are the initial.
    rng = np.random.default_rng(1)
    autoencoder.set_weights(
        [w + 0.1 * rng.random(w.shape, np.float32) for w in autoencoder.get_weights()]
    )
    shape = (height, width, depth)
    size = height * width * depth
    detector = AutoencoderDetector(
        shape,
        Components(1, np.zeros(size, np.float32), np.ones((1, size), np.float32), np.ones(1)),
        np.ones(height * width, np.float32),
        network=keras_runtime.to_onnx(autoencoder),
    )
    expected = autoencoder.predict(pictures, verbose=0)
    for picture, wanted in zip(pictures, expected, strict=True):
        found = detector.reconstruct(picture.ravel()).reshape(shape)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_training_that_went_on_from_a_state_ends_with_the_same_weights(ones, trained):
    whole, state = trained
    second = new_training(ones)
    second.autoencoder.set_weights([w + 1 for w in second.autoencoder.get_weights()])
    second.restore(state)
    list(second.run())
    assert second.history == whole.history
    second.take_best()
    for a, b in zip(whole.autoencoder.get_weights(), second.autoencoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_learns_and_keeps_the_epoch_that_reconstructs_held_out_pictures_best(
    ones, trained
):
    run, _ = trained
    losses = run.history["val_loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert run.best_epoch == 1 + losses.index(min(losses))
    x = as_floats(ones[:40])
    errors = np.square(run.autoencoder.predict(x, verbose=0) - x).mean(axis=(1, 2, 3))
    assert np.median(errors) == pytest.approx(min(losses), rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_training(ones):
    layers = keras_runtime.keras.layers
    network = keras_runtime.keras.Sequential([layers.Input((8, 8, 1)), layers.Dense(1)])
    network.set_weights([weights * np.nan for weights in network.get_weights()])
    run = new_training(ones, network, epochs=2)
    with pytest.raises(networks.TrainingDiverged, match="epoch 1"):
        list(run.run())


def test_components_do_not_learn_the_anomalies_that_they_were_fitted_with(ones, others):
    anomalies = others[:9]
    components = Components.fit(np.concatenate([ones, anomalies]), latent_dim=8)
    usual = [components.distance(as_floats(p).ravel()) for p in ones]
    strange = [components.distance(as_floats(p).ravel()) for p in anomalies]
    assert min(strange) > np.quantile(usual, 0.9)


def test_the_usual_pictures_leave_out_the_strangest_twentieth(ones, others):
    pictures = np.concatenate([ones, others[:5]])
    components = Components.fit(pictures)
    usual = components.usual(pictures)
    assert len(usual) == pytest.approx(0.95 * len(pictures), abs=1)
    assert (usual < len(ones)).sum() == len(usual)


@pytest.mark.parametrize("with_network", [False, True])
def test_scores_equal_those_of_the_slow_way_and_of_each_picture_alone(
    ones, others, with_network, request
):
    network = request.getfixturevalue("network") if with_network else None
    detector = AutoencoderDetector.fit(ones, network=network)
    pictures = as_floats(np.concatenate([ones[:6], others[:6]])).reshape(12, -1)
    scores = detector.score(pictures)
    for picture, score in zip(pictures, scores, strict=True):
        assert score == pytest.approx(naive.autoencoder_score(detector, picture), abs=1e-4)
        assert detector.score(picture[None])[0] == score
    assert detector.score_pixels(ones[:6]).tolist() == scores[:6].tolist()
    assert scores[:6].max() < scores[6:].min()


def test_heat_of_a_spot_is_on_the_spot_and_a_normal_picture_has_none(ones):
    detector = AutoencoderDetector.fit(ones)
    spoiled = ones[0].copy()
    spoiled[6:8, 0:2] = 255
    heat = detector.heat(as_floats(spoiled).ravel(), relative=lambda _: 2.0).reshape(8, 8)
    assert heat[6:8, 0:2].mean() > 1
    assert heat[6:8, 0:2].mean() > 5 * np.median(heat)
    assert detector.heat(as_floats(ones[0]).ravel(), relative=lambda _: 0.5).max() <= 1


def test_an_anomaly_always_shows_some_heat(ones):
    detector = AutoencoderDetector.fit(ones)
    assert detector.heat(as_floats(ones[0]).ravel(), relative=lambda _: 1.01).max() > 1


def parts_of(detector):
    return detector.parameters(), dict(detector.arrays()), dict(detector.networks())


def test_a_restored_detector_gives_the_same_scores(ones):
    detector = AutoencoderDetector.fit(ones)
    again = AutoencoderDetector.restore(*parts_of(detector))
    assert again.score_pixels(ones).tolist() == detector.score_pixels(ones).tolist()


def in_parameters(**values):
    return lambda parameters, _arrays, _networks: parameters.update(values)


def in_arrays(name, change):
    return lambda _parameters, arrays, _networks: arrays.update({name: change(arrays[name])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_parameters(shape=[8, 8]), "shape is"),
        (in_parameters(shape=[8, 8, -1]), "shape is"),
        (in_parameters(units=[1.0]), "units are"),
        (in_parameters(units=[1.0, float("nan")]), "units are"),
        (in_parameters(latent_dim=10**6), "latent_dim is 1000000"),
        (in_parameters(architecture="conv"), "networks are"),
        (in_arrays("mean", lambda _: None), "no array 'mean'"),
        (in_arrays("mean", lambda a: a.astype(float)), "'mean' is not float32"),
        (in_arrays("mean", lambda a: a * np.float32(np.nan)), "'mean' has .* not finite"),
        (in_arrays("mean", lambda a: a[:-1]), "'mean' is not float32 of shape"),
        (in_arrays("usual_errors", lambda a: a[:-1]), "'usual_errors' is not float32 of shape"),
        (in_arrays("usual_errors", lambda a: 0 * a), "'usual_errors' has .* not positive"),
        (in_arrays("variances", lambda a: -a), "'variances' has .* not positive"),
        (lambda _p, _a, networks: networks.update(network=b"x"), "networks are"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(ones, change, message):
    parts = parts_of(AutoencoderDetector.fit(ones))
    change(*parts)
    with pytest.raises(ValueError, match=message):
        AutoencoderDetector.restore(*parts)


@pytest.mark.parametrize("network", [b"no network at all", b"", None])
def test_a_network_that_is_none_or_another_is_refused(ones, network):
    parameters, arrays, _ = parts_of(AutoencoderDetector.fit(ones))
    parameters["architecture"] = "conv"
    if network is None:
        network = keras_runtime.to_onnx(convautoencoder.ConvAutoencoder.build(9, 9, 1, (4,), 2)[2])
    with pytest.raises(ValueError, match="network"):
        AutoencoderDetector.restore(parameters, arrays, {"network": network}).check()


def test_a_model_file_keeps_networks_and_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "m"
    model_file.save_model(str(path), {"kind": "x"}, {"a": np.arange(3)}, {"net": b"graph" * 99})
    assert model_file.load_model(str(path)).networks == {"net": b"graph" * 99}
    path.write_bytes(path.read_bytes().replace(b"graphgraph", b"graphGraph", 1))
    with pytest.raises(model_file.ModelFileError, match=r"damaged|digest"):
        model_file.load_model(str(path))
    with pytest.raises(model_file.ModelFileError):
        Labeller.open(str(path))
