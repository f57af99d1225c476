"""Virtual environments that the benchmarks make, apart from the one that they run in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where environments are kept that take long to install."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pyimagesearch"


def environment(folder: Path, *requirements: str) -> Path:
    """Python of an environment with these packages, made in ``folder`` if it is not there.

    Args:
        folder: of the environment.
        requirements: arguments of ``pip install``.

    Raises:
        subprocess.CalledProcessError: it cannot be made, or the packages cannot be installed.
    """
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(requirements)
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-qq", *requirements],
            check=True,
            stdout=sys.stderr,
        )
        installed.write_text(wanted)
    return python


def peer_environment(requirement: str, module: str, folder: Path | None = None) -> Path | None:
    """Python of an environment with a peer's package, or None where it cannot be installed.

    Args:
        requirement: of pip, with a version.
        module: of the package, imported to see whether it runs here.
        folder: of the environment, kept for the next time; None for one in the user's cache.
    """
    folder = folder or cache_folder() / requirement.replace("==", "-")
    try:
        python = environment(folder, requirement)
        subprocess.run([python, "-c", f"import {module}"], check=True, capture_output=True)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"[WARNING] {requirement} does not run here: {error}", file=sys.stderr)
        return None
    return python


def size(folder: Path) -> float:
    """MB of all files in a folder, each counted once."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6
