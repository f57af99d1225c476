"""Learn what normal looks like, then say of any image whether it is an anomaly."""

import os

__version__ = "0.1.0"

# OpenCV reads this limit once, when it is first imported: a file of 100 kB can otherwise
# decode to gigabytes. images.MAX_PIXELS repeats the check for decoders that are not OpenCV's.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))
