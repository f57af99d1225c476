"""Claims about the denoising autoencoder: network, training, score and what it is told."""

import json

import numpy as np
import pytest

from helpers.lazy import Lazy
from pyimagesearch import features
from pyimagesearch.data.synthetic import parts
from pyimagesearch.detectors.image.denoising import DenoisingDetector
from pyimagesearch.features import PixelFeatures, as_floats

keras_runtime = Lazy("pyimagesearch.runtime.keras")


denoising = Lazy("pyimagesearch.training.denoising_network")


SIZE = 32


@pytest.fixture(scope="module")
def good():
    """(40, 32, 32, 3) uint8 RGB, rendered parts."""
    pictures = [parts.render_part(3, number, SIZE)[:, :, ::-1] for number in range(40)]
    return np.stack(pictures)


def new_training(pixels, **options):
    keras_runtime.make_repeatable(1)
    height, width, depth = pixels.shape[1:]
    network = denoising.DenoisingAutoencoder.build(width, height, depth, (8, 8), 4)
    settings = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "least_steps": 12}
    settings |= {"seed": 1, "loss": "mix"}
    rows, held_out = np.arange(10, len(pixels)), np.arange(10)
    return denoising.DenoisingTraining(network, pixels, rows, held_out, **settings | options)


@pytest.fixture(scope="module")
def trained(good):
    """A training of two epochs that has ended, and its state after the first."""
    run = new_training(good)
    epochs = run.run()
    next(epochs)
    state = {name: values.copy() for name, values in run.state().items()}
    list(epochs)
    return run, state


@pytest.fixture(scope="module")
def detector(good, trained):
    network = keras_runtime.to_onnx(trained[0].autoencoder)
    return DenoisingDetector.fit(good[10:], network, good[:10])


def test_a_graph_labels_as_keras_does(good, trained, detector):
    check_reconstructions(good[:3], trained[0].autoencoder, detector)


def test_the_network_takes_any_size():
    keras_runtime.make_repeatable(1)
    network = denoising.DenoisingAutoencoder.build(20, 9, 1, (8, 8, 8), 4)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 20, 1)).astype(np.uint8)
    graph = keras_runtime.to_onnx(network)
    check_reconstructions(pixels, network, DenoisingDetector.fit(pixels, graph, pixels))


def check_reconstructions(pixels, network, detector):
    n_pictures, height, width, depth = pixels.shape
    expected = network.predict(as_floats(pixels), verbose=0)
    assert expected.shape == (n_pictures, height, width, depth + 1)
    for picture, wanted in zip(as_floats(pixels), expected, strict=True):
        rebuilt = detector.reconstruct(picture.ravel()).reshape(height, width, depth)
        assert np.allclose(rebuilt, wanted[:, :, :-1], atol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "ssim", "mix"])
def test_every_loss_falls(good, trained, loss):
    run, _ = trained  # on the mixture
    if loss != "mix":
        run = new_training(good, loss=loss)
        list(run.run())
    assert run.history["loss"][1] < run.history["loss"][0]


def test_a_training_that_goes_on_ends_with_the_same_weights(good, trained):
    whole, state = trained
    second = new_training(good)
    second.restore(state)
    list(second.run())
    assert second.history == whole.history
    pairs = zip(whole.autoencoder.get_weights(), second.autoencoder.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_what_is_learned_from_is_spoiled_where_the_marks_say(good):
    run = new_training(good)
    for x, y in run._prepared([np.arange(10, 26)], 0):
        changed = np.abs(x - y[..., :-1]).max(axis=3) > 0.1
        marked = y[..., -1] > 0
        assert changed.any(axis=(1, 2)).sum() >= 8
        assert (changed & marked).sum() > 0.9 * changed.sum()
        untouched = ~marked.any(axis=(1, 2))
        assert untouched.any()
        assert np.array_equal(x[untouched], y[untouched][..., :-1])


def test_given_noisy_pictures_are_learned_from(good):
    from pyimagesearch.training.noisy_images import NoisyImages

    noisy = good[10:11].copy()
    noisy[0, 5:9, 5:9] = (255, 0, 0)
    run = new_training(good, noisy=NoisyImages(noisy, {10: [0]}, ""))
    spoiled, wanted = run._make_defective(10, good[:2], np.random.default_rng(1))
    red = (spoiled[..., 0] > 200) & (spoiled[..., 1] < 50)
    assert red.sum() >= 9
    assert (wanted[..., -1] > 0)[red].all()


def test_a_spoiled_part_scores_higher_and_its_heat_lies_on_the_defect(good, detector):
    spoiled = good[:10].copy()
    spoiled[:, 10:16, 18:24] = (255, 0, 0)
    assert detector.score_pixels(spoiled).min() > detector.score_pixels(good[:10]).max()
    heat = detector.heat(as_floats(spoiled[0]).ravel(), relative=lambda _: 2.0).reshape(SIZE, SIZE)
    assert heat.max() > 1


def test_a_picture_gets_the_same_score_in_any_company(good, detector):
    rows = as_floats(good[:6]).reshape(6, -1)
    together = detector.score(rows)
    assert [float(detector.score(row[None])[0]) for row in rows] == together.tolist()
    assert np.array_equal(detector.score_pixels(good[:6]), together)


def test_nothing_of_a_normal_picture_is_hot_and_something_of_an_anomaly_is(good, detector):
    picture = as_floats(good[0]).ravel()
    assert detector.heat(picture, relative=lambda _: 0.9).max() <= 1
    assert detector.heat(picture, relative=lambda _: 1.1).max() > 1


def test_a_detector_comes_back_from_its_parts_the_same(good, detector):
    parameters = json.loads(json.dumps(detector.parameters()))
    again = DenoisingDetector.restore(parameters, detector.arrays(), detector.networks())
    assert np.array_equal(again.score_pixels(good[:3]), detector.score_pixels(good[:3]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shape", [32, 32]),
        ("shape", [31, 32, 3]),
        ("limit", 0.0),
        ("centres", [0.0, 1.0]),
        ("spreads", [1.0, 1.0, 0.0]),
        ("spreads", "wide"),
        ("latent_dim", 10_000),
    ],
)
def test_parameters_that_do_not_fit_are_refused(detector, name, value):
    parameters = json.loads(json.dumps(detector.parameters())) | {name: value}
    with pytest.raises(ValueError, match=r"its detector|its array"):
        DenoisingDetector.restore(parameters, detector.arrays(), detector.networks()).check()


def test_arrays_and_networks_that_do_not_fit_are_refused(detector):
    parameters, arrays = detector.parameters(), detector.arrays()
    for wrong in (
        {"usual_errors": arrays["usual_errors"][1:]},
        {"usual_errors": -arrays["usual_errors"]},
        {"mean": arrays["mean"] * np.nan},
    ):
        with pytest.raises(ValueError, match=f"its array '{next(iter(wrong))}'"):
            DenoisingDetector.restore(parameters, arrays | wrong, detector.networks())
    for networks_ in ({}, {"network": b"no graph"}):
        with pytest.raises(ValueError, match="network"):
            DenoisingDetector.restore(parameters, arrays, networks_).check()


@pytest.mark.parametrize("crop", [[1, 2, 3], [3, 0, 2, 5], [0, 0, 1.5, 2], "all", [0, 5, 3, 5]])
def test_a_crop_in_a_model_file_that_is_none_is_refused(crop):
    settings = PixelFeatures(8, 8, 1).settings() | {"crop": crop}
    with pytest.raises(ValueError, match="crop"):
        features.from_settings(settings)
