"""Claims about reports, made by calling the scripts."""

import html.parser
import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest

from helpers.reports import embedded, find, label, write_page
from helpers.scripts import CHECKOUT, run_cold, run_script
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import html_page, report_folder, thumbnails
from pyimagesearch.reports.page_template import PACKAGE
from pyimagesearch.runtime.console import UserError

HEADER = b"image,label,score,p_value\n"


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
    with html_page.ImagePage(target, run="") as killed:
        verdicts = thumbnails.label_and_write_thumbnails(labeller, paths, killed.thumbnails)
    os.unlink(os.path.join(killed.thumbnails, thumbnails.sheet_name(paths[16:])))

    def make(some, folder, explain):
        asked.append((sorted(some), explain))
        thumbnails.label_and_write_thumbnails(labeller, list(some), folder, explain)

    write_page(target, verdicts, make, run="", resumable=lambda: True)
    assert asked == [(sorted(paths[16:]), False), (sorted(paths), True)]
    assert all(row[4] != 0 for row in embedded(tmp_path / "r" / "index.html")[1])


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


def test_the_nearest_normal_picture_is_shown_where_the_model_holds_one(
    good_parts, faulty_parts, tmp_path
):
    model, page = tmp_path / "bank.model", tmp_path / "r.html"
    trained = run_script(
        *("train_anomaly_detector.py", "-d", good_parts / "train" / "good", "-m", model),
        *("--method", "memory-bank", "--no-backbone", "--image-size", "64", "--keep-thumbnails"),
    )
    assert trained.returncode == 0, trained.stderr.decode()
    label(model, "-d", faulty_parts / "test", "--false-alarm-rate", "0.3", "--report", page)
    anomalies = [row for row in embedded(page)[1] if row[1]]
    assert anomalies
    for row in anomalies:
        assert row[5]["nearest"].startswith("data:image/jpeg;base64,")
        assert all(0 <= share <= 1 for share in row[5]["place"])
        assert row[5]["why"].startswith("Unusual: ")


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


def test_one_picture_is_not_called_all_pictures(tmp_path):
    write_page(str(tmp_path / "r.html"), [Verdict("a.jpg", NORMAL, 0.2, 0.5)])
    assert "If the image here was normal" in (tmp_path / "r.html").read_text()
