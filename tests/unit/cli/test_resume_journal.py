"""Claims about the journal of a labelling run."""

import json
import os

import numpy as np
import pytest

from pyimagesearch.cli import resume_journal
from pyimagesearch.labelling.capture_conditions import CONDITIONS
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports.rows import json_row
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError


def verdicts_in(journal):
    """The whole rows of a journal."""
    assert resume_journal.read_run(journal) is not None
    return [verdict for verdict, _ in resume_journal._rows(journal) if verdict is not None]


def test_cut_anywhere_the_journal_gives_its_whole_rows(tmp_path):
    verdicts = [
        Verdict("a\nb.jpg", NORMAL, 0.1 + 0.2, 1 / 3),
        Verdict(os.fsdecode(b"\xff.jpg"), UNREADABLE, reason="no such file"),
        Verdict('"é".jpg', ANOMALY, 2.0, 0.01),
    ]
    taken = np.arange(len(CONDITIONS), dtype=np.float32) / 3
    journal = tmp_path / "t.csv.journal"
    file = atomic_files.RowFile(str(journal))
    resume_journal.begin(file, {})
    ends = [file.size]
    for verdict in verdicts:
        readable = verdict.label != UNREADABLE
        more = {"conditions": taken.tobytes().hex()} if readable else {}
        file.write(json_row(verdict, **more).encode())
        ends.append(file.size)
    file.close()
    whole = journal.read_bytes()
    for size in range(ends[0], len(whole) + 1):
        for tail in (b"", b"\0\0\0", b"{}\n"):
            journal.write_bytes(whole[:size] + tail)
            n_whole = sum(end <= size for end in ends[1:])
            found = verdicts_in(str(journal))
            assert found == verdicts[:n_whole]
            assert [verdict.conditions is None for verdict in found] == [False, True, False][
                :n_whole
            ]
            assert all((o.conditions == taken).all() for o in found if o.conditions is not None)
    for size in range(ends[0]):
        journal.write_bytes(whole[:size])
        assert resume_journal.read_run(str(journal)) is None


def test_two_runs_do_not_write_the_same_file(tmp_path):
    first = resume_journal.open_journal(str(tmp_path / "t.csv"))
    with pytest.raises(UserError, match=r"t.csv: another run is writing it"):
        resume_journal.open_journal(str(tmp_path / "t.csv"))
    first.close()
    resume_journal.open_journal(str(tmp_path / "t.csv")).close()


@pytest.mark.parametrize(
    "change",
    [
        {"label": None},
        {"label": "unknown"},
        {"image": ["a.jpg"]},
        {"image": "\ud800.jpg"},
        {"score": "high"},
        {"score": float("nan")},
        {"score": None},
        {"p_value": float("inf")},
        {"label": UNREADABLE},
        {"reason": "none"},
        {"conditions": "0"},
    ],
)
def test_a_row_that_no_run_has_written_is_none(tmp_path, change):
    journal = tmp_path / "t.csv.journal"
    file = atomic_files.RowFile(str(journal))
    resume_journal.begin(file, {})
    file.write(json_row(Verdict("a.jpg", NORMAL, 0.5, 0.5)).encode())
    row = json.loads(json_row(Verdict("b.jpg", NORMAL, 0.5, 0.5))) | change
    file.write((json.dumps(row) + "\n").encode())
    file.write(b"[" * 100_000 + b"\n")
    file.close()
    assert verdicts_in(str(journal)) == [Verdict("a.jpg", NORMAL, 0.5, 0.5)]


def test_by_name_what_came_in_between_or_went_away_is_no_error(tmp_path):
    result = str(tmp_path / "labels.csv")

    def label(images):
        return (Verdict(image, "normal", 0.1, 0.5) for image in images)

    def run_over(*images):
        with resume_journal.Journal([result], dict, images, resume=True, by_name=True) as journal:
            return [verdict.image for verdict in journal.verdicts(label)]

    assert run_over("b.jpg", "c.jpg") == ["b.jpg", "c.jpg"]
    assert run_over("a.jpg", "c.jpg", "d.jpg") == ["b.jpg", "c.jpg", "a.jpg", "d.jpg"]
    assert run_over("a.jpg") == ["b.jpg", "c.jpg", "a.jpg", "d.jpg"]
