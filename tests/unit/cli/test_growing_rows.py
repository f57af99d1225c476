"""Claims about files of rows that grow while a watch goes on."""

import json
import os

import pytest

from pyimagesearch.cli import resume_journal
from pyimagesearch.cli.growing_rows import GrowingCsv, GrowingJson
from pyimagesearch.labelling.verdict import NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports.rows import COLUMNS, csv_line, csv_name
from pyimagesearch.runtime.console import UserError


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    run = {"model": "m", "threshold": 0.5, "version": "1"}

    def add(*names, **changes):
        with GrowingCsv(str(path), run | changes) as table:
            before = set(table.names)
            for name in names:
                table.write(Verdict(name, NORMAL, 0.1, 0.5))
        return before

    return path, add


def test_cut_anywhere_the_table_goes_on_after_its_last_whole_row(table):
    path, add = table
    names = ["a.jpg", 'quo"te,\nand line.jpg', os.fsdecode(b"no \xff utf.jpg"), "=formula.jpg"]
    add(*names)
    whole = path.read_bytes()
    written = [csv_name(name) for name in names]
    header = len(csv_line(COLUMNS))
    for size in range(header, len(whole) + 1):
        path.write_bytes(whole[:size])
        before = add()
        assert before == set(written[: len(before)])
        assert whole.startswith(path.read_bytes())
        assert size - len(path.read_bytes()) <= max(map(len, written)) + 30
        add(*names[len(before) :])
        assert path.read_bytes() == whole


def test_a_table_of_another_model_or_of_something_else_is_refused(table):
    path, add = table
    add("a.jpg")
    before = path.read_bytes()
    changes = ({"model": "n"}, {"threshold": 0.6}, {"extrapolates": True})
    for change in (*changes, {"false_discovery_rate": 0.1}):
        with pytest.raises(UserError, match="its rows are of another model, threshold or rate"):
            add("b.jpg", **change)
    assert path.read_bytes() == before
    edited = before + b"a note\n" + before
    path.write_bytes(edited)
    with pytest.raises(UserError, match="not rows as --watch writes them"):
        add("b.jpg")
    assert path.read_bytes() == edited
    os.unlink(f"{path}{resume_journal.JOURNAL}")
    with pytest.raises(UserError, match="no journal next to it says which model"):
        add("b.jpg")
    assert path.read_bytes() == edited


RUN = {"model": "m", "threshold": 0.5, "version": "1"}


@pytest.mark.parametrize("with_time", [False, True])
def test_cut_anywhere_lines_of_json_go_on_after_the_last_whole_one(tmp_path, with_time):
    path = tmp_path / "t.jsonl"
    verdicts = [
        Verdict("a.jpg", NORMAL, 0.1, 0.5),
        Verdict(os.fsdecode(b"no \xff utf.jpg"), UNREADABLE, reason="it is\nempty"),
        Verdict("b.jpg", NORMAL, 1 / 3, 2 / 3),
    ]

    def add(*new):
        before = []
        with GrowingJson(str(path), RUN, with_time, before.append) as table:
            assert table.names == {csv_name(one.image) for one in before}
            for verdict in new:
                table.write(verdict, "2026-11-29T14:03:05.123456Z")
        return before

    add(*verdicts)
    whole = path.read_bytes()
    assert [json.loads(line).get("time") is not None for line in whole.splitlines()] == (
        [with_time] * 3
    )
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        before = add()
        assert before == verdicts[: len(before)]
        add(*verdicts[len(before) :])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("kind", [GrowingCsv, GrowingJson])
def test_rows_with_and_without_times_are_not_mixed(tmp_path, kind):
    path = str(tmp_path / "rows")
    with kind(path, RUN, with_time=True) as table:
        table.write(Verdict("a.jpg", NORMAL, 0.1, 0.5), "2026-11-29T14:03:05.123456Z")
    with pytest.raises(UserError, match="not rows as --watch writes them, so none"):
        kind(path, RUN).__enter__()
    with kind(path, RUN, with_time=True) as table:
        assert table.names == {"a.jpg"}
