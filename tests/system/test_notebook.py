"""Claims about the notebook: each cell runs, what it asserts holds, and what it shows is so."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.scripts import CHECKOUT

NOTEBOOK = "docs/notebook.ipynb"
MOST_BYTES = 300_000


def shown(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """What the cells of a notebook print, and the kinds of what else they show, in order."""
    found = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":
            before = found.pop()[1] if found and found[-1][0] == output.name else ""
            found.append((output.name, before + output.text))  # whatever came at a time
        else:
            found += [(output.output_type, kind) for kind in sorted(output.data)]
    return found


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(CHECKOUT / NOTEBOOK, as_version=4)


def test_the_cells_run_and_show_what_the_notebook_was_committed_with(notebook, fresh_copy):
    committed = shown(notebook)
    where = {"metadata": {"path": str((fresh_copy / NOTEBOOK).parent)}}
    # An assertion that does not hold, or any other exception of a cell, is raised here.
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert shown(notebook) == committed


def test_the_notebook_is_a_small_file_with_a_picture_of_each_kind_of_data(notebook):
    assert (CHECKOUT / NOTEBOOK).stat().st_size < MOST_BYTES
    pictures, title = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            title = cell.source.partition("\n")[0].split()[1].rstrip(":")
        kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        pictures[title] = pictures.get(title, 0) + sum(k.startswith("image/") for k in kinds)
    assert all(pictures.get(name) for name in ("Photos", "Parts", "Digits", "Series"))
