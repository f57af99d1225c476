"""What the tests share."""

import pyimagesearch  # noqa: F401  (sets numpy's and OpenCV's limits before a test imports them)
