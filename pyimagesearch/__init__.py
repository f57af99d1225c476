"""Learn from normal images and series, and find anomalies in others."""

import logging
import os

__version__ = "0.1.0"

# Nothing is printed where nobody has configured logging; see runtime.console.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# Set before numpy and OpenCV are imported for the first time, when both read their environment.
# Images are worked on in parallel, one per thread: BLAS's own threads would only get in the way,
# and starting them costs as much as importing OpenCV.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# The reason of an unreadable image's verdict replaces OpenCV's messages.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
