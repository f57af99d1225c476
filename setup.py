"""The package's extras, which are the requirements files: these say each list once.

Everything else about the package stands in pyproject.toml; there, files cannot name others.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent
# Extra: the requirements files that it is.
EXTRAS = {
    "train": ("requirements-train.txt",),
    "autoencoders": ("requirements-autoencoders.txt",),
    "series": ("requirements-series.txt",),
    "tables": ("requirements-tables.txt",),
    "heic": ("requirements-heic.txt",),
    "report": ("requirements-report.txt",),
    "cluster": ("requirements-cluster.txt",),
    "serve": ("requirements-serve.txt",),
    # But for heic, whose wheels hold code under the GPL.
    "all": (
        "requirements.txt",
        "requirements-tables.txt",
        "requirements-cluster.txt",
        "requirements-serve.txt",
    ),
    "docs": ("requirements-docs.txt",),
    "dev": ("requirements-dev.txt",),
}
BASE = "requirements-score.txt"


def requirements(name: str) -> list[str]:
    """The packages of a requirements file and of those that it names, each once.

    Args:
        name: of the file.
    """
    found: list[str] = []
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found += requirements(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            found.append(line)
    return list(dict.fromkeys(found))


def extras() -> dict[str, list[str]]:
    """The packages of each extra, without those that the package always needs."""
    always = requirements(BASE)
    return {
        extra: [
            package
            for package in dict.fromkeys(line for file in files for line in requirements(file))
            if package not in always
        ]
        for extra, files in EXTRAS.items()
    }


if __name__ == "__main__":
    from setuptools import setup

    setup(extras_require=extras())
