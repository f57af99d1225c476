"""A real browser for the tests of pages, which fails them on any request and any complaint."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing that a browser does on its own account, and no sandbox, which root cannot have.
_SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once for a module."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: see requirements-dev")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=_SWITCHES)
        yield chromium
        chromium.close()


def barriers(page: Any) -> list[str]:
    """What axe-core finds on a page that keeps people from using it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@contextlib.contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """Open a page from disk; on leaving, nothing but its own files may have been asked for."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    with contextlib.closing(browser.new_context(accept_downloads=True, **options)) as context:
        page = context.new_page()
        page.set_default_timeout(10_000)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url[:200]}"))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
        page.goto(path.as_uri())
        yield page
        beside = path.parent.as_uri() + "/pictures"
        own = (path.as_uri(), "data:", "blob:", *([beside] if path.name == "index.html" else []))
        assert [url for url in asked if not url.startswith(own)] == []
        assert complaints == []
