"""Make pictures for the README and docs: labelled examples side by side, the most anomalous digits.

make demo && python -m benchmarks.picture
"""

import tempfile

from imutils import build_montages

from benchmarks.measure import CHECKOUT, run_python
from pyimagesearch.data import images

SHOWN = ("forest_1", "coast_1", "highway_1")


def main() -> None:
    labelled = [
        images.read_image(str(CHECKOUT / "labelled" / "examples" / f"{name}.jpg")) for name in SHOWN
    ]
    (montage,) = build_montages(labelled, (512, 256), (1, len(labelled)))
    target = CHECKOUT / "docs" / "labelled.jpg"
    target.write_bytes(images.encode_picture(montage, ".jpg"))

    with tempfile.TemporaryDirectory() as folder:
        model, dataset = f"{folder}/digits.model", f"{folder}/digits.npz"
        run_python(
            *("train_autoencoder.py", "-d", "digits", "-m", model, "--save-dataset", dataset),
            *("-v", f"{folder}/v.png", "-p", f"{folder}/p.png"),
        )
        picture = CHECKOUT / "docs" / "anomalies.png"
        run_python("find_anomalies.py", "-m", model, "-d", dataset, "--top", 4, "-o", picture)


if __name__ == "__main__":
    main()
