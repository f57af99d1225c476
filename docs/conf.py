"""How Sphinx makes a site of the README, of this folder and of the docstrings: ``make docs``.

Its source folder is the checkout itself, so that a link between two files is right for readers of
the checkout and in the site, and nothing has to rewrite it.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from pyimagesearch import __version__  # noqa: E402 (this checkout's)

project = "Learn what normal looks like"
html_title = project
version = release = __version__
root_doc = "README"
include_patterns = ["*.md", "docs/**"]
templates_path: list[str] = []
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Anchors are GitHub's, of headings of every depth.
myst_heading_anchors = 6
# The notebook is committed with what its cells printed; the tests run it.
nb_execution_mode = "off"

# The reference needs the signatures of what builds networks, not TensorFlow.
autodoc_mock_imports = ["keras", "tensorflow"]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Give the site its contents: the README's table of documents in its order, then the rest."""
    if docname != root_doc:
        return
    table = source[0].partition("\n## Documentation\n")[2]
    pages = re.findall(r"\[([^\]]+)\]\(([\w/-]+)\.(?:md|ipynb)\)", table)
    entries = "\n".join(f"{title[0].upper()}{title[1:]} <{name}>" for title, name in pages)
    source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{entries}\ndocs/*\nCHANGELOG\n```\n"


def begin_with_the_readme(app: Sphinx, exception: Exception | None) -> None:
    """Show the README where a browser asks for the site and for no page of it."""
    if exception is None and app.builder.name == "html":
        shutil.copy(app.outdir / "README.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("build-finished", begin_with_the_readme)
