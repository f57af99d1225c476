"""Claims about the server of a report, made by asking it: ``anomaly inspect``."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import threading

import cv2
import numpy as np
import pytest

from helpers.inspecting import inspecting
from helpers.reports import embedded, write_page
from helpers.scripts import run_script
from pyimagesearch.cli import command_line
from pyimagesearch.labelling import inspector_verdicts
from pyimagesearch.labelling.verdict import ANOMALY, Verdict
from pyimagesearch.runtime import console
from pyimagesearch.runtime.console import UserError

NOTES = {"class": "", "comment": "", "inspector": "", "date": ""}


def ask(server, path, method="GET", body=None, **headers):
    """The status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def token(server):
    return json.loads(ask(server, "/inspection")[1])["token"]


def post(server, *records, **headers):
    headers = {"X-Inspection": token(server)} | headers
    return ask(server, "/verdicts", "POST", json.dumps(records), **headers)


@pytest.fixture(scope="module")
def folder(report):
    """A report in a folder, whose images have hostile names."""
    return report / "beside"


def test_a_verdict_is_in_the_file_before_it_is_answered_and_survives_a_kill(folder):
    (folder / "verdicts.csv").unlink(missing_ok=True)
    with inspecting(folder) as server:
        first = {"index": 0, "verdict": "defect", **NOTES, "comment": "=1+1", "inspector": "Ann"}
        assert post(server, first) == (204, b"")
        assert [row["comment"] for row in server.saved()] == ["'=1+1"]
        answered = []

        def judge():
            with_token = {"X-Inspection": token(server)}
            with contextlib.suppress(OSError, http.client.HTTPException):  # it is killed
                for index in range(9):
                    record = json.dumps([{"index": index, "verdict": "fine"}])
                    ask(server, "/verdicts", "POST", record, **with_token)
                    answered.append(index)

        thread = threading.Thread(target=judge, daemon=True)
        thread.start()
        while len(answered) < 5:
            thread.join(0.001)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        thread.join()
        n_saved = len(server.saved())
        assert {row["verdict"] for row in server.saved()} == {"fine"}
        assert n_saved >= len(answered) >= 5
    found = inspector_verdicts.read_inspection(str(folder / "verdicts.csv"))
    assert len(found.items) == n_saved
    with inspecting(folder) as server:  # which goes on
        kept = json.loads(ask(server, "/verdicts")[1])
        assert [record["index"] for record in kept] == list(range(n_saved))
        assert post(server, {"index": 0}) == (204, b"")
        assert len(server.saved()) == n_saved - 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert f"{n_saved - 1} verdicts in" in server.process.stderr.read().decode()


def test_verdicts_that_were_saved_measure_the_model(folder, forest_model):
    with inspecting(folder) as server:
        listed = embedded(folder / "index.html")[1]
        records = [
            {"index": i, "verdict": "defect" if row[1] else "fine"} for i, row in enumerate(listed)
        ]
        assert post(server, *records)[0] == 204
        measured = run_script(
            "generate_validation_metrics.py", "-m", forest_model, "--verdicts", server.file
        )
    assert measured.returncode == 0, measured.stderr.decode()
    assert b"escape_rate,model,0" in measured.stdout


def test_nothing_but_the_report_is_served_whatever_the_path(folder, tmp_path):
    (tmp_path / "secret.jpg").write_text("secret")
    target = tmp_path / "r"
    shutil.copytree(folder, target)
    pictures = next(path.name for path in target.iterdir() if path.name.startswith("pictures"))
    (target / pictures / "notes.txt").write_text("secret")
    with inspecting(target) as server:
        page = ask(server, "/")[1]
        assert ask(server, "/index.html") == (200, page)
        sheet = next((target / pictures).glob("sheet-*")).name
        assert ask(server, f"/{pictures}/{sheet}")[0] == 200
        for path in (
            *(
                "/../secret.jpg",
                f"/{pictures}/../../secret.jpg",
                "//etc/passwd",
                "/%2e%2e/secret.jpg",
            ),
            *(f"/{pictures}/notes.txt", f"/{pictures}/.report", f"/{pictures}/%2e%2e%2fsecret.jpg"),
            *("/verdicts.csv", "/images/-1", "/images/99999999999", "/images/1/..", "/images/x"),
            *("/..%5csecret.jpg", f"/{pictures}/..%2f{sheet}", "/pictures-3/" + sheet),
        ):
            status, body = ask(server, path)
            assert (status, b"secret" in body) == (404, False), path


def test_images_are_served_by_their_number_in_a_format_that_browsers_know(folder, hostile_photos):
    listed = embedded(folder / "index.html")[1]
    with inspecting(folder) as server:
        for index, row in enumerate(listed):
            status, body = ask(server, f"/images/{index}")
            assert (status, body[:2]) == (200, b"\xff\xd8")
            shape = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape
            with open(os.path.join(hostile_photos, os.fsencode(row[0])), "rb") as file:
                original = np.frombuffer(file.read(), np.uint8)
            assert shape == cv2.imdecode(original, cv2.IMREAD_COLOR).shape


def test_no_script_runs_but_the_page_s_own_whatever_the_page_says(folder, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    page = (changed / "index.html").read_text()
    (changed / "index.html").write_text(page + "<script>alert(1)</script>")
    with inspecting(changed) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/")
        policy = connection.getresponse().headers["Content-Security-Policy"]
        connection.close()
    script = re.search(r"script-src ('sha256-[^;]*');", page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["script-src"] == script
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["img-src"] == "'self' data:"


def test_only_the_page_of_this_server_records_verdicts(folder):
    (folder / "verdicts.csv").unlink(missing_ok=True)
    record = {"index": 0, "verdict": "fine"}
    with inspecting(folder) as server:
        assert post(server, record, **{"X-Inspection": "0" * 32})[0] == 403
        assert ask(server, "/verdicts", "POST", json.dumps([record]))[0] == 403
        assert ask(server, "/", Host="inspect.example.com")[0] == 421
        assert post(server, record, Host="inspect.example.com")[0] == 421
        assert (
            ask(server, "/verdicts", "POST", json.dumps([record]), **{"Content-Length": "x"})[0]
            == 413
        )
        assert ask(server, "/verdicts", "PUT", "[]")[0] == 501
        for wrong in (
            *({"index": 99}, {"index": -1}, {"index": True}, {"index": "0"}, {}, 7, None),
            {"index": 0, "verdict": "good"},
            {"index": 0, "verdict": "fine", "comment": "x" * 501},
            {"index": 0, "verdict": "fine", "date": 7},
        ):
            assert post(server, {"index": 1, "verdict": "fine"}, wrong)[0] == 400, wrong
        with_token = {"X-Inspection": token(server)}
        for body in ("", "{", "{}", "[" * 100_000, b"\xff"):
            assert ask(server, "/verdicts", "POST", body, **with_token)[0] == 400
        assert not server.file.exists()


def inspect(*arguments):
    """The exit status, and the message of what fails."""
    try:
        return command_line.main_of("inspect")([str(one) for one in arguments]), ""
    except (UserError, OSError) as error:
        return console.EXIT_FAILED, str(error)


def test_what_is_no_report_is_refused_in_a_sentence(folder, tmp_path):
    assert inspect(tmp_path)[1].endswith("holds no report: --report FOLDER/ writes one")
    assert inspect(tmp_path / "none")[1].endswith("no such folder")
    other = tmp_path / "other"
    write_page(f"{other}/", [Verdict("a.jpg", ANOMALY, 0.9, 0.1)])
    with inspecting(other) as server:
        assert post(server, {"index": 0, "verdict": "fine", "comment": "a, b"})[0] == 204
        address = f"127.0.0.1:{server.port}"
        assert address in inspect(folder, "--port", server.port)[1]  # which is taken
    changed = tmp_path / "changed"
    shutil.copytree(other, changed)
    page = (changed / "index.html").read_text()
    (changed / "index.html").write_text(page.replace("script-src 'sha256-", "script-src 'sha256-A"))
    assert "another version has written it" in inspect(changed)[1]
    shutil.copy(other / "verdicts.csv", folder)
    assert "not verdicts on this report" in inspect(folder)[1]
    (folder / "verdicts.csv").write_text("a,b\n1,2\n")
    assert "not verdicts on this report" in inspect(folder)[1]
    os.unlink(folder / "verdicts.csv")
    with pytest.raises(SystemExit) as wrong:
        inspect(folder, "--port", "99999")
    assert wrong.value.code == console.EXIT_USAGE
