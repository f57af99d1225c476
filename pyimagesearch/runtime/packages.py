"""Which set of packages brings a module along, and what to say where it is missing."""

from __future__ import annotations

import os
import sys

DISTRIBUTION = "pyimagesearch-anomaly"
BASE = "score"
# Module: (the package that has it, the set that it is part of).
_PACKAGES = {
    "cv2": ("opencv-contrib-python", BASE),
    "numpy": ("numpy", BASE),
    "onnxruntime": ("onnxruntime", BASE),
    "simplejpeg": ("simplejpeg", BASE),
    "tqdm": ("tqdm", BASE),
    "onnx": ("onnx", "train"),
    "sklearn": ("scikit-learn", "train"),
    "imutils": ("imutils", "autoencoders"),
    "keras": ("tensorflow", "autoencoders"),
    "tensorflow": ("tensorflow", "autoencoders"),
    "tf2onnx": ("tf2onnx", "autoencoders"),
    "matplotlib": ("matplotlib", "series"),
    "pandas": ("pandas", "series"),
    "openpyxl": ("openpyxl", "tables"),
    "pyarrow": ("pyarrow", "tables"),
    "pillow_heif": ("pillow-heif", "heic"),
    "jinja2": ("jinja2", "report"),
    "cryptography": ("cryptography", "cluster"),
    "distributed": ("distributed", "cluster"),
    "fsspec": ("fsspec", "cluster"),
}
_CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def install_line(packages: str) -> str:
    """The command that installs a set of packages, in the checkout or from the installed wheel.

    Args:
        packages: such as ``train``: ``requirements-train.txt``, the extra ``[train]``.
    """
    requirements = f"requirements-{packages}.txt"
    if os.path.exists(os.path.join(_CHECKOUT, requirements)):
        return f"pip install -r {requirements}"
    return f"pip install '{DISTRIBUTION}{'' if packages == BASE else f'[{packages}]'}'"


def what_is_missing(error: ImportError) -> str | None:
    """A sentence with the command that mends it; None where the packages are not what is wrong.

    Args:
        error: of an import of a package, or of what it needs from the system.
    """
    if _is_of_the_system(error):
        return (
            f"OpenCV needs what this system lacks ({error}); install the OpenCV that opens no "
            "windows in its place: pip uninstall --yes opencv-contrib-python; "
            "pip install opencv-contrib-python-headless"
        )
    module = (error.name or "").partition(".")[0]
    if module not in _PACKAGES or (module in sys.modules and sys.modules[module] is not None):
        return None
    package, packages = _PACKAGES[module]
    return f"the package {package} is missing: {install_line(packages)}"


def _is_of_the_system(error: ImportError) -> bool:
    """Whether OpenCV is there, and one of the libraries that its windows need is not."""
    return "cannot open shared object" in str(error) and "cv2" in (error.path or error.name or "")
