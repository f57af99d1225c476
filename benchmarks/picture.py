"""Make the README's picture: the labelled examples side by side.

make demo && python -m benchmarks.picture
"""

from imutils import build_montages

from benchmarks.measure import CHECKOUT
from pyimagesearch import images, reports

SHOWN = ("forest_1", "coast_1", "highway_1")


def main() -> None:
    labelled = [
        images.read_image(str(CHECKOUT / "labelled" / "examples" / f"{name}.jpg")) for name in SHOWN
    ]
    (montage,) = build_montages(labelled, (512, 256), (1, len(labelled)))
    target = CHECKOUT / "docs" / "labelled.jpg"
    target.write_bytes(reports.encode_picture(montage, ".jpg"))


if __name__ == "__main__":
    main()
