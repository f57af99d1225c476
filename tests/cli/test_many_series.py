"""Claims about many series: a folder of them or one long table, a model each."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers.scripts import CHECKOUT, run_script
from pyimagesearch.cli import series_input
from pyimagesearch.data.synthetic import series as synthetic_series

VARIANTS = {"pump_1": "normal", "pump_2": "jump", "pump_3": "normal"}
NAMES = ("pump_1", "pump_2", "pump_3")
DAYS = 8


def train(dataset, model, *options, **settings):
    return run_script("train_anomaly_detector.py", "-d", dataset, "-m", model, *options, **settings)


def find(model, dataset, *options, **settings):
    return run_script("find_anomalies.py", "-m", model, "-d", dataset, *options, **settings)


def rows(text) -> list[dict[str, str]]:
    text = text if isinstance(text, str) else text.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def lines_of(variant, seed):
    times, values, _ = synthetic_series.make_series(variant, DAYS, seed)
    return [f"{time},{value:.3f}" for time, value in zip(times, values, strict=True)]


def write_csv(path, lines, header="timestamp,value"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A folder of normal series."""
    folder = tmp_path_factory.mktemp("known")
    for seed, name in enumerate(NAMES):
        write_csv(folder / f"{name}.csv", lines_of("normal", seed))
    return folder


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """The same series later, when something goes wrong in one of them."""
    folder = tmp_path_factory.mktemp("new")
    for seed, (name, variant) in enumerate(VARIANTS.items()):
        write_csv(folder / f"{name}.csv", lines_of(variant, 10 + seed))
    return folder


@pytest.fixture(scope="module")
def models(known, tmp_path_factory):
    """The folder of their models."""
    folder = tmp_path_factory.mktemp("models") / "pumps"
    done = train(known, folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_series_has_a_model_file_that_can_be_used_alone(models, new):
    assert sorted(path.name for path in models.iterdir()) == [
        *(f"{name}.model" for name in NAMES),
        "series.json",
    ]
    together = rows(find(models, new).stdout)
    assert {row["series"] for row in together} == {"pump_2"}
    alone = rows(find(models / "pump_2.model", new / "pump_2.csv").stdout)
    assert [{k: v for k, v in row.items() if k != "series"} for row in together] == alone


def test_neither_models_nor_ranges_depend_on_the_number_of_jobs(models, known, new, tmp_path):
    assert train(known, tmp_path / "models", "--jobs", "3").returncode == 0
    assert content(tmp_path / "models") == content(models)
    assert find(models, new, "--jobs", "3").stdout == find(models, new).stdout


def test_one_long_table_is_as_many_files(known, new, models, tmp_path):
    for folder in (known, new):
        lines = [
            (line.split(",")[0], f"{line},{path.stem}")
            for path in sorted(folder.iterdir())
            for line in path.read_text().splitlines()[1:]
        ]
        lines.sort(key=lambda line: line[0])  # the series take turns
        write_csv(
            tmp_path / f"{folder.name}.csv", [line for _, line in lines], "timestamp,value,pump"
        )
    by_pump, table = tmp_path / "models", tmp_path / f"{known.name}.csv"
    assert train(table, by_pump, "--group-by", "pump").returncode == 0
    for name in NAMES:
        own, of_folder = (folder / f"{name}.model" for folder in (by_pump, models))
        assert own.read_bytes() == of_folder.read_bytes()
    judged = find(by_pump, tmp_path / f"{new.name}.csv", "--group-by", "pump")
    assert judged.stdout == find(models, new).stdout
    piped = find(
        by_pump, "-", "--group-by", "pump", input=(tmp_path / f"{new.name}.csv").read_bytes()
    )
    assert piped.stdout == judged.stdout
    done = train(table, tmp_path / "other", "--group-by", "machine")
    assert done.returncode == 1
    assert b"there is no column 'machine'; there are 'timestamp', 'value', 'pump'" in done.stderr


def test_a_series_that_cannot_be_learned_costs_itself_alone(known, models, tmp_path):
    dataset = shutil.copytree(known, tmp_path / "known")
    write_csv(dataset / "short.csv", ["2024-01-01,1", "2024-01-02,2"])
    write_csv(dataset / "words.csv", ["2024-01-01,on", "2024-01-02,off"])
    (dataset / "damaged.parquet").write_bytes(b"PAR1 and no more")
    (dataset / "notes.txt").write_text("these are pumps\n")
    done = train(dataset, tmp_path / "models")
    said = done.stderr.decode()
    assert done.returncode == 3, said
    for name in ("short", "words", "damaged"):
        assert f"[WARNING] {name}: " in said
    assert "1 file of text is no series" in said
    assert "3 series learned, 3 not" in said
    for name in NAMES:
        own, of_all = (folder / f"{name}.model" for folder in (tmp_path / "models", models))
        assert own.read_bytes() == of_all.read_bytes()
    judged = find(tmp_path / "models", dataset, "--csv", tmp_path / "rows.csv")
    assert judged.returncode == 3
    labels = {row["series"]: row["label"] for row in rows((tmp_path / "rows.csv").read_text())}
    assert {name for name, label in labels.items() if label == "unreadable"} == {
        *("short", "words", "damaged")
    }
    refused = train(dataset, tmp_path / "strict", "--strict")
    assert refused.returncode == 1
    assert not (tmp_path / "strict").exists()


def test_where_no_series_can_be_learned_nothing_is_written(tmp_path):
    write_csv(tmp_path / "series" / "short.csv", ["2024-01-01,1"])
    done = train(tmp_path / "series", tmp_path / "models")
    assert done.returncode == 1
    assert b"none of its series can be learned" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["series"]


def test_training_goes_on_where_it_was_ended(known, models, tmp_path):
    dataset, folder = shutil.copytree(known, tmp_path / "known"), tmp_path / "models"
    partial = tmp_path / "models.partial"
    write_csv(dataset / "zero.csv", ["2024-01-01,1"])
    assert train(dataset, folder, "--strict").returncode == 1  # ends after all are learned
    assert len(list(partial.glob("*.model"))) == 3
    (partial / "pump_2.model").unlink()
    (dataset / "zero.csv").unlink()
    other = train(dataset, folder, "--resume", "--seed", "7")
    assert other.returncode == 1
    assert b"trained with another seed" in other.stderr
    done = train(dataset, folder, "--resume")
    assert b"2 models of before: 1 left to learn" in done.stderr
    assert content(folder) == content(models)
    assert not partial.exists()


def test_new_series_get_models_and_those_that_are_there_stay(known, models, tmp_path):
    dataset, folder = shutil.copytree(known, tmp_path / "known"), tmp_path / "models"
    shutil.copytree(models, folder)
    write_csv(dataset / "pump_0.csv", lines_of("normal", 5))
    done = train(dataset, folder, "--resume")
    assert done.returncode == 0
    assert b"1 series learned" in done.stderr
    assert set(json.loads((folder / "series.json").read_text())["series"]) == {"pump_0", *NAMES}
    after = content(folder)
    assert {k: v for k, v in after.items() if k in content(models) and k != "series.json"} == {
        k: v for k, v in content(models).items() if k != "series.json"
    }


def test_models_of_many_series_replace_only_such_a_folder(known, models, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    done = train(known, other)
    assert done.returncode == 1
    assert b"not replaced" in done.stderr
    assert os.listdir(other) == ["mine.txt"]
    again = tmp_path / "again"
    shutil.copytree(models, again)
    (again / "gone.model").write_bytes(b"")
    assert train(known, again).returncode == 0
    assert content(again) == content(models)


def test_a_folder_of_images_stays_one_where_a_table_lies_in_it(known, tmp_path):
    assert series_input.is_folder_of_series(str(tmp_path), chosen=True)
    for name in ("a.jpg", "b.jpg", "a.txt", "b.txt", "c.txt", "labels.csv"):
        (tmp_path / name).write_bytes(b"")
    assert not series_input.is_folder_of_series(str(tmp_path), None)
    assert series_input.is_folder_of_series(str(tmp_path), chosen=True)
    assert series_input.is_folder_of_series(str(known), None)


def test_a_folder_of_more_series_than_images_is_asked_about(known, tmp_path):
    folder = shutil.copytree(known, tmp_path / "both")
    shutil.copy(next((CHECKOUT / "forest").glob("*.jpg")), folder / "plot.jpg")
    done = train(folder, tmp_path / "models")
    assert done.returncode == 1
    assert b"--method nearest-window learns the series, --method memory-bank" in done.stderr
    assert train(folder, tmp_path / "models", "--method", "nearest-window").returncode == 0


def test_ranges_of_all_series_come_strangest_first(models, new):
    found = rows(find(models, new, "--top", "4").stdout)
    assert found[0]["series"] == "pump_2"
    assert found[0]["label"] == "anomaly"
    assert {row["label"] for row in found[1:]} == {"normal"}
    p_values = [float(row["p_value"]) for row in found[1:]]
    assert p_values == sorted(p_values)
    assert len(found) == 4
    assert find(models, new, "--fail-on-anomaly").returncode == 4


def test_there_is_always_an_answer(models, known):
    done = find(models, known, "--threshold", "1000")
    assert rows(done.stdout) == []
    assert done.stderr.decode().count("below the threshold, but strangest: pump_") == 5


def test_one_model_may_judge_all_series(models, new, tmp_path):
    one = find(models / "pump_1.model", new, "--csv", tmp_path / "rows.csv")
    assert {row["series"] for row in rows(one.stdout)} == {"pump_2"}
    assert {row["series"] for row in rows((tmp_path / "rows.csv").read_text())} == set(NAMES)


def test_each_series_meets_a_stream_model_as_it_was_trained(known, new, tmp_path):
    model = tmp_path / "stream.model"
    assert train(known / "pump_1.csv", model, "--method", "stream").returncode == 0
    together = rows(find(model, new).stdout)
    alone = rows(find(model, new / "pump_2.csv").stdout)
    assert [row["start"] for row in together if row["series"] == "pump_2"] == [
        row["start"] for row in alone
    ]


def test_the_rows_of_all_series_stand_in_one_table(models, new, tmp_path):
    out, lines, own = (tmp_path / name for name in ("all.csv", "all.jsonl", "own.csv"))
    find(models, new, "--csv", out, "--json", lines)
    find(models / "pump_2.model", new / "pump_2.csv", "--csv", own)
    written = rows(out.read_text())
    assert list(written[0]) == ["series", "time", "score", "smoothed_score", "p_value", "label"]
    assert [row["series"] for row in written] == np.repeat(NAMES, len(written) // 3).tolist()
    names = ("score", "smoothed_score", "p_value", "label")
    assert [[row[k] for k in names] for row in written if row["series"] == "pump_2"] == [
        [row[k] for k in names] for row in rows(own.read_text())
    ]
    parsed = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["series"], row["time"]) for row in parsed] == [
        (row["series"], row["time"]) for row in written
    ]
    assert sorted(os.listdir(tmp_path)) == ["all.csv", "all.jsonl", "own.csv"]


def test_a_run_goes_on_with_the_series_that_came_since(models, new, tmp_path):
    first, second, whole = (tmp_path / name for name in ("new", "models", "whole.csv"))
    shutil.copytree(new, first)
    (first / "pump_3.csv").unlink()
    shutil.copytree(models, second)
    table = tmp_path / "t.csv"
    assert find(second, first, "--csv", table, "--resume").returncode == 0
    shutil.copy(new / "pump_3.csv", first)
    done = find(second, first, "--csv", table, "--resume")
    assert b"going on after 2 series" in done.stderr
    assert done.stdout == find(second, first, "--csv", whole).stdout
    assert table.read_bytes() == whole.read_bytes()
    refused = find(second, first, "--csv", table, "--resume", "--threshold", "3")
    assert refused.returncode == 1
    assert b"begun with another threshold" in refused.stderr
    (first / "pump_1.csv").unlink()
    refused = find(second, first, "--csv", table, "--resume")
    assert refused.returncode == 1
    assert b"its row 1 is of pump_1, where the dataset now has pump_2" in refused.stderr
    assert table.read_bytes() == whole.read_bytes()


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(models, tmp_path):
    dataset, table, whole = (tmp_path / name for name in ("new", "t.csv", "whole.csv"))
    for number in range(24):
        write_csv(dataset / f"pump_{number:02}.csv", lines_of("normal", 0)[:600])
    command = ["-m", models / "pump_1.model", "-d", dataset, "--report", tmp_path / "page.html"]
    command = list(map(str, ["find_anomalies.py", *command, "--csv", table]))
    journal = tmp_path / "t.csv.journal"
    with subprocess.Popen(
        [sys.executable, *command], cwd=CHECKOUT, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if journal.exists() and journal.stat().st_size > 10_000:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
    assert journal.exists()
    assert not table.exists()
    done = run_script(*command, "--resume")
    assert b"going on after " in done.stderr
    page = (tmp_path / "page.html").read_bytes()
    quiet = run_script(*command[:-1], whole)
    assert done.stdout == quiet.stdout
    assert table.read_bytes() == whole.read_bytes()
    assert page == (tmp_path / "page.html").read_bytes()


def test_a_model_in_the_place_of_another_is_not_used(models, new, tmp_path):
    folder = shutil.copytree(models, tmp_path / "models")
    shutil.copy(folder / "pump_1.model", folder / "pump_2.model")
    done = find(folder, new)
    assert done.returncode == 3
    assert b"pump_2: its model, pump_2.model, is not what was written" in done.stderr
    for content in (b"", b"[]", b'{"format": 1}', b'{"format": "pyimagesearch models of many"}'):
        (folder / "series.json").write_bytes(content)
        done = find(folder, new)
        assert done.returncode == 1
        assert b"series.json is no list of models" in done.stderr
    (folder / "series.json").unlink()
    done = find(folder, new)
    assert done.returncode == 1
    assert b"it has no series.json" in done.stderr


def test_names_of_every_kind_come_through(known, tmp_path):
    names = ("a, b", "=1+1", "x/y", "<b>", os.fsdecode(b"no \xff utf"), "né\nw")
    lines = (known / "pump_1.csv").read_text().splitlines()[1:700]
    for name in names:
        write_csv(tmp_path / "named" / f"{name}.csv", lines)
    models, table, page = (tmp_path / name for name in ("m", "t.csv", "page.html"))
    assert train(tmp_path / "named", models).returncode == 0
    assert len(list(models.glob("*.model"))) == len(names)
    done = find(models, tmp_path / "named", "--csv", table, "--report", page, "--top", "20")
    assert done.returncode == 0, done.stderr.decode()
    shown = {"'=1+1", "no \\xff utf", *(name for name in names if name not in names[1:5:3])}
    assert {row["series"] for row in rows(table.read_text())} == shown
    assert {row["series"] for row in rows(done.stdout)} == shown
    text = page.read_text()
    assert "&lt;b&gt;" in text
    assert "<b>.csv" not in text


def test_the_page_shows_each_series_the_strangest_first(models, new, tmp_path):
    dataset = shutil.copytree(new, tmp_path / "new")
    write_csv(dataset / "other.csv", lines_of("normal", 0)[:99])
    page = tmp_path / "report"
    done = find(models, dataset, "--report", f"{page}/")
    assert done.returncode == 3
    text = (page / "index.html").read_text()
    places = [text.index(f'"name">{name}<') for name in NAMES]
    assert min(places) == places[1]
    assert "there is no model of a series of this name" in text
    assert text.count("<path d=") == 3 + 2 * 3  # small ones; large ones of the values, the scores


@pytest.mark.parametrize("option", ["--output plot.png", "--save-state s.model"])
def test_what_is_of_one_series_is_refused_also_with_one_model(option, models, new):
    done = find(models / "pump_1.model", new, *option.split())
    assert done.returncode == 1
    assert b"is for one series; of many, --report writes a page with plots" in done.stderr


def test_results_are_not_written_where_they_would_be_read_as_series(models, new):
    done = find(models, new, "--csv", new / "rows.csv")
    assert done.returncode == 1
    assert b"where a later run would take it for a series" in done.stderr


def test_a_folder_of_models_does_not_judge_one_file(models, new):
    done = find(models, new / "pump_1.csv")
    assert done.returncode == 1
    assert b"judge a folder of them, or one table with --group-by" in done.stderr
