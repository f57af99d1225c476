"""Claims about the site that ``make docs`` makes of the README, ``docs/`` and the docstrings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch import datasets, estimators, features

OPTIONS = re.findall(r"-m sphinx (.*) -c docs", (CHECKOUT / "Makefile").read_text())[0].split()
# What a browser fetches by itself.
FETCHED = (
    r"""<(?:script|img|iframe)\b[^>]*\ssrc="([^"]*)"|<link\b[^>]*\shref="([^"]*)"|url\(([^)]*)\)"""
)


def make_site(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run Sphinx as the Makefile does."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", *OPTIONS),
            *(
                "-c",
                str(CHECKOUT / "docs"),
                "-d",
                str(output / "doctrees"),
                str(source),
                str(output),
            ),
        ],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    made = make_site(CHECKOUT, folder)
    assert (made.returncode, made.stderr) == (0, "")
    return folder


def test_every_page_is_in_the_contents_of_the_site_and_the_readme_is_its_first(site):
    first = (site / "index.html").read_text()
    assert "Three examples" in first
    contents = first.partition('class="sidebar-tree"')[2].partition("</aside>")[0]
    pages = sorted(p for end in ("md", "ipynb") for p in (CHECKOUT / "docs").glob(f"*.{end}"))
    assert len(pages) > 15
    for page in pages:
        assert f'href="docs/{page.stem}.html"' in contents


def test_the_reference_has_what_is_there_to_be_imported(site):
    reference = (site / "docs" / "api.html").read_text()
    for name in estimators.__all__:
        for method in ("fit", "predict", "score_samples", "decision_function"):
            assert f'id="pyimagesearch.estimators.{name}.{method}"' in reference
    from pyimagesearch import convautoencoder  # brings in TensorFlow

    for module in (features, convautoencoder, datasets):
        for name, value in vars(module).items():
            listed = getattr(module, "__all__", None)
            is_own = getattr(value, "__module__", None) == module.__name__
            if (name in listed if listed else is_own) and not name.startswith("_"):
                assert f'id="{module.__name__}.{name}"' in reference, name


def test_the_site_is_read_without_a_network(site):
    fetched = {
        "".join(found)
        for path in (*site.rglob("*.html"), *site.rglob("*.css"))
        for found in re.findall(FETCHED, path.read_text())
    }
    assert len(fetched) > 10
    assert [url for url in fetched if re.match(r"""["']?(https?:)?//""", url)] == []


def test_links_to_nowhere_are_errors(tmp_path):
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    (source / "docs" / "page.md").write_text("# Page\n\n## Heading\n")
    (source / "CHANGELOG.md").write_text("# Changes\n")
    links = [
        "[a heading](docs/page.md#heading)",
        "[a page](docs/nowhere.md)",
        "[a heading](docs/page.md#nowhere)",
        "![a picture](nothing.png)",
    ]
    (source / "README.md").write_text("# Readme\n\n" + "\n\n".join(links) + "\n")
    made = make_site(source, tmp_path / "site")
    assert made.returncode != 0
    assert sorted(re.findall(r"README\.md:(\d+): WARNING", made.stderr)) == ["5", "7", "9"]
