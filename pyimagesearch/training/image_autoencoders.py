"""The training half for autoencoders of pictures: pictures -> network -> calibration -> model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.synthetic import defects
from pyimagesearch.detectors.image.autoencoder import AutoencoderDetector, Components
from pyimagesearch.detectors.image.denoising import DenoisingDetector
from pyimagesearch.features import as_floats
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.reports import drawing, plots
from pyimagesearch.runtime.console import info
from pyimagesearch.training import checkpoints, noisy_images
from pyimagesearch.training.calibration import Folds
from pyimagesearch.training.folder_audit import MIN_IMAGES, check_trainable
from pyimagesearch.training.image_set import ImageSet
from pyimagesearch.training.trackers import Tracker
from pyimagesearch.training.trained_model import TrainedModel

LOSSES = ("ssim", "mse", "mix")
HELD_OUT = 0.2
# With fewer images than this, components are cheap to fit several times, and a fifth is few.
CROSS_CALIBRATED_BELOW = 1_000
_SAMPLES = 10  # pairs in the reconstruction picture: half of them the best, half the worst


@dataclass(frozen=True)
class NetworkOptions:
    """What can be chosen about a network; its values are those of the convolutional one.

    Attributes:
        epochs, batch_size, learning_rate: see ``keras_loop.Training``.
        seed: of all choices.
        filters: of each convolution, from the picture inwards.
        latent_dim: length of the latent vector, also of principal components; of the denoising
            network, channels of the bottleneck.
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
        patience: end after as many epochs in which the held-out loss did not improve.
        kinds: of made defects; None means all.
        noisy: a folder of spoiled pictures, see ``noisy_images.load_noisy``; None makes them all.
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
        least_images: that it takes to learn.
        largest_side: in pixels, that a folder's pictures are taken at unless a size is chosen.
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
class Learned:
    """A detector of pictures, and what its threshold can be chosen from.

    Attributes:
        pictures: what it was learned from.
        detector: one of ``registry.DETECTORS``.
        calibrated: (n,) indices of the pictures that calibrate it, in the order of ``scores``.
        scores: (n,) theirs, by detectors that had not seen them.
        calibration: those of ``scores`` that are presumed to be normal, in ascending order.
        calibration_method: how these were made.
        training: (m,) scores of the pictures that ``detector`` learned from.
        hyperparameters: what was chosen, as JSON types.
        run: the training of its network; None where it has none.
    """

    pictures: ImageSet
    detector: AutoencoderDetector | DenoisingDetector
    calibrated: np.ndarray
    scores: np.ndarray
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray
    hyperparameters: dict[str, Any]
    run: Any = None

    @property
    def names(self) -> list[str]:
        """Of the pictures behind ``scores``."""
        return [self.pictures.names[i] for i in self.calibrated]


def learn(
    pictures: ImageSet,
    architecture: str,
    chosen: NetworkOptions,
    keeper: checkpoints.Keeper,
    *,
    rate: float | None = None,
    jobs: int = 1,
) -> Learned:
    """Learn to reconstruct pictures, of which a few may be anomalies.

    Args:
        pictures: to learn from and to calibrate on.
        architecture: one of ``ARCHITECTURES``.
        chosen: of its network; ``DenoisingOptions`` for ``denoising``.
        keeper: trains the network.
        rate: a false-alarm rate that was asked for, or None.
        jobs: number of processes.

    Raises:
        options.UserError: the pictures cannot be learned from, or cannot promise the rate.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    pixels = pictures.pixels
    check_trainable(pixels, pictures.source, ARCHITECTURES[architecture].least_images)
    used, held_out = _split(len(pixels), architecture, chosen.seed)
    if rate is not None:
        n_calibration = len(held_out) or len(pixels)
        n_anomalies = round(pictures.anomalous_share * n_calibration)
        thresholds.check_rate(rate, n_calibration - n_anomalies)

    known = pixels[used] if len(held_out) else pixels
    some = {"latent_dim": chosen.latent_dim, "seed": chosen.seed}
    fit = functools.partial(AutoencoderDetector.fit, **some)
    run = None
    if architecture != "denoising":
        info(f"fitting principal components to {len(known)} images...")
    if architecture == "pca":
        detector = fit(known)
    elif architecture == "conv":
        components = Components.fit(known, **some)
        usual = used[components.usual(known)]
        run = _trained(pictures, architecture, chosen, usual, held_out, keeper, jobs)
        detector = fit(known, components=components, network=_for_labelling(run))
    else:
        run = _trained(pictures, architecture, chosen, used, held_out, keeper, jobs)
        network = _for_labelling(run)
        detector = DenoisingDetector.fit(known, network, pixels[held_out], seed=chosen.seed)

    if len(held_out):
        method, calibrated = f"held-out {HELD_OUT:.0%}", held_out
        scores = detector.score_pixels(pixels[held_out])
    else:
        folds = Folds.of(len(pixels))
        method, calibrated = folds.method, used
        scores = folds.scores(np.asarray(pixels), fit, AutoencoderDetector.score_pixels, jobs)
    calibration = thresholds.without_contamination(scores, pictures.anomalous_share)
    if len(calibration) < len(scores):
        method += f", without the {len(scores) - len(calibration)} strangest"
    return Learned(
        pictures=pictures,
        detector=detector,
        calibrated=calibrated,
        scores=scores,
        calibration=calibration,
        calibration_method=method,
        training=detector.score_pixels(known),
        hyperparameters=_hyperparameters(architecture, chosen, run),
        run=run,
    )


def _split(n_images: int, architecture: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to calibrate on; none of the latter where it is done by folds."""
    if architecture == "pca" and n_images < CROSS_CALIBRATED_BELOW:
        return np.arange(n_images), np.arange(0)
    order = np.random.default_rng(seed).permutation(n_images)
    n_held_out = round(HELD_OUT * n_images)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _hyperparameters(architecture: str, chosen: NetworkOptions, run: Any) -> dict[str, Any]:
    """What was chosen, as far as it had a say, and the epoch that was kept."""
    described = {
        "architecture": architecture,
        "filters": list(chosen.filters),
        "latent_dim": chosen.latent_dim,
        "seed": chosen.seed,
    }
    if run is not None:
        described |= {
            "epochs": chosen.epochs,
            "best_epoch": run.best_epoch,
            "batch_size": chosen.batch_size,
            "learning_rate": chosen.learning_rate,
        }
    if isinstance(chosen, DenoisingOptions):
        described |= {"loss": chosen.loss, "kinds": list(chosen.kinds or defects.KINDS)}
    return described


def _trained(
    pictures: ImageSet,
    architecture: str,
    chosen: NetworkOptions,
    rows: np.ndarray,
    held_out: np.ndarray,
    keeper: checkpoints.Keeper,
    jobs: int,
) -> Any:
    """The ``keras_loop.Training`` of the pictures of some rows, ended with the best epoch."""
    noisy = None
    if isinstance(chosen, DenoisingOptions) and chosen.noisy is not None:
        noisy = noisy_images.load_noisy(
            chosen.noisy, pictures.names, pictures.source, pictures.extractor, jobs
        )
    info("loading TensorFlow...")
    from pyimagesearch.runtime import keras as keras_runtime
    from pyimagesearch.training import keras_loop

    keras_runtime.make_repeatable(chosen.seed)
    height, width, depth = pictures.extractor.shape
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
        checkpoints.take_weights(autoencoder, chosen.initial_weights)
    run = make(
        autoencoder,
        pictures.pixels,
        rows,
        held_out,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
        least_steps=ARCHITECTURES[architecture].least_steps,
    )
    keeper.begin(run, config | {"data": pictures.digest})
    info(f"training the network on {len(rows)} images, watching {len(held_out)} others...")
    keeper.train()
    return run


def _for_labelling(run: Any) -> bytes:
    from pyimagesearch.runtime.keras import to_onnx

    info("writing the network for labelling...")
    return to_onnx(run.autoencoder)


def image_model(learned: Learned, threshold: thresholds.Threshold) -> TrainedModel:
    """Put together what goes into the model file of pictures.

    Args:
        learned: from them.
        threshold: the verdict's rule and value.
    """
    libraries: tuple[str, ...] = ("numpy", "scikit-learn")
    weights: Sequence[np.ndarray] = ()
    if learned.run is not None:
        libraries += ("keras", "tensorflow")
        weights = learned.run.autoencoder.get_weights()
    pictures = learned.pictures
    return TrainedModel(
        preprocessing=pictures.extractor.settings(),
        detector=learned.detector,
        calibration=learned.calibration,
        calibration_method=learned.calibration_method,
        training=learned.training,
        threshold=threshold,
        hyperparameters=learned.hyperparameters,
        data_digest=pictures.digest,
        libraries=libraries,
        weights=weights,
        conditions=capture_conditions.from_images(
            pictures.dataset.bgr_images(), len(pictures.pixels)
        ),
    )


def plot_learned(learned: Learned) -> bytes:
    """Plot the losses of the network's training, or how the components' variances fall, as PNG."""
    run, detector = learned.run, learned.detector
    if run is None:
        return plots.plot_variances(detector.components.variances, detector.components.latent_dim)
    loss = "loss" if isinstance(detector, DenoisingDetector) else "mean squared error"
    return plots.plot_losses(run.history, run.best_epoch, loss)


def draw_examples(learned: Learned) -> np.ndarray:
    """Draw the best and the worst of the calibration pictures beside their reconstructions.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    return _drawn(learned, learned.pictures.pixels[learned.calibrated], learned.scores)


def _drawn(learned: Learned, pixels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    order = np.argsort(scores, kind="stable")
    half = min(_SAMPLES, len(order)) // 2
    chosen = np.concatenate([order[:half], order[len(order) - half :]])
    originals = np.stack([as_floats(pixels[i]) for i in chosen])
    decoded = [learned.detector.reconstruct(x.ravel()).reshape(x.shape) for x in originals]
    return drawing.draw_reconstructions(np.stack(decoded), originals)


def track_spoiled(learned: Learned, tracker: Tracker) -> None:
    """Log how pictures that were held out look and score when they are spoiled.

    Args:
        learned: by the architecture ``denoising``.
        tracker: told of them.
    """
    spoiled = learned.run.spoiled_pictures(learned.calibrated)
    scores = learned.detector.score_pixels(spoiled)
    tracker.log_scores("spoiled_scores", scores)
    tracker.log_picture("spoiled", _drawn(learned, spoiled, scores))
    histogram = plots.plot_histogram(
        learned.scores, scores, {}, "Scores of held-out pictures, good and spoiled"
    )
    tracker.log_picture("histogram", images.decode_image(histogram))
