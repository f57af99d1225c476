"""Reports of photos with hostile names, and pages that are written without a script."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from helpers.scripts import CHECKOUT, run_script
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports import html_page, report_folder

# What a name could do to a page, to CSV in a spreadsheet, and to JSON.
HOSTILE = {
    b"<img src=x onerror=alert(1)>.jpg": "coast_1",
    b'"><script>alert(1)<!--.jpg': "forest_1",
    b"<!--<script>.jpg": "forest_2",
    b"=cmd()|'!A1.jpg": "highway_1",
    b"new\nline.jpg": "coast_2",
    b"no \xff\xfe utf-8.jpg": "highway_2",
    b"{{ 7 * 7 }} & amp;.jpg": "forest_2",
    b"%2e%2e?#.jpg": "forest_1",
}


UNREADABLE_NAME = b"<b onclick=alert(1)>.jpg"


def label(model, *options, folder=CHECKOUT):
    script = CHECKOUT / "test_anomaly_detector.py"
    return run_script(script, "-m", model, *options, cwd=folder)


@pytest.fixture(scope="module")
def hostile_photos(tmp_path_factory):
    """Photos with hostile names, one of them unreadable, and one in a folder called <."""
    folder = os.fsencode(tmp_path_factory.mktemp("hostile"))
    for name, source in HOSTILE.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write((CHECKOUT / "examples" / f"{source}.jpg").read_bytes())
    os.mkdir(os.path.join(folder, b"<"))
    shutil.copy(CHECKOUT / "examples" / "coast_1.jpg", os.path.join(folder, b"<", b"script>.jpg"))
    with open(os.path.join(folder, UNREADABLE_NAME), "wb") as file:
        file.write(b"no picture")
    return folder


@pytest.fixture(scope="module")
def report(forest_model, hostile_photos, tmp_path_factory):
    """The pages of these photos, relative to whose folder they were labelled, and their rows."""
    folder = tmp_path_factory.mktemp("report")
    for page in ("report.html", "beside/"):
        done = label(
            *(
                forest_model,
                "-i",
                ".",
                "--csv",
                folder / "rows.csv",
                "--json",
                folder / "rows.json",
            ),
            *("--report", f"{folder}/{page}"),
            folder=hostile_photos,
        )
        assert done.returncode == 3, done.stderr.decode()
    return folder


def embedded(path):
    """The data that stands in a page."""
    text = path.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    data = json.loads(found[1])
    return data, [row for block in data["blocks"] for row in block]


def make_nothing(paths, folder, explain):
    """Pages of pictures that are not there."""


MODEL = html_page.JudgingModel("m.model", "0" * 64, 0.5, np.linspace(0, 1, 99))


def write_page(path, verdicts, make=make_nothing, **options):
    report_folder.check(path)
    with html_page.ImagePage(path, **options) as page:
        for verdict in verdicts:
            page.add(verdict)
        page.write(MODEL, [], make)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A page of 10,000 pictures, whose copies are nowhere."""
    path = tmp_path_factory.mktemp("large") / "large.html"
    scores = np.random.default_rng(3).beta(4, 9, 10_000)
    verdicts = [
        Verdict(f"photos/{i:05d}.jpg", ANOMALY if s > 0.5 else NORMAL, float(s), 0.5)
        for i, s in enumerate(scores)
    ]
    write_page(str(path), verdicts)
    return path


def names(n_images):
    return "".join(f"forest/forest_{1 + i % 24}.jpg\n" for i in range(n_images)).encode()


def find(*arguments):
    done = run_script("find_anomalies.py", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done
