"""Claims about the page of a run: what it holds, and what it does in a real browser."""

import csv
import html.parser
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive
from helpers.browsers import browser, opened  # noqa: F401  (a fixture)
from helpers.scripts import CHECKOUT, heed_interrupts, run_cold, run_script
from pyimagesearch.data import images
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import explanations, html_page, outlines, report_folder, thumbnails
from pyimagesearch.reports.page_template import PACKAGE
from pyimagesearch.reports.score_histogram import ScoreHistogram
from pyimagesearch.runtime.console import UserError

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
HEADER = b"image,label,score,p_value\n"
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


# --- what a page holds --------------------------------------------------------------------------


def embedded(path):
    """The data that stands in a page."""
    text = path.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    data = json.loads(found[1])
    return data, [row for block in data["blocks"] for row in block]


class References(html.parser.HTMLParser):
    """Gathers what the elements of a page refer to."""

    def __init__(self):
        super().__init__()
        self.ways = []

    def handle_starttag(self, tag, attributes):
        if tag != "html":
            self.ways += [v for name, v in attributes if name in ("src", "href", "xlink:href")]


def test_a_page_lists_every_readable_picture_strangest_first(report):
    with (report / "rows.json").open() as file:
        rows = [json.loads(line) for line in file]
    readable = sorted((r for r in rows if r["label"] != UNREADABLE), key=lambda r: -r["score"])
    for page in ("report.html", "beside/index.html"):
        _, listed = embedded(report / page)
        assert [row[:4] for row in listed] == [
            [r["image"], r["label"] == ANOMALY, r["score"], r["p_value"]] for r in readable
        ]


def test_a_page_refers_to_nothing_outside_and_forbids_every_request(report):
    text = (report / "report.html").read_text()
    found = References()
    found.feed(text)
    assert [way for way in found.ways if not way.startswith(("data:", "#"))] == []
    assert "@import" not in text
    assert "url(http" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "img-src data:;" in policy


def test_names_stand_in_a_page_as_text_alone(report):
    text = (report / "report.html").read_text()
    assert "<img src=x" not in text
    assert "<b onclick" not in text
    assert text.count("<script") == 2  # the data and the page's own
    assert text.count("</script>") == 2
    assert "&lt;b onclick=alert(1)&gt;.jpg" in text  # among the unreadable files


def test_a_folder_has_every_picture_beside_the_page(report, hostile_photos):
    data, listed = embedded(report / "beside" / "index.html")
    pictures = report / "beside" / data["settings"]["pictures"]
    for name, _, _, _, (sheet, cell, width, height), _ in listed:
        drawn = cv2.imread(str(pictures / data["sheets"][sheet][0])).astype(int)
        top, left = (128 * i for i in divmod(cell, 4))
        drawn = drawn[top : top + height, left : left + width]
        source = images.read_image(os.path.join(os.fsdecode(hostile_photos), name), 128)
        assert np.abs(drawn - cv2.resize(source, (width, height))).mean() < 16


def test_the_same_command_gives_the_same_page(forest_model, report, hostile_photos, tmp_path):
    again = tmp_path / "report.html"
    label(forest_model, "-i", ".", "--report", again, folder=hostile_photos)
    first = (report / "report.html").read_text()
    root = re.compile(r'"root":"[^"]*"')  # the way from the page to the photos
    assert root.sub("", again.read_text()) == root.sub("", first)


def test_only_anomalies_have_heat_and_all_say_why(report):
    _, listed = embedded(report / "beside" / "index.html")
    assert {row[1] for row in listed} == {0, 1}
    for row in listed:
        assert ("heat" in row[5]) == ("why" in row[5]) == bool(row[1])
        if row[1]:
            assert re.match(r"More than usual: .*% of the image", row[5]["why"])


def test_a_missing_package_is_told_before_the_work_begins(forest_model, tmp_path):
    arguments = ["t", "-m", str(forest_model), "-i", "examples"]
    arguments += ["--report", str(tmp_path / "r.html")]
    program = (
        f"import runpy, sys; sys.modules[{PACKAGE!r}] = None; sys.argv = {arguments!r}; "
        "runpy.run_path('test_anomaly_detector.py', run_name='__main__')"
    )
    refused = run_cold("-c", program)
    assert refused.returncode == 1
    assert refused.stdout == b""
    assert f"needs the package {PACKAGE}: pip install -r" in refused.stderr.decode()


def test_labelling_without_a_page_imports_nothing_that_only_pages_need(forest_model):
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['t', '-m', {str(forest_model)!r}, '-i', 'examples']\n"
        "try: runpy.run_path('test_anomaly_detector.py', run_name='__main__')\n"
        "finally: print(sorted({'jinja2', 'matplotlib', 'sqlite3'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    assert run_cold("-c", program).stderr.decode().splitlines()[-1] == "[]"


# --- folders that are there already -------------------------------------------------------------


def make_nothing(paths, folder, explain):
    """Pages of pictures that are not there."""


MODEL = html_page.JudgingModel("m.model", "0" * 64, 0.5, np.linspace(0, 1, 99))


def write_page(path, verdicts, make=make_nothing, **options):
    report_folder.check(path)
    with html_page.ImagePage(path, **options) as page:
        for verdict in verdicts:
            page.add(verdict)
        page.write(MODEL, [], make)


def files_below(folder):
    return {
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
    }


def test_a_newer_report_takes_the_place_of_an_older_one_and_leaves_other_files(
    forest_model, tmp_path
):
    target = f"{tmp_path}/r/"
    label(forest_model, "-i", "examples", "--report", target)
    before = files_below(target)
    for foreign in ("notes.txt", "pictures/mine.jpg", "pictures/sheet-.jpg"):
        (tmp_path / "r" / foreign).write_text("mine")
    done = label(forest_model, "-i", "examples/coast_1.jpg", "--report", target)
    assert done.returncode == 0, done.stderr.decode()
    after = files_below(target)
    assert {"notes.txt", "pictures/mine.jpg", "pictures/sheet-.jpg", "index.html"} <= after
    assert not {name for name in after if name in before} - {"index.html"}
    assert len([name for name in after if name.startswith("pictures-2/")]) == 4


def test_a_run_that_fails_leaves_the_older_report_whole(forest_model, tmp_path):
    target = f"{tmp_path}/r/"
    label(forest_model, "-i", "examples", "--report", target)
    before = {name: (tmp_path / "r" / name).read_bytes() for name in files_below(target)}
    (tmp_path / "empty").mkdir()
    failed = label(forest_model, "-d", tmp_path / "empty", "--report", target)
    assert failed.returncode == 1
    assert (
        before.items()
        <= {n: (tmp_path / "r" / n).read_bytes() for n in files_below(target)}.items()
    )


@pytest.mark.parametrize("script", ["test_anomaly_detector.py", "find_anomalies.py"])
def test_a_run_that_fails_leaves_nothing_of_its_report(forest_model, tmp_path, script):
    for name in ("empty", "mine", "mine/pictures"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "no.model").write_text("none")
    before = sorted(tmp_path.rglob("*"))
    examples = CHECKOUT / "examples"
    for target in ("new/er/", "mine"):
        for sentence, model, folder, options in (
            (b"not a model file", tmp_path / "no.model", examples, ()),
            (b"no images", forest_model, tmp_path / "empty", ()),
            (b"nowhere", forest_model, examples, ("--csv", tmp_path / "nowhere" / "t.csv")),
        ):
            failed = run_script(
                *(script, "-m", model, "-d", folder, "--report", f"{tmp_path}/{target}"), *options
            )
            assert (failed.returncode, failed.stdout) in ((1, b""), (1, HEADER))
            assert sentence in failed.stderr
            assert sorted(tmp_path.rglob("*")) == before
        full = run_cold(
            *(script, "-m", forest_model, "-d", examples, "--report", f"{tmp_path}/{target}"),
            largest_file=30_000,
        )
        assert full.returncode == 1
        assert b"index.html: File too large" in full.stderr
        assert sorted(tmp_path.rglob("*")) == before


def test_a_series_that_cannot_be_read_leaves_nothing_of_its_report(tmp_path):
    model = tmp_path / "s.model"
    trained = run_script(
        *("train_anomaly_detector.py", "-d", "examples/daily_normal.csv", "-m", model),
        *("--method", "stream"),
    )
    assert trained.returncode == 0, trained.stderr.decode()
    arguments = ("find_anomalies.py", "-m", model, "--report", f"{tmp_path}/new/", "-d")
    assert run_script(*arguments, "README.md").returncode == 1
    assert os.listdir(tmp_path) == ["s.model"]
    full = run_cold(*arguments, "examples/daily_jump.csv", largest_file=30_000)
    assert b"index.html: File too large" in full.stderr
    assert os.listdir(tmp_path) == ["s.model"]


def interrupted(model, folder, n_images, *options):
    """Press Ctrl-C in a run that waits for more paths, once it has made thumbnails of some."""
    target = folder / "new"
    with subprocess.Popen(
        [
            *(sys.executable, "test_anomaly_detector.py", "-m", model, "-i", "-", "-j", "1"),
            *("--report", f"{target}/", *options),
        ],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        process.stdin.write(names(n_images))
        process.stdin.flush()
        for _ in range(3):
            process.stdout.readline()
        assert list(thumbnails.read_sheets(target / "pictures"))
        process.send_signal(signal.SIGINT)
        messages = process.communicate()[1]
    assert process.returncode == 130, messages


def names(n_images):
    return "".join(f"forest/forest_{1 + i % 24}.jpg\n" for i in range(n_images)).encode()


def test_an_interrupted_run_leaves_its_thumbnails_only_to_one_that_goes_on(forest_model, tmp_path):
    interrupted(forest_model, tmp_path, 40)
    assert os.listdir(tmp_path) == []

    table = ("--csv", tmp_path / "t.csv")
    interrupted(forest_model, tmp_path, 40, *table)
    pictures = tmp_path / "new" / "pictures"
    made = set(pictures.glob("sheet-*"))
    assert made
    resumed = run_script(
        *("test_anomaly_detector.py", "-m", forest_model, "-i", "-", *table, "--resume"),
        *("--report", f"{tmp_path}/new/"),
        input=names(60),
    )
    assert b"going on after" in resumed.stderr
    assert made <= set(pictures.glob("sheet-*"))
    assert all(row[4] != 0 for row in embedded(tmp_path / "new" / "index.html")[1])


def test_what_a_killed_run_left_is_not_taken_for_thumbnails_of_a_new_one(forest_model, tmp_path):
    """Of a run of which nothing else is known, not even by what threshold it judged."""
    arguments = ("-i", "examples", "--csv", tmp_path / "t.csv", "--resume", "--report")
    with html_page.ImagePage(f"{tmp_path}/a/") as killed:
        paths = list(images.list_images("examples"))
        judged_otherwise = Labeller.open(str(forest_model)).with_threshold(0)
        thumbnails.label_and_write_thumbnails(
            judged_otherwise, paths, killed.thumbnails, explain=True
        )
    unfinished = f"{killed.thumbnails}/{thumbnails.thumbnail_id(paths[0])}.jpg.123.tmp"
    shutil.copy(paths[0], unfinished)
    for target in ("a/", "b/"):
        assert label(forest_model, *arguments, f"{tmp_path}/{target}").returncode == 0
        os.unlink(tmp_path / "t.csv.journal")
    assert not os.path.exists(unfinished)
    first, second = (embedded(tmp_path / name / "index.html") for name in "ab")
    assert first == second


@pytest.mark.parametrize("name", ["index.html", "pictures/photo.jpg"])
def test_a_folder_with_something_else_in_it_is_refused(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("<title>mine</title>")
    with pytest.raises(UserError, match="is not"):
        report_folder.check(f"{tmp_path}/")
    assert (tmp_path / name).read_text() == "<title>mine</title>"


def test_a_report_is_refused_inside_the_folder_that_is_looked_at(forest_model, tmp_path):
    shutil.copy(CHECKOUT / "examples" / "coast_1.jpg", tmp_path)
    refused = label(forest_model, "-d", tmp_path, "--report", f"{tmp_path}/report/")
    assert refused.returncode == 1
    assert b"would be read as input" in refused.stderr


def test_a_report_has_a_name_that_browsers_open(forest_model, tmp_path):
    refused = label(forest_model, "-i", "examples", "--report", tmp_path / "report.pdf")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"a folder with a / at its end" in refused.stderr


def test_a_resumed_run_finds_its_thumbnails_and_makes_what_is_missing(forest_model, tmp_path):
    labeller = Labeller.open(str(forest_model))
    paths = [str(CHECKOUT / "forest" / f"forest_{i}.jpg") for i in range(1, 21)]
    target, asked = f"{tmp_path}/r/", []
    report_folder.check(target)
    killed = html_page.ImagePage(target).__enter__()
    verdicts = thumbnails.label_and_write_thumbnails(labeller, paths, killed.thumbnails)
    lost = next(
        name for name, cells in thumbnails.read_sheets(killed.thumbnails) if len(cells) == 4
    )
    os.unlink(os.path.join(killed.thumbnails, lost))

    def make(some, folder, explain):
        asked.append((sorted(some), explain))
        thumbnails.label_and_write_thumbnails(labeller, list(some), folder, explain)

    write_page(target, verdicts, make, resumable=lambda: True)
    assert asked == [(sorted(paths[16:]), False), (sorted(paths), True)]
    assert all(row[4] != 0 for row in embedded(tmp_path / "r" / "index.html")[1])


# --- thousands of pictures ----------------------------------------------------------------------


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


def test_a_full_disk_of_temporary_files_is_told_in_a_sentence(tmp_path):
    def fill(page):
        for i in range(10_000):
            page.add(Verdict(f"{i}.jpg", NORMAL, 0.5, 0.5))

    with html_page.ImagePage(str(tmp_path / "r.html")) as page:
        page._database.execute("PRAGMA max_page_count = 3")
        with pytest.raises(UserError, match=r"temporary files .*full.*TMPDIR"):
            fill(page)


def test_one_file_says_how_many_of_many_pictures_it_shows(large):
    text = " ".join(large.read_text().split())
    assert "Photos of the 200 highest scores are in this file; the other 9,800 images are" in text


def test_of_more_pictures_than_a_page_can_list_the_strangest_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(html_page, "MAX_LISTED", 3)
    verdicts = [Verdict(f"{i}.jpg", NORMAL, i / 10, 0.5) for i in range(5)]
    write_page(str(tmp_path / "r.html"), verdicts)
    text = (tmp_path / "r.html").read_text()
    assert "The 3 highest scores of 5 images are listed" in text
    assert [f'"{i}.jpg"' in text for i in range(5)] == [False, False, True, True, True]


# --- what to expect, and why --------------------------------------------------------------------


@given(
    st.integers(1, 40),
    st.integers(0, 30),
    st.floats(-0.1, 1.1, allow_nan=False),
)
def test_expected_false_alarms_are_those_of_the_naive_distribution(n_known, n_items, threshold):
    calibration = np.linspace(0, 1, n_known)
    found = thresholds.false_alarms(threshold, calibration, n_items)
    rate, low, high = naive.false_alarms(threshold, calibration, n_items)
    assert found.rate == pytest.approx(rate)
    assert found.expected == pytest.approx(rate * n_items)
    assert (found.low, found.high) == (low, high)


def test_places_are_named_by_where_their_middles_lie():
    heat = np.zeros((90, 120), np.float32)
    heat[5:15, 100:110] = 2
    heat[80:84, 58:62] = 2
    named = explanations.explain_regions(outlines.find_regions(heat), heat.shape)
    assert named == ("Unusual: upper right (0.9% of the image) and bottom (0.1% of the image).")
    heat[:, :] = 2
    assert "most of the image (100%)" in explanations.explain_regions(
        outlines.find_regions(heat), heat.shape
    )


def test_colours_are_named_by_the_ranges_of_their_bins():
    assert explanations.colour_name(0, (3, 3, 3)) == "dark, greyish, red to green"
    assert explanations.colour_name(17, (3, 3, 3)) == "bright, vivid, green to blue"
    assert explanations.colour_name(3, (4, 1, 1)) == "violet to red"
    assert explanations.colour_name(1, (1, 1, 2)) == "bright, any hue"


def test_the_colours_that_are_named_are_those_with_the_most_heat():
    heat, shares = np.zeros(27), np.full(27, 1 / 27)
    heat[[17, 0]] = 3, 1.2
    usual = np.zeros(27)
    usual[17] = 0.004
    named = explanations.explain_colours(heat, shares, usual, (3, 3, 3))
    assert named == (
        "More than usual: bright, vivid, green to blue (3.7% of the image, usually 0.4%)."
    )


def test_heat_of_a_small_copy_lies_where_that_of_the_picture_does(parts_model, faulty_parts):
    labeller = Labeller.open(str(parts_model)).with_threshold(0)
    for path in list(images.list_images(str(faulty_parts / "test")))[:4]:
        image, heat = labeller.heat_map(images.read_bytes(path))
        found = labeller.extractor.extract(image)
        copy = cv2.resize(image, (20, 20))
        small = labeller.heat(copy, found, image.shape)
        resized = cv2.resize(heat, (20, 20), interpolation=cv2.INTER_AREA)
        assert small == pytest.approx(resized, abs=1e-4)


def test_a_picture_of_heat_shows_something_of_every_anomaly():
    heat = np.full((900, 900), 0.3, np.float32)
    heat[450, 450] = 1.001  # averaged away in a smaller picture
    drawn = thumbnails._tinted(heat)
    assert max(drawn.shape[:2]) == 160
    assert (drawn[:, :, 3] >= 255 * 0.4).any()
    assert (drawn[:, :, 3] > 0).sum() < 10  # what is far below the threshold does not show


def test_the_nearest_normal_picture_is_shown_where_the_model_holds_one(
    good_parts, faulty_parts, tmp_path
):
    model, page = tmp_path / "bank.model", tmp_path / "r.html"
    trained = run_script(
        *("train_anomaly_detector.py", "-d", good_parts / "train" / "good", "-m", model),
        *("--method", "memory-bank", "--image-size", "64", "--keep-thumbnails"),
    )
    assert trained.returncode == 0, trained.stderr.decode()
    label(model, "-d", faulty_parts / "test", "--false-alarm-rate", "0.3", "--report", page)
    anomalies = [row for row in embedded(page)[1] if row[1]]
    assert anomalies
    for row in anomalies:
        assert row[5]["nearest"].startswith("data:image/jpeg;base64,")
        assert all(0 <= share <= 1 for share in row[5]["place"])
        assert row[5]["why"].startswith("Unusual: ")


# --- datasets and series ------------------------------------------------------------------------


def find(*arguments):
    done = run_script("find_anomalies.py", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done


def test_pictures_without_files_have_a_page(parts_model, good_parts, tmp_path, browser):  # noqa: F811
    pictures = [cv2.imread(p) for p in images.list_images(str(good_parts / "test" / "good"))]
    np.savez(tmp_path / "set.npz", images=np.stack(pictures))
    page = tmp_path / "r"
    find("-m", parts_model, "-d", tmp_path / "set.npz", "-t", "0", "--report", f"{page}/")
    data, listed = embedded(page / "index.html")
    assert sorted(int(row[0]) for row in listed) == list(range(len(pictures)))
    assert data["settings"]["root"] is None
    with opened(browser, page / "index.html") as window:
        assert window.locator(".card img").first.evaluate("i => i.decode().then(() => i.width)")
        assert window.locator("#detail a").count() == 0


@pytest.mark.parametrize("rule", [(), ("--threshold", "0.6")])
def test_find_anomalies_and_test_anomaly_detector_write_the_same_page(forest_model, tmp_path, rule):
    for page in (".html", "/"):
        find("-m", forest_model, "-d", "examples", "--report", f"{tmp_path}/a{page}", *rule)
        label(forest_model, "-d", "examples", "--report", f"{tmp_path}/b{page}", *rule)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    names = files_below(tmp_path / "a")
    assert names == files_below(tmp_path / "b")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_heat_is_that_of_a_threshold_that_is_known_only_at_the_end(
    parts_model, faulty_parts, tmp_path
):
    arguments = ("-m", parts_model, "-d", faulty_parts / "test", "--report")
    find(*arguments, f"{tmp_path}/a/", "--threshold", "quantile", "--quantile", "0.5")
    data, listed = embedded(tmp_path / "a" / "index.html")
    assert sum("heat" in row[5] for row in listed) == sum(row[1] for row in listed) > 1
    find(*arguments, f"{tmp_path}/b/", "--threshold", data["settings"]["threshold"])
    for path in (tmp_path / "a" / "pictures").glob("*.heat.png"):
        assert path.read_bytes() == (tmp_path / "b" / "pictures" / path.name).read_bytes()


@pytest.mark.parametrize("script", ["test_anomaly_detector.py", "find_anomalies.py"])
def test_a_picture_that_ends_the_process_which_shows_it_costs_its_photo_alone(
    forest_model, tmp_path, script
):
    """An encoder of JPEGs stands for whatever may crash: it does over pictures of one size."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, simplejpeg\n"
        "encode = simplejpeg.encode_jpeg\n"
        "def encode_or_die(picture, *how, **more):\n"
        "    if picture.shape[:2] == (61, 67):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return encode(picture, *how, **more)\n"
        "simplejpeg.encode_jpeg = encode_or_die\n"
    )
    photos = tmp_path / "photos"
    shutil.copytree(CHECKOUT / "forest", photos)
    deadly = cv2.resize(cv2.imread(str(photos / "forest_3.jpg")), (67, 61))
    cv2.imwrite(str(photos / "forest_3.jpg"), deadly)
    for page in ("r.html", "r/"):
        ended = run_cold(  # whose own workers import the encoder that dies
            *(script, "-m", forest_model, "-d", photos, "--report", f"{tmp_path}/{page}"),
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert ended.returncode == 0, ended.stderr.decode()
    for page in ("r.html", "r/index.html"):
        listed = embedded(tmp_path / page)[1]
        assert len(listed) == 24
        without = [os.path.basename(row[0]) for row in listed if row[5] == 0]
        assert without == ["forest_3.jpg"]
    assert all(row[4] != 0 for row in listed)  # small copies were made while it was labelled


def test_a_series_has_a_page_with_its_ranges_and_plot(tmp_path, browser):  # noqa: F811
    model, page = tmp_path / "s.model", tmp_path / "s.html"
    trained = run_script(
        *("train_anomaly_detector.py", "-d", "examples/daily_normal.csv", "-m", model),
        *("--method", "stream"),
    )
    assert trained.returncode == 0, trained.stderr.decode()
    done = find("-m", model, "-d", "examples/daily_jump.csv", "--report", page)
    ranges = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    with opened(browser, page) as window:
        cells = window.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].slice(0, 3).map(cell => cell.textContent))"
        )
        assert cells == [[row[name] for name in ("start", "end", "peak")] for row in ranges]
        assert window.locator(".plot img").evaluate("i => i.decode().then(() => i.naturalWidth)")


# --- in a browser -------------------------------------------------------------------------------


def names_on(window):
    """What the cards are called, in their order."""
    return window.locator(".card").evaluate_all(
        "cards => cards.sort((a, b) => a.dataset.position - b.dataset.position)"
        ".map(card => card.querySelector('.name').title)"
    )


def chosen_on(window):
    return window.locator('.card[aria-selected="true"] .name').get_attribute("title")


@pytest.mark.parametrize("page", ["report.html", "beside/index.html"])
def test_hostile_names_are_shown_as_they_are_and_do_nothing(report, browser, page):  # noqa: F811
    with opened(browser, report / page) as window:
        shown = names_on(window)
        assert "./<img src=x onerror=alert(1)>.jpg" in shown
        assert './"><script>alert(1)<!--.jpg' in shown
        assert "./<//script>.jpg".replace("//", "/") in shown
        assert "./new\\nline.jpg" in shown
        assert "./no \\xff\\xfe utf-8.jpg" in shown
        assert len(shown) == len(HOSTILE) + 1
        assert window.locator("td").first.text_content() == "./<b onclick=alert(1)>.jpg"
        loaded = window.locator(".card img").evaluate_all(
            "async all => { await Promise.all(all.map(i => i.decode())); "
            "return all.map(i => i.naturalWidth); }"
        )
        assert min(loaded) > 0
        ways = set()
        for _ in shown:
            ways.add(window.locator("#detail a").evaluate("a => a.href"))
            window.keyboard.press("ArrowRight")
        base = os.path.realpath(window.url.removeprefix("file://"))
        assert all(way.startswith("file:///") for way in ways), base
        opens = {os.path.exists(os.fsencode(unquoted(way))) for way in ways}
        assert opens == {True}


def unquoted(url):
    from urllib.parse import unquote_to_bytes

    return os.fsdecode(unquote_to_bytes(url.removeprefix("file://")))


def test_the_numbers_at_the_top_are_those_of_the_run(report, browser):  # noqa: F811
    with (report / "rows.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    with opened(browser, report / "report.html") as window:
        for kind in (ANOMALY, NORMAL, UNREADABLE):
            shown = window.locator(f".counts .{kind} dd").text_content()
            assert int(shown) == labels.count(kind)
        assert "4%" in window.locator(".alarms").text_content()  # 24 photos to learn from
        bars = window.locator(".bars rect")
        heights = {ANOMALY: 0, NORMAL: 0}
        for kind, height in bars.evaluate_all(
            "all => all.map(bar => [bar.getAttribute('class'), +bar.getAttribute('height')])"
        ):
            heights[kind] += height
        assert heights == {kind: labels.count(kind) for kind in heights}
        assert window.locator(".bars .threshold").is_visible()


def test_notices_are_shown_as_alerts(tmp_path, browser):  # noqa: F811
    with html_page.ImagePage(str(tmp_path / "r.html")) as page:
        page.add(Verdict("a.jpg", NORMAL, 0.2, 0.5))
        page.write(MODEL, ["all pictures are <darker>."], make_nothing)
    with opened(browser, tmp_path / "r.html") as window:
        assert window.get_by_role("alert").text_content() == "All pictures are <darker>."


def test_one_picture_is_not_called_all_pictures(tmp_path):
    write_page(str(tmp_path / "r.html"), [Verdict("a.jpg", NORMAL, 0.2, 0.5)])
    assert "If the image here was normal" in (tmp_path / "r.html").read_text()


def test_a_run_that_could_read_nothing_has_a_page_that_says_so(tmp_path, browser):  # noqa: F811
    write_page(str(tmp_path / "r.html"), [Verdict("a.jpg", UNREADABLE, reason="no such file")])
    with opened(browser, tmp_path / "r.html") as window:
        assert window.locator(".counts .unreadable dd").text_content() == "1"
        assert window.locator("td").all_text_contents() == ["a.jpg", "no such file"]
        window.keyboard.press("1")


def test_views_show_photo_heat_and_outline(report, browser):  # noqa: F811
    with opened(browser, report / "report.html") as window:
        drawn = window.locator("#detail .frame img.heat"), window.locator("#detail .frame svg path")
        assert [d.count() for d in drawn] == [0, 0]
        window.get_by_label("Heat").check()
        assert [d.count() for d in drawn] == [1, 0]
        window.keyboard.press("v")
        assert [d.count() for d in drawn] == [0, 2]


def test_labels_names_and_orders_choose_what_is_listed(report, browser):  # noqa: F811
    _, listed = embedded(report / "report.html")
    anomalies = sum(row[1] for row in listed)
    with opened(browser, report / "report.html") as window:
        strangest_first = names_on(window)
        window.keyboard.press("f")
        assert len(names_on(window)) == anomalies
        assert (
            f"{anomalies} images of {len(listed)} shown" in window.locator("#status").text_content()
        )
        window.keyboard.press("f")
        assert names_on(window) == strangest_first[anomalies:]
        window.keyboard.press("f")
        window.get_by_label("Order").select_option("name")
        assert names_on(window) == sorted(strangest_first)
        window.get_by_label("Order").select_option("calm")
        assert names_on(window) == strangest_first[::-1]
        window.get_by_label("Name", exact=True).fill("SCRIPT>")
        assert len(names_on(window)) == 3
        window.get_by_label("Name", exact=True).fill("no such name")
        assert names_on(window) == []
        assert "No image matches" in window.locator("#list").text_content()


def test_verdicts_by_keyboard_are_saved_and_measure_the_model(
    report,
    forest_model,
    tmp_path,
    browser,  # noqa: F811
):
    _, listed = embedded(report / "report.html")
    with opened(browser, report / "report.html") as window:
        assert window.locator("#volatile").is_hidden()
        window.keyboard.press("Home")
        for row in listed:
            window.keyboard.press("1" if row[1] else "2")
            window.keyboard.press("ArrowRight")
        window.keyboard.press("2")  # the last one again
        window.keyboard.press("Home")
        window.keyboard.press("0")
        assert "no verdict" in window.locator("#status").text_content()
        window.keyboard.press("1")
        for name in ("json", "csv"):
            with window.expect_download() as waiting:
                window.locator(f"#save-{name}").click()
            assert waiting.value.suggested_filename == f"verdicts.{name}"
            waiting.value.save_as(tmp_path / f"verdicts.{name}")
        window.reload()  # they are kept
        assert f"{len(listed)} verdicts" in window.locator("#status").text_content()
        window.get_by_label("Verdict", exact=True).select_option("fine")
        assert len(names_on(window)) == sum(not row[1] for row in listed)

    saved = json.loads((tmp_path / "verdicts.json").read_text())
    assert [one["image"] for one in saved["verdicts"]] == [row[0] for row in listed]
    assert os.fsencode(saved["verdicts"][0]["image"])  # whatever bytes it is made of
    with (tmp_path / "verdicts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any(row["image"].startswith(tuple("=+-@\t\r")) for row in rows)
    assert [float(row["score"]) for row in rows] == [row[2] for row in listed]
    assert [row["verdict"] for row in rows] == ["defect" if r[1] else "fine" for r in listed]

    printed = {}
    for name in ("json", "csv"):
        measured = run_script(
            *("generate_validation_metrics.py", "-m", forest_model),
            *("--verdicts", tmp_path / f"verdicts.{name}"),
        )
        assert measured.returncode == 0, measured.stderr.decode()
        printed[name] = {
            (row["metric"], row["rule"]): row
            for row in csv.DictReader(io.StringIO(measured.stdout.decode()))
        }
        for rate in ("escape_rate", "false_reject_rate"):
            row = printed[name][rate, "model"]
            assert float(row["value"]) == 0 < float(row["high"])
        assert ("threshold", "f1") in printed[name]
    assert printed["json"].keys() == printed["csv"].keys()


def test_letters_that_are_typed_into_the_search_record_nothing(report, browser):  # noqa: F811
    with opened(browser, report / "report.html") as window:
        window.get_by_label("Name", exact=True).press_sequentially("f12")
        assert window.get_by_label("Label", exact=True).input_value() == "all"
        assert "0 verdicts" in window.locator("#status").text_content()


def test_arrows_move_as_the_grid_lies(report, browser):  # noqa: F811
    with opened(browser, report / "report.html") as window:
        names = names_on(window)
        tops = window.locator(".card").evaluate_all(
            "all => all.map(c => c.getBoundingClientRect().top)"
        )
        columns = tops.count(min(tops))
        assert 1 < columns < len(names)
        window.keyboard.press("ArrowDown")
        assert chosen_on(window) == names[columns]
        window.keyboard.press("ArrowUp")
        window.keyboard.press("ArrowUp")
        assert chosen_on(window) == names[0]
        window.keyboard.press("End")
        assert chosen_on(window) == names[-1]
        active = window.locator("#list").get_attribute("aria-activedescendant")
        assert window.locator(f"#{active}").get_attribute("aria-posinset") == str(len(names))


def test_a_page_of_10000_pictures_stays_usable(large, browser):  # noqa: F811
    with opened(browser, large) as window:
        assert window.locator(".card").count() < 200
        window.keyboard.press("End")
        assert window.locator(".card").count() < 200
        posinset = '.card[aria-selected="true"]'
        assert window.locator(posinset).get_attribute("aria-posinset") == "10000"
        box = window.locator(posinset).bounding_box()
        assert 0 <= box["y"] < 900
        window.get_by_label("Name", exact=True).fill("09999")
        assert names_on(window) == ["photos/09999.jpg"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_themes(report, browser, scheme):  # noqa: F811
    with opened(browser, report / "report.html", color_scheme=scheme) as window:
        window.keyboard.press("1")
        window.keyboard.press("ArrowRight")
        window.keyboard.press("2")
        found = window.evaluate(CONTRASTS)
        assert len(found) > 30
        assert {text: ratio for text, ratio in found if ratio < 4.5} == {}
        grounds = window.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", grounds)[:3])) < 384) == (scheme == "dark")


CONTRASTS = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => v / 255)
      .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode()); ) {
    const e = n.parentElement, style = getComputedStyle(e);
    if (!n.data.trim() || !e.checkVisibility() || e.closest("script,style,option")) continue;
    const ink = e.closest("svg") ? style.fill : style.color;
    const both = [light(numbers(ink).slice(0, 3)), light(ground(e))].sort((a, b) => b - a);
    found.push([n.data.trim().slice(0, 40), (both[0] + .05) / (both[1] + .05)]);
  }
  return found;
}"""


def test_every_control_has_a_name_and_shows_that_it_is_focused(report, browser):  # noqa: F811
    with opened(browser, report / "report.html") as window:
        names, seen = [], 0
        for _ in range(30):
            window.keyboard.press("Tab")
            state = window.evaluate(
                "() => { const e = document.activeElement; if (e === document.body) return null;"
                "const shown = e.type === 'radio' ? e.nextElementSibling : e;"
                "return [e.ariaLabel || e.textContent.trim() || "
                "[...(e.labels ?? [])].map(l => l.textContent.trim()).join(), "
                "getComputedStyle(shown).outlineStyle]; }"
            )
            if state is None:
                break
            names.append(state[0])
            seen += state[1] != "none"
        assert {"Images", "Verdicts as JSON", "Defect", "Fine"} <= set(names)
        assert all(names)
        assert seen == len(names)


@pytest.mark.parametrize("width", [360, 1920])
def test_a_page_fits_narrow_and_wide_windows(report, browser, width):  # noqa: F811
    view = {"width": width, "height": 740}
    with opened(browser, report / "report.html", viewport=view) as window:
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        window.keyboard.press("ArrowDown")
        chosen = window.locator('.card[aria-selected="true"]').bounding_box()
        detail = window.locator("#detail").bounding_box()
        overlap_across = chosen["x"] + chosen["width"] > detail["x"]
        assert not overlap_across or chosen["y"] + chosen["height"] <= detail["y"] + 1


def test_a_page_prints_the_strangest_without_its_controls(large, browser):  # noqa: F811
    with opened(browser, large) as window:
        window.emulate_media(media="print")
        window.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert window.locator(".tools").is_hidden()
        assert window.locator("#detail").is_hidden()
        assert window.locator(".card").count() == 120
        assert (
            window.locator(".card").first.evaluate("c => getComputedStyle(c).position") == "static"
        )
        window.emulate_media(media="screen")
        window.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert window.locator(".card").count() < 120


def test_bars_are_of_one_kind_and_count_every_score():
    rng = np.random.default_rng(0)
    for threshold in (0.0, 0.25, 1.0, 9.0):
        scores = np.concatenate([rng.integers(0, 9, 200) / 8, [threshold] * 3])
        spread = ScoreHistogram.from_scores(scores, threshold)
        assert (
            sum(count for *_, count, above in spread.bars() if above) == (scores > threshold).sum()
        )
        assert spread.counts.sum() == len(scores)
        for low, high, count, _ in spread.bars():
            assert count == ((scores > low) & (scores <= high)).sum()


def test_a_few_scores_far_out_do_not_squeeze_all_others_into_one_bar():
    usual = np.random.default_rng(0).normal(1, 0.1, 300)
    spread = ScoreHistogram.from_scores(np.append(usual, [500.0, 900.0]), 1.4)
    assert spread.n_beyond == 2
    assert (spread.counts > 0).sum() > 8
    assert spread.counts[-2:].sum() == 2
    assert ScoreHistogram.from_scores(usual, 1.4).n_beyond == 0
