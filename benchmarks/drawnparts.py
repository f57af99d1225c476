"""Drawn parts, and the same with defects, for the anomaly maps in docs/patch-features.md.

python -m benchmarks.drawnparts [--network NETWORK]     writes docs/heatmaps.jpg
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from imutils import build_montages

from benchmarks.measure import CHECKOUT, run_python
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.reports import drawing

SIDE = 320
N_GOOD = 60
N_BOLTS = 6


def draw_flange(rng: np.random.Generator) -> np.ndarray:
    """A flange of brushed metal with six bolts, slightly rotated and shifted: BGR."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    middle = SIDE / 2 + rng.uniform(-3, 3, 2)
    distance = np.hypot(x - middle[0], y - middle[1])
    angle = np.arctan2(y - middle[1], x - middle[0])
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 1)
    brushed = 150 + 25 * np.cos(2 * angle + rng.uniform(-0.2, 0.2)) + 12 * noise
    brushed += 5 * np.sin(distance * 1.7)
    table = 52 + 5 * cv2.GaussianBlur(noise, (0, 0), 2)
    picture = np.where(distance < SIDE * 0.42, brushed, table)
    picture = np.where(np.abs(distance - SIDE * 0.24) < 3, picture - 45, picture)
    picture = np.where(distance < SIDE * 0.12, 28 + 4 * noise, picture)
    picture = np.repeat(picture[:, :, None], 3, axis=2) * np.array([1.0, 0.99, 0.96])
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    turn = rng.uniform(-0.08, 0.08)
    for bolt in range(N_BOLTS):
        direction = turn + 2 * np.pi * bolt / N_BOLTS
        at = middle + SIDE * 0.33 * np.array([np.cos(direction), np.sin(direction)])
        draw_bolt(picture, at, rng.uniform(0, np.pi / 3))
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.8)
    grain = rng.normal(0, 2, blurred.shape)
    return np.clip(blurred + grain, 0, 255).astype(np.uint8)


def draw_bolt(picture: np.ndarray, at: np.ndarray, turn: float) -> None:
    corners = turn + np.arange(6) * np.pi / 3
    outline = at + 15 * np.stack([np.cos(corners), np.sin(corners)], axis=1)
    cv2.circle(picture, tuple(map(int, at)), 19, (95, 95, 92), -1, cv2.LINE_AA)
    cv2.fillPoly(picture, [np.int32(outline)], (190, 188, 182), cv2.LINE_AA)
    cv2.circle(picture, tuple(map(int, at)), 8, (172, 170, 165), 1, cv2.LINE_AA)


def scratch(picture: np.ndarray, rng: np.random.Generator) -> None:
    points = np.array([[196, 92], [214, 104], [228, 121], [237, 142]]) + rng.integers(-6, 6, 2)
    cv2.polylines(picture, [np.int32(points)], False, (215, 215, 212), 2, cv2.LINE_AA)
    cv2.polylines(picture, [np.int32(points + 2)], False, (70, 70, 70), 1, cv2.LINE_AA)


def rust(picture: np.ndarray, rng: np.random.Generator) -> None:
    spots = np.zeros(picture.shape[:2], np.float32)
    for _ in range(14):
        at = np.array([112, 236]) + rng.normal(0, 9, 2)
        cv2.circle(spots, tuple(map(int, at)), int(rng.integers(2, 7)), 1.0, -1)
    share = cv2.GaussianBlur(spots, (0, 0), 2)[:, :, None] * 0.7
    picture[:] = picture * (1 - share) + np.array([40, 75, 130]) * share


def lost_bolt(picture: np.ndarray, rng: np.random.Generator) -> None:
    at = (SIDE // 2 + round(SIDE * 0.33), SIDE // 2)
    cv2.circle(picture, at, 21, (128, 127, 123), -1, cv2.LINE_AA)
    cv2.circle(picture, at, 9, (25, 25, 25), -1, cv2.LINE_AA)
    cv2.circle(picture, at, int(rng.integers(10, 12)), (90, 90, 88), 1, cv2.LINE_AA)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--network", default="efficientnet-lite0")
    args = ap.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good").mkdir()
        for number in range(N_GOOD):
            write(folder / "good" / f"{number:02}.png", draw_flange(rng))
        model = folder / "flange.model"
        run_python(
            *("train_anomaly_detector.py", "-d", folder / "good", "-m", model),
            *("--method", "memory-bank", "--backbone", args.network),
            *("--keep-thumbnails", "--quiet"),
        )
        labeller = Labeller.open(str(model))
        shown = []
        for add_defect in (scratch, rust, lost_bolt):
            picture = draw_flange(rng)
            add_defect(picture, rng)
            path = folder / f"{add_defect.__name__}.png"
            write(path, picture)
            (verdict,) = labeller.label([str(path)], 1)
            print(add_defect.__name__, verdict.label, f"{verdict.score:.3f}")
            shown.append(drawing.draw_labelled(labeller, verdict))
    (montage,) = build_montages(shown, shown[0].shape[1::-1], (1, len(shown)))
    target = CHECKOUT / "docs" / "heatmaps.jpg"
    target.write_bytes(images.encode_picture(montage, ".jpg"))


def write(path: Path, picture: np.ndarray) -> None:
    path.write_bytes(images.encode_picture(picture, ".png"))


if __name__ == "__main__":
    main()
