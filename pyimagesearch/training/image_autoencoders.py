"""The training half for autoencoders of images: images -> network -> calibration -> model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.synthetic import defects
from pyimagesearch.detectors.image.autoencoder import AutoencoderDetector, Components
from pyimagesearch.detectors.image.denoising import DenoisingDetector
from pyimagesearch.features import as_floats
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.reports import mosaics, plots
from pyimagesearch.runtime.console import counted, info
from pyimagesearch.training import contamination, noisy_images
from pyimagesearch.training.calibration import Folds
from pyimagesearch.training.checkpoints import TrainingRun, load_weights
from pyimagesearch.training.folder_audit import MIN_IMAGES, check_trainable
from pyimagesearch.training.image_set import ImageSet
from pyimagesearch.training.trackers import Tracker
from pyimagesearch.training.trained_model import Fit, TrainedModel

if TYPE_CHECKING:  # Keras takes seconds to import
    from pyimagesearch.training.denoising_network import DenoisingTraining
    from pyimagesearch.training.keras_loop import Training

LOSSES = ("ssim", "mse", "mix")
HELD_OUT = 0.2
# With fewer images than this, components are cheap to fit several times, and a fifth is few.
CROSS_CALIBRATED_BELOW = 1_000
_SAMPLES = 10  # pairs of image and reconstruction: half of them the best, half the worst


@dataclass(frozen=True)
class NetworkOptions:
    """What can be chosen about a network; the defaults are those of the convolutional one.

    Attributes:
        epochs, batch_size, learning_rate: see ``keras_loop.Training``.
        seed: of all choices.
        filters: of each convolution, from the image inwards.
        latent_dim: length of the latent vector, or number of principal components; of the
            denoising network, channels of the bottleneck.
        initial_weights: a model file to start from.
    """

    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 42
    filters: Sequence[int] = (16, 32)
    latent_dim: int = 16
    initial_weights: str | None = None


@dataclass(frozen=True)
class DenoisingOptions(NetworkOptions):
    """What can be chosen about the denoising network.

    Attributes:
        loss: one of ``LOSSES``.
        patience: stop after as many epochs in which the held-out loss did not improve.
        kinds: of synthetic defects; None means all.
        noisy: a folder of defective images, see ``noisy_images.load_noisy``; None makes them all.
    """

    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 2e-3
    filters: Sequence[int] = (16, 32, 64, 96)
    latent_dim: int = 32
    loss: str = "mix"
    patience: int = 8
    kinds: Sequence[str] | None = None
    noisy: str | None = None


@dataclass(frozen=True)
class Architecture:
    """What differs between architectures.

    Attributes:
        options: of its network, unless something else is chosen.
        least_images: that it can be trained on.
        largest_side: in pixels, that a folder's images are resized to unless a size is chosen.
        least_steps: of an epoch.
    """

    options: NetworkOptions
    least_images: int
    largest_side: int
    least_steps: int


CONV = Architecture(NetworkOptions(), least_images=20, largest_side=64, least_steps=80)
DENOISING = Architecture(DenoisingOptions(), least_images=20, largest_side=128, least_steps=30)
ARCHITECTURES = {
    "conv": CONV,
    "denoising": DENOISING,
    "pca": replace(CONV, least_images=MIN_IMAGES),
}


@dataclass(frozen=True)
class AutoencoderFit(Fit):
    """A fitted autoencoder; ``calibration`` are those of its scores that are presumed to be normal.

    Attributes:
        image_set: what it was fitted on.
        calibrated: (n,) indices of the images that calibrate it, in the order of ``scores``.
        scores: (n,) theirs, by detectors that had not seen them.
        network: the training of its network; None where it has none.
    """

    detector: AutoencoderDetector | DenoisingDetector
    image_set: ImageSet
    calibrated: np.ndarray
    scores: np.ndarray
    network: Training | None

    @property
    def names(self) -> list[str]:
        """Of the images behind ``scores``."""
        return [self.image_set.names[i] for i in self.calibrated]

    @property
    def n_left_out(self) -> int:
        """Number of these that do not calibrate it, since they may be anomalies."""
        return len(self.scores) - len(self.calibration)


def fit(
    image_set: ImageSet,
    architecture: str,
    chosen: NetworkOptions,
    run: TrainingRun,
    *,
    rate: float | None = None,
    jobs: int = 1,
) -> AutoencoderFit:
    """Fit a detector that reconstructs images, of which a few may be anomalies.

    Args:
        image_set: to learn from and to calibrate on.
        architecture: one of ``ARCHITECTURES``.
        chosen: of its network; ``DenoisingOptions`` for ``denoising``.
        run: trains the network.
        rate: a false-alarm rate that was asked for, or None.
        jobs: number of processes.

    Raises:
        UserError: the images cannot be learned from, or cannot promise the rate.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    pixels = image_set.pixels
    check_trainable(pixels, image_set.source, ARCHITECTURES[architecture].least_images)
    learned, held_out = _split(len(pixels), architecture, chosen.seed)
    if rate is not None:
        n_calibration = len(held_out) or len(pixels)
        n_anomalies = int((image_set.anomalous_share or 0) * n_calibration + 1e-9)
        thresholds.check_rate(rate, n_calibration - n_anomalies)

    known = pixels[learned] if len(held_out) else pixels
    options = {"latent_dim": chosen.latent_dim, "seed": chosen.seed}
    fit_detector = functools.partial(AutoencoderDetector.fit, **options)
    network: Training | None = None
    detector: AutoencoderDetector | DenoisingDetector
    if architecture != "denoising":
        info(f"fitting principal components to {counted(len(known), 'image')}...")
    if architecture == "pca":
        detector = fit_detector(known)
    elif architecture == "conv":
        components = Components.fit(known, **options)
        usual = learned[components.usual(known)]
        network = _train_network(image_set, architecture, chosen, usual, held_out, run, jobs)
        detector = fit_detector(known, components=components, network=_to_onnx(network))
    else:
        network = _train_network(image_set, architecture, chosen, learned, held_out, run, jobs)
        detector = DenoisingDetector.fit(
            known, _to_onnx(network), pixels[held_out], seed=chosen.seed
        )

    if len(held_out):
        method, calibrated = f"held-out {HELD_OUT:.0%}", held_out
        scores = detector.score_pixels(pixels[held_out])
    else:
        folds = Folds.split(len(pixels))
        method, calibrated = folds.method, learned
        score = AutoencoderDetector.score_pixels
        scores = folds.scores(np.asarray(pixels), fit_detector, score, jobs)
    names = [image_set.names[i] for i in calibrated]
    left_out = contamination.choose_uncalibrated(names, scores, image_set.anomalous_share)
    if len(left_out):
        method += f", without the {len(left_out)} strangest"
    return AutoencoderFit(
        image_set=image_set,
        detector=detector,
        calibrated=calibrated,
        scores=scores,
        calibration=np.delete(scores, left_out),
        calibration_method=method,
        training=detector.score_pixels(known),
        hyperparameters=_hyperparameters(architecture, chosen, network),
        network=network,
    )


def _split(n_images: int, architecture: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to calibrate on; none of the latter where it is done by folds."""
    if architecture == "pca" and n_images < CROSS_CALIBRATED_BELOW:
        return np.arange(n_images), np.arange(0)
    order = np.random.default_rng(seed).permutation(n_images)
    n_held_out = round(HELD_OUT * n_images)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _hyperparameters(
    architecture: str, chosen: NetworkOptions, network: Training | None
) -> dict[str, Any]:
    """What was chosen, as far as the architecture uses it, and the epoch that was kept."""
    described = {
        "architecture": architecture,
        "filters": list(chosen.filters),
        "latent_dim": chosen.latent_dim,
        "seed": chosen.seed,
    }
    if network is not None:
        described |= {
            "epochs": chosen.epochs,
            "best_epoch": network.best_epoch,
            "batch_size": chosen.batch_size,
            "learning_rate": chosen.learning_rate,
        }
    if isinstance(chosen, DenoisingOptions):
        described |= {"loss": chosen.loss, "kinds": list(chosen.kinds or defects.KINDS)}
    return described


def _train_network(
    image_set: ImageSet,
    architecture: str,
    chosen: NetworkOptions,
    rows: np.ndarray,
    held_out: np.ndarray,
    run: TrainingRun,
    jobs: int,
) -> Training:
    """Train a network on the images of some rows; it ends with the weights of the best epoch."""
    noisy = None
    if isinstance(chosen, DenoisingOptions) and chosen.noisy is not None:
        noisy = noisy_images.load_noisy(
            chosen.noisy, image_set.names, image_set.source, image_set.extractor, jobs
        )
    info("loading TensorFlow...")
    from pyimagesearch.runtime import keras as keras_runtime
    from pyimagesearch.training import keras_loop

    keras_runtime.make_repeatable(chosen.seed)
    height, width, depth = image_set.extractor.shape
    shape = (width, height, depth, chosen.filters, chosen.latent_dim)
    config = asdict(chosen)
    if isinstance(chosen, DenoisingOptions):
        from pyimagesearch.training.denoising_network import DenoisingAutoencoder, DenoisingTraining

        autoencoder = DenoisingAutoencoder.build(*shape)
        make = functools.partial(
            DenoisingTraining,
            loss=chosen.loss,
            patience=chosen.patience,
            noisy=noisy,
            kinds=chosen.kinds or (),
        )
        config["noisy"] = noisy and noisy.digest
    else:
        from pyimagesearch.convautoencoder import ConvAutoencoder

        _, _, autoencoder = ConvAutoencoder.build(*shape)
        make = functools.partial(keras_loop.Training, as_floats=as_floats)
    if chosen.initial_weights is not None:
        load_weights(autoencoder, chosen.initial_weights)
    network = make(
        autoencoder,
        image_set.pixels,
        rows,
        held_out,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
        least_steps=ARCHITECTURES[architecture].least_steps,
    )
    info(
        f"training the network on {counted(len(rows), 'image')}, "
        f"with {counted(len(held_out), 'other')} held out..."
    )
    run.train(network, config | {"data": image_set.digest})
    return network


def _to_onnx(network: Training) -> bytes:
    from pyimagesearch.runtime.keras import to_onnx

    info("writing the network for labelling...")
    return to_onnx(network.autoencoder)


def image_model(fitted: AutoencoderFit, threshold: thresholds.Threshold) -> TrainedModel:
    """Put together what goes into the model file.

    Args:
        fitted: the detector.
        threshold: the verdict's rule and value.
    """
    libraries: tuple[str, ...] = ("numpy", "scikit-learn")
    weights: Sequence[np.ndarray] = ()
    if fitted.network is not None:
        libraries += ("keras", "tensorflow")
        weights = fitted.network.autoencoder.get_weights()
    image_set = fitted.image_set
    return TrainedModel(
        fit=fitted,
        preprocessing=image_set.extractor.settings(),
        threshold=threshold,
        data_digest=image_set.digest,
        libraries=libraries,
        weights=weights,
        capture_conditions=capture_conditions.from_images(
            image_set.dataset.bgr_images(), len(image_set.pixels)
        ),
    )


def plot_fit(fitted: AutoencoderFit) -> bytes:
    """Plot the losses of the network's training, or how the components' variances fall, as PNG."""
    network, detector = fitted.network, fitted.detector
    if network is not None:
        loss = "loss" if isinstance(detector, DenoisingDetector) else "mean squared error"
        return plots.plot_losses(network.history, network.best_epoch, loss)
    return plots.plot_variances(detector.components.variances, detector.components.latent_dim)


def draw_examples(fitted: AutoencoderFit) -> np.ndarray:
    """Draw the best and the worst of the calibration images next to their reconstructions.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    pixels = fitted.image_set.pixels[fitted.calibrated]
    return _draw(fitted, pixels, fitted.scores, "Calibration images")


def _draw(fitted: AutoencoderFit, pixels: np.ndarray, scores: np.ndarray, what: str) -> np.ndarray:
    order = np.argsort(scores, kind="stable")
    half = min(_SAMPLES, len(order)) // 2
    chosen = np.concatenate([order[:half], order[len(order) - half :]])
    originals = np.stack([as_floats(pixels[i]) for i in chosen])
    decoded = [fitted.detector.reconstruct(x.ravel()).reshape(x.shape) for x in originals]
    title = f"{what}: the lowest scores above, the highest below"
    return mosaics.draw_reconstructions(np.stack(decoded), originals, scores[chosen], title)


def log_defective(fitted: AutoencoderFit, tracker: Tracker) -> None:
    """Log reconstructions and scores of the calibration images with synthetic defects.

    Args:
        fitted: one whose ``network`` is a ``DenoisingTraining``.
        tracker: where to.
    """
    network = cast("DenoisingTraining", fitted.network)
    defective = network.defective_images(fitted.calibrated)
    scores = fitted.detector.score_pixels(defective)
    tracker.log_scores("spoiled_scores", scores)
    tracker.log_image("spoiled", _draw(fitted, defective, scores, "With synthetic defects"))
    histogram = plots.plot_histogram(
        fitted.scores, scores, {}, "Scores of held-out pictures, good and spoiled"
    )
    tracker.log_image("histogram", images.decode_image(histogram))
