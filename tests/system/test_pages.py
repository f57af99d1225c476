"""Claims about pages: what becomes of those of earlier runs, and of what there is one."""

import csv
import io
import os
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np

from helpers.browsers import barriers, opened
from helpers.reports import embedded, find, label, names
from helpers.scripts import CHECKOUT, heed_interrupts, run_script
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.reports import html_page, thumbnails


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
        assert list((target / "pictures").glob("sheet-*"))
        process.send_signal(signal.SIGINT)
        messages = process.communicate()[1]
    assert process.returncode == 130, messages


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
    with html_page.ImagePage(f"{tmp_path}/a/", run="") as killed:
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


def test_pictures_without_files_have_a_page(parts_model, good_parts, tmp_path, browser):
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


def test_a_series_has_a_page_with_its_ranges_and_plot(tmp_path, browser):
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
        assert barriers(window) == []


def test_each_of_many_series_opens_to_its_plots_and_ranges(tmp_path, browser):
    series, models, page = tmp_path / "series", tmp_path / "models", tmp_path / "page.html"
    series.mkdir()
    for name in ("normal", "jump"):
        shutil.copy(CHECKOUT / "examples" / f"daily_{name}.csv", series / f"{name} <b>.csv")
    run_script("train_anomaly_detector.py", "-d", series, "-m", models)
    done = find("-m", models, "-d", series, "--report", page)
    (found,) = csv.DictReader(io.StringIO(done.stdout.decode()))
    with opened(browser, page) as window:
        cards = window.locator(".many details")
        assert cards.locator(".name").all_text_contents() == ["jump <b>", "normal <b>"]
        figures = cards.first.locator("figure svg")
        assert not figures.first.is_visible()
        cards.first.locator("summary").click()
        assert barriers(window) == []
        assert [figures.nth(i).bounding_box()["height"] for i in range(2)] == [110, 110]
        assert cards.first.locator("tbody td").first.text_content() == found["start"]
