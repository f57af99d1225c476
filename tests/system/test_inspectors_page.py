"""Claims about what the page of a run does in a real browser."""

import contextlib
import csv
import io
import json
import os
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from helpers.browsers import barriers, opened
from helpers.inspecting import inspecting
from helpers.reports import HOSTILE, MODEL, embedded, make_nothing, write_page
from helpers.scripts import run_script
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import html_page, thumbnails


def names_on(window):
    """What the cards are called, in their order."""
    return window.locator(".card").evaluate_all(
        "cards => cards.sort((a, b) => a.dataset.position - b.dataset.position)"
        ".map(card => card.querySelector('.name').title)"
    )


def chosen_on(window):
    return window.locator('.card[aria-selected="true"] .name').get_attribute("title")


@pytest.mark.parametrize("page", ["report.html", "beside/index.html"])
def test_hostile_names_are_shown_as_they_are_and_do_nothing(report, browser, page):
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


def test_the_numbers_at_the_top_are_those_of_the_run(report, browser):
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


def test_notices_are_shown_as_alerts(tmp_path, browser):
    with html_page.ImagePage(str(tmp_path / "r.html")) as page:
        page.add(Verdict("a.jpg", NORMAL, 0.2, 0.5))
        page.write(MODEL, ["all pictures are <darker>."], make_nothing)
    with opened(browser, tmp_path / "r.html") as window:
        assert window.get_by_role("alert").text_content() == "All pictures are <darker>."


def test_a_run_that_could_read_nothing_has_a_page_that_says_so(tmp_path, browser):
    write_page(str(tmp_path / "r.html"), [Verdict("a.jpg", UNREADABLE, reason="no such file")])
    with opened(browser, tmp_path / "r.html") as window:
        assert window.locator(".counts .unreadable dd").text_content() == "1"
        assert window.locator("td").all_text_contents() == ["a.jpg", "no such file"]
        window.keyboard.press("1")


def test_a_page_opens_on_heat_that_can_be_faded(report, browser):
    with opened(browser, report / "report.html") as window:
        drawn = window.locator("#detail .frame img.heat"), window.locator("#detail .frame svg path")
        assert [d.count() for d in drawn] == [1, 0]
        assert window.locator("#detail .scale span").all_text_contents()[0] == "threshold"
        opacity = "e => Number(getComputedStyle(e).opacity)"
        assert drawn[0].evaluate(opacity) == 0.5
        window.keyboard.press(".")
        assert drawn[0].evaluate(opacity) == 0.6
        window.get_by_label("Heat", exact=True).fill("10")
        assert drawn[0].evaluate(opacity) == 0.1
        window.keyboard.press("v")
        assert [d.count() for d in drawn] == [0, 2]
        window.get_by_label("Photo").check()
        assert [d.count() for d in drawn] == [0, 0]


def test_labels_names_and_orders_choose_what_is_listed(report, browser):
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
        assert window.get_by_text("No image matches.").is_visible()


def test_verdicts_by_keyboard_are_saved_and_measure_the_model(
    report,
    forest_model,
    tmp_path,
    browser,
):
    _, listed = embedded(report / "report.html")
    with opened(browser, report / "report.html") as window:
        assert window.locator("#volatile").is_hidden()
        window.get_by_label("Inspector").fill("=Ann, B")
        window.get_by_label("Inspector").press("Enter")
        for row in listed[:-1]:
            window.keyboard.press("1" if row[1] else "2")
        assert f"{len(listed) - 1} of {len(listed)} judged" in window.locator(".tools").inner_text()
        window.keyboard.press("2")
        assert "have a verdict" in window.locator("#status").text_content()
        window.keyboard.press("Home")
        window.keyboard.press("0")
        assert "no verdict" in window.locator("#status").text_content()
        window.keyboard.press("c")
        window.keyboard.type('a "1"')
        window.keyboard.press("Enter")
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
    assert [row["comment"] for row in rows] == ['a "1"', *[""] * (len(listed) - 1)]
    assert {row["inspector"] for row in rows} == {"'=Ann, B"}
    for one, row in zip(saved["verdicts"], rows, strict=True):
        assert one["inspector"] == "=Ann, B"
        assert abs(datetime.now(UTC) - datetime.fromisoformat(row["date"])) < timedelta(hours=1)
        assert one["date"] == row["date"]

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
    assert printed["json"].keys() == printed["csv"].keys()


def test_50_verdicts_take_a_key_each_and_can_be_undone(large, browser):
    with opened(browser, large) as window:
        window.keyboard.press("f")
        for number in range(50):
            window.keyboard.press("12"[number % 3 == 0])
        progress = window.locator("#progress")
        assert progress.text_content().startswith("50 of ")
        at_50 = chosen_on(window)
        window.keyboard.press("Home")
        window.keyboard.press("0")
        assert progress.text_content().startswith("49 of ")
        first = chosen_on(window)
        window.keyboard.press("2")
        assert chosen_on(window) == at_50  # the next one without a verdict
        for left in (49, 50, 49, 48):  # the verdict, the removal, and two of the fifty
            window.keyboard.press("u")
            assert progress.text_content().startswith(f"{left} of ")
        assert "undone" in window.locator("#status").text_content()
        window.reload()
        assert "48 verdicts" in window.locator("#status").text_content()
        assert names_on(window)[0] == first
        window.keyboard.press("u")
        assert "nothing to undo" in window.locator("#status").text_content()


def test_classes_of_defects_have_keys_of_their_own(tmp_path, browser):
    verdicts = [
        Verdict(f"test/{name}/1.jpg", ANOMALY, 0.9, 0.1) for name in ("good", "dent", "cut")
    ]
    write_page(str(tmp_path / "r.html"), verdicts)
    write_page(str(tmp_path / "own.html"), verdicts, classes=("a", "b"))
    with opened(browser, tmp_path / "r.html") as window:
        buttons = window.locator(".kinds button")
        assert buttons.evaluate_all("all => all.map(b => b.dataset.kind)") == ["cut", "dent"]
        window.keyboard.press("4")
        window.get_by_role("button", name="cut").click()
        tags = window.locator(".card .verdict").all_text_contents()
        assert tags == ["dent", "cut", ""]
        with window.expect_download() as waiting:
            window.locator("#save-csv").click()
        waiting.value.save_as(tmp_path / "v.csv")
    with (tmp_path / "v.csv").open(newline="") as file:
        found = [(row["verdict"], row["class"]) for row in csv.DictReader(file)]
    assert found == [("defect", "dent"), ("defect", "cut")]
    assert embedded(tmp_path / "own.html")[0]["settings"]["classes"] == ["a", "b"]


def test_an_image_is_zoomed_moved_and_shown_in_full_screen(report, browser):
    with opened(browser, report / "report.html") as window:
        box = window.locator("#detail .shown")
        area, level = box.bounding_box(), window.locator(".level")
        x, y = area["x"] + area["width"] / 4, area["y"] + area["height"] / 4
        left = "() => document.querySelector('#detail .frame').getBoundingClientRect().left"
        start = window.evaluate(left)
        window.mouse.move(x, y)
        window.mouse.wheel(0, -400)
        expect_text(level, "223%")
        under = (x - window.evaluate(left)) / 2.2255
        assert under == pytest.approx(x - start, abs=1)  # what is under the pointer stays there
        window.mouse.down()
        window.mouse.move(x - 30, y)
        window.mouse.up()
        assert (x - 30 - window.evaluate(left)) / 2.2255 == pytest.approx(under, abs=1)
        window.mouse.dblclick(x, y)
        expect_text(level, "100%")
        window.keyboard.press("z")
        wide = f"document.querySelector('#detail .shown').clientWidth > {2 * area['width']}"
        window.wait_for_function(wide)
        window.keyboard.press("1")
        window.keyboard.press("Escape")
        window.wait_for_function("!document.documentElement.classList.contains('viewing')")
        assert "1 of " in window.locator("#progress").text_content()


def expect_text(locator, text):
    locator.filter(has_text=text).wait_for()


def test_fingers_zoom_swipe_and_judge_on_a_phone(report, browser):
    phone = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
    with opened(browser, report / "report.html", **phone) as window:
        area = window.locator("#detail .shown").bounding_box()
        x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
        fingers = window.context.new_cdp_session(window)

        def touch(kind, *points):
            at = [{"x": px, "y": y, "id": n} for n, px in enumerate(points)]
            fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": at})

        touch("Start", x - 20, x + 20)
        touch("Move", x - 40, x + 40)
        touch("End")
        expect_text(window.locator(".level"), "200%")
        window.get_by_role("button", name="Zoom out").tap()
        window.get_by_role("button", name="Zoom out").tap()
        window.get_by_role("button", name="Zoom out").tap()
        expect_text(window.locator(".level"), "100%")
        second = names_on(window)[1]
        touch("Start", x + 40)
        touch("Move", x - 40)
        touch("End")
        window.locator("h2", has_text=second.removeprefix("./")).wait_for()
        window.get_by_role("button", name="Fine").tap()
        expect_text(window.locator(".here"), "1 of ")
        window.locator(".here button").tap()
        expect_text(window.locator(".here"), "0 of ")
        assert window.evaluate("document.documentElement.scrollWidth") <= 400
        assert barriers(window) == []


def test_a_served_page_saves_at_once_and_outlives_its_server(report, browser):
    folder = report / "beside"
    (folder / "verdicts.csv").unlink(missing_ok=True)

    def on(window, text):
        expect_text(window.locator("#kept"), text)

    with contextlib.closing(browser.new_context()) as context:
        window = context.new_page()
        with inspecting(folder, "--classes", "dent") as server:
            window.goto(f"http://127.0.0.1:{server.port}/")
            on(window, "saved in verdicts.csv")
            window.keyboard.press("3")
            window.wait_for_function("document.getElementById('progress').textContent[0] === '1'")
            on(window, "saved in verdicts.csv")
            assert [row["class"] for row in server.saved()] == ["dent"]
            window.keyboard.press("2")
            window.keyboard.press("u")
            window.keyboard.press("+")  # the image itself is shown, of which the page has a copy
            whole = window.locator("#detail .sharp")
            assert whole.evaluate("i => i.decode().then(() => i.naturalWidth)") == 256
        window.keyboard.press("2")
        on(window, "not saved yet (the server does not answer)")
        with inspecting(folder, port=server.port) as server:
            on(window, "saved in verdicts.csv")
            assert [row["verdict"] for row in server.saved()] == ["defect", "fine"]
            other = browser.new_page()
            other.goto(f"http://127.0.0.1:{server.port}/")
            expect_text(other.locator("#progress"), "2 of ")
            other.close()


def test_anomalies_of_one_place_are_listed_together(tmp_path, browser):
    """The places are row by row of a grid, whatever the scores are."""
    places = {"b": (900, 100), "d": (100, 900), "a": (100, 100), "c": (500, 500), "none": None}

    def make(paths, folder, explain):  # noqa: ARG001
        for path in paths:
            place = places[path.removesuffix(".jpg")]
            outline = ""
            if place is not None:
                outline = "M{0} {1}L{2} {1}L{2} {3}Z".format(*place, *(v + 9 for v in place))
            note = thumbnails.Note((8, 8), outline=outline)
            blank = thumbnails._jpeg(np.zeros((8, 8, 3), np.uint8))
            name = os.path.join(folder, f"{thumbnails.thumbnail_id(path)}.jpg")
            thumbnails._write(name, thumbnails._annotated(blank, asdict(note)))

    verdicts = [Verdict(f"{n}.jpg", ANOMALY, 0.9 - i / 10, 0.1) for i, n in enumerate(places)]
    write_page(str(tmp_path / "r.html"), verdicts, make)
    with opened(browser, tmp_path / "r.html") as window:
        window.get_by_label("Order").select_option("place")
        assert names_on(window) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "none.jpg"]


def test_letters_that_are_typed_into_the_search_record_nothing(report, browser):
    with opened(browser, report / "report.html") as window:
        window.get_by_label("Name", exact=True).press_sequentially("f12")
        assert window.get_by_label("Label", exact=True).input_value() == "all"
        assert "0 verdicts" in window.locator("#status").text_content()


def test_arrows_move_as_the_grid_lies(report, browser):
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


def test_a_page_of_10000_pictures_stays_usable(large, browser):
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
def test_text_stands_out_from_its_ground_in_both_themes(report, browser, scheme):
    with opened(browser, report / "report.html", color_scheme=scheme) as window:
        window.keyboard.press("1")
        window.keyboard.press("2")
        found = window.evaluate(CONTRASTS)
        assert len(found) > 30
        assert {text: ratio for text, ratio in found if ratio < 4.5} == {}
        assert barriers(window) == []
        window.keyboard.press("z")  # full screen
        assert barriers(window) == []
        window.keyboard.press("z")
        window.get_by_label("Name", exact=True).fill("no such name")
        assert barriers(window) == []
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


def test_every_control_has_a_name_and_shows_that_it_is_focused(report, browser):
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
def test_a_page_fits_narrow_and_wide_windows(report, browser, width):
    view = {"width": width, "height": 740}
    with opened(browser, report / "report.html", viewport=view) as window:
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        window.keyboard.press("ArrowDown")
        chosen = window.locator('.card[aria-selected="true"]').bounding_box()
        detail = window.locator("#detail").bounding_box()
        overlap_across = chosen["x"] + chosen["width"] > detail["x"]
        assert not overlap_across or chosen["y"] + chosen["height"] <= detail["y"] + 1


def test_a_page_prints_the_strangest_without_its_controls(large, browser):
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
