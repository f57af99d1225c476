"""Claims about the denoising autoencoder, made by calling train_autoencoder.py."""

import os

import cv2
import pytest

from helpers import losses
from helpers.scripts import run_script
from pyimagesearch.data import image_sets, images
from pyimagesearch.detectors import model_file
from pyimagesearch.features import PixelFeatures
from pyimagesearch.labelling.images import Labeller


def train(folder, dataset, *options, **settings):
    return run_script(
        *("train_autoencoder.py", "-a", "denoising", "-d", dataset, "-m", folder / "d.model"),
        *("-v", folder / "vis.png", "-p", folder / "plot.png", "--filters", "4"),
        *("--epochs", "1", *options),
        **settings,
    )


@pytest.fixture(scope="module")
def trained_parts(good_parts, tmp_path_factory):
    """A folder with a model of the cropped parts, everything logged by wandb."""
    folder = tmp_path_factory.mktemp("denoising")
    done = train(
        folder,
        good_parts / "train" / "good",
        *("--crop", "4", "4", "44", "40", "--image-size", "40", "32"),
        *("--tracker", "wandb", "--log-dir", folder / "log", "--save-dataset", folder / "i.npz"),
        *("--epochs", "2"),
        env={**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"},
    )
    assert done.returncode == 0, done.stderr.decode()
    (folder / "stderr").write_bytes(done.stderr)
    return folder


def test_crop_and_size_travel_in_the_model_file(trained_parts, good_parts, tmp_path):
    manifest = model_file.load_model(str(trained_parts / "d.model")).manifest
    assert manifest["preprocessing"]["crop"] == [4, 4, 44, 40]
    labeller = Labeller.open(str(trained_parts / "d.model"))
    assert labeller.extractor == PixelFeatures(32, 40, 3, (4, 4, 44, 40))
    path = next((good_parts / "train" / "good").iterdir())
    picture = images.read_image(str(path))
    elsewhere = picture.copy()
    elsewhere[:4], elsewhere[:, 44:] = 255, 0
    for name, pixels in (("a.png", picture), ("b.png", elsewhere), ("c.png", picture[:30])):
        cv2.imwrite(str(tmp_path / name), pixels)
    one, other, small = labeller.label([str(tmp_path / f"{n}.png") for n in "abc"], 1)
    assert one.score == other.score
    assert small.label == "unreadable"
    assert "do not hold the crop" in small.reason
    assert labeller.score_map(images.read_bytes(str(path)))[1][:4].max() == 0
    assert len(image_sets.read_npz(str(trained_parts / "i.npz")).images) == 48


def test_wandbs_run_folder_holds_losses_and_example_pictures(trained_parts):
    pictures = {
        p.name.rsplit("_", 2)[0] for p in (trained_parts / "log").rglob("media/images/*.png")
    }
    assert pictures == {"reconstructions", "spoiled", "histogram"}
    (run,) = (trained_parts / "log").rglob("*.wandb")
    for written in (b"val_loss", b"calibration_scores", b"spoiled_scores", b"latent_dim"):
        assert written in run.read_bytes()
    said = losses.said((trained_parts / "stderr").read_bytes())
    assert len(said) == 2
    assert losses.in_wandb(run) == said


def test_training_starts_again_from_its_folders_of_noisy_pictures(good_parts, tmp_path):
    backgrounds = good_parts / "train" / "good"
    run_script(
        *("generate_data.py", "defects", "-b", backgrounds, "-o", tmp_path / "noisy"),
        *("--n-samples", "2"),
    )
    options = ("--noisy", tmp_path / "noisy", "--image-size", "32", "--tracker", "csv")
    models = []
    for _ in range(2):
        done = train(tmp_path, backgrounds, *options, "--log-dir", tmp_path / "log")
        assert done.returncode == 0, done.stderr.decode()
        assert b"96 defective images of 48 good ones" in done.stderr
        models.append((tmp_path / "d.model").read_bytes())
        assert losses.in_csv(tmp_path / "log" / "losses.csv") == losses.said(done.stderr) != []
    assert models[0] == models[1]
    logged = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert logged == [
        *("calibration_scores.csv", "config.json", "histogram.png", "losses.csv"),
        *("reconstructions.png", "spoiled.png", "spoiled_scores.csv"),
    ]


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--noisy", "tests"], 1, b"no images in this folder"),
        (["--noisy", "examples"], 1, b"no image in it is a defective version"),
        (["--noisy", "nowhere"], 1, b"nowhere: no such folder"),
        (["--crop", "9", "0", "3", "9"], 1, b"a crop is x0 y0 x1 y1"),
        (["--noisy", "a", "--kinds", "hole"], 2, b"exclude each other"),
        (["--crop", "0", "0", "99", "99"], 1, b"too few"),
    ],
)
def test_what_cannot_work_is_a_sentence(good_parts, tmp_path, options, status, sentence):
    refused = train(tmp_path, good_parts / "train" / "good", *options)
    assert refused.returncode == status
    assert sentence in refused.stderr
    assert b"Traceback" not in refused.stderr
    assert not (tmp_path / "d.model").exists()


@pytest.mark.parametrize("option", [["--loss", "mse"], ["--noisy", "a"], ["--patience", "3"]])
def test_its_options_go_with_no_other_architecture(tmp_path, option):
    refused = run_script("train_autoencoder.py", "-d", "digits", "-m", tmp_path / "m", *option)
    assert refused.returncode == 2
    assert b"goes with --architecture denoising alone" in refused.stderr
