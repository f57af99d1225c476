"""Claims about work on a Dask cluster: a scheduler and two workers, as the README starts them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil
import pytest

from helpers import hostile, tiny
from helpers.scripts import CHECKOUT, heed_interrupts
from pyimagesearch.runtime import dask_security

NAMES = [f"forest/forest_{1 + number % 24}.jpg" for number in range(1500)]


@dataclass
class Cluster:
    """Its processes; ``workers`` is the one that looks after them."""

    address: str
    scheduler: subprocess.Popen
    workers: subprocess.Popen

    def worker_pids(self):
        children = psutil.Process(self.workers.pid).children()
        return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def start_workers(address, *options, folder=CHECKOUT, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", "worker", address, "--no-dashboard", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{folder / 'tests'}", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def start_scheduler(folder=CHECKOUT):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scheduler = subprocess.Popen(
        [
            *(sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1"),
            *("--port", str(port), "--no-dashboard"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{folder / 'tests'}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return f"tcp://127.0.0.1:{port}", scheduler


def start_cluster(n_workers, n_threads):
    address, scheduler = start_scheduler()
    how_many = ("--nworkers", str(n_workers), "--nthreads", str(n_threads))
    return Cluster(address, scheduler, start_workers(address, *how_many))


def end_cluster(cluster):
    end(cluster.workers, cluster.scheduler)


def end(*processes):
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def cluster():
    started = start_cluster(2, 1)
    yield started
    end_cluster(started)


def command(model, cluster, *options):
    return [
        *(sys.executable, "test_anomaly_detector.py", "-m", str(model)),
        *("--scheduler", cluster.address, *map(str, options)),
    ]


@pytest.fixture(scope="module")
def quiet(run, forest_model):
    """What one machine prints about all names."""
    names = "\n".join(NAMES).encode()
    return run("test_anomaly_detector.py", "-m", forest_model, "-i", "-", input=names).stdout


def test_a_cluster_gives_the_same_bytes_as_one_machine(
    cluster, run, forest_model, tmp_path, sample_jpeg
):
    folder = tmp_path / "hostile"
    hostile.make_folder(folder, sample_jpeg)
    results = {}
    for place, options in (("here", ()), ("there", ("--scheduler", cluster.address))):
        (tmp_path / place).mkdir()
        # Paths are relative to where the user is, not to where the workers are.
        ended = run(
            *(CHECKOUT / "test_anomaly_detector.py", "-m", forest_model),
            *("-i", "../hostile", "-o", "pictures/", "--json", "rows.json", *options),
            cwd=tmp_path / place,
        )
        assert ended.returncode == 3, ended.stderr
        written = {"stdout": ended.stdout}
        for root, _, files in os.walk(os.fsencode(tmp_path / place)):
            for name in files:
                path = os.path.join(root, name)
                with open(path, "rb") as file:
                    written[os.path.relpath(path, os.fsencode(tmp_path / place))] = file.read()
        results[place] = written
    assert len(results["here"]) > 10
    assert results["there"] == results["here"]


def test_training_on_a_cluster_gives_the_same_model_file(cluster, run, few_forests, tmp_path):
    network = tiny.write_network(tmp_path / "tiny.onnx")
    for name, options in (("here", ()), ("there", ("--scheduler", cluster.address))):
        trained = run(
            *("train_anomaly_detector.py", "-d", few_forests, "-m", tmp_path / name),
            *("--method", "gaussian", "--backbone", network, "--image-size", "64", *options),
        )
        assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_an_item_that_kills_its_worker_each_time_costs_itself_and_the_run_ends(cluster, tmp_path):
    """And however many items there are, few are under way."""
    once = str(tmp_path / "once")
    driver = (
        "import sys; from helpers.tasks import Shout; from pyimagesearch.runtime import parallel\n"
        f"task = Shout(deadly=('item 70', 'item 71'), deadly_once={once!r})\n"
        "taken = 0\n"
        "def items():\n"
        "    global taken\n"
        f"    for item in (*(f'item {{i}}' for i in range(2000)), {once!r}):\n"
        "        taken += 1\n"
        "        yield item\n"
        "found = parallel.run_task(task, items(), 1, sys.argv[1])\n"
        "for given, found in enumerate(found, start=1):\n"
        "    print(found)\n"
        # Four chunks of 64 for each of two threads, and the one that is given.
        "    assert taken <= given + 9 * 64\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", driver, cluster.address],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [f"lost item {i}" if i in (70, 71) else f"ITEM {i}" for i in range(2000)]
    assert ended.stdout.splitlines() == [*expected, once.upper()]


def started_labelling(model, cluster, *options):
    """The script with half of the names, of which it has done some."""
    process = subprocess.Popen(
        command(model, cluster, "-i", "-", *options),
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what is read ahead would be lost to communicate()
    )
    process.stdin.write("".join(f"{name}\n" for name in NAMES[:750]).encode())
    first = [process.stdout.readline() for _ in range(2)]
    return process, b"".join(first)


def test_a_worker_killed_in_the_middle_of_a_run_loses_nothing(cluster, forest_model, quiet):
    process, first = started_labelling(forest_model, cluster)
    with process:
        os.kill(cluster.worker_pids()[0], signal.SIGKILL)
        printed, messages = process.communicate("".join(f"{n}\n" for n in NAMES[750:]).encode())
    assert process.returncode == 0, messages
    assert first + printed == quiet


def test_a_run_whose_driver_was_killed_is_resumed_without_a_row_lost_or_doubled(
    cluster, run, forest_model, quiet, tmp_path
):
    process, _ = started_labelling(forest_model, cluster, "--csv", tmp_path / "rows.csv")
    with process:
        process.kill()
    names = "\n".join(NAMES).encode()
    again = run(
        *command(forest_model, cluster, "-i", "-", "--csv", tmp_path / "rows.csv", "--resume")[1:],
        input=names,
    )
    assert again.returncode == 0, again.stderr
    assert b"going on after" in again.stderr
    assert (tmp_path / "rows.csv").read_bytes() == quiet


def test_a_scheduler_that_is_lost_is_a_sentence_and_status_1(forest_model):
    cluster = start_cluster(1, 2)
    try:
        process, _ = started_labelling(forest_model, cluster)
        with process:
            cluster.scheduler.kill()
            _, messages = process.communicate()
    finally:
        end_cluster(cluster)
    assert process.returncode == 1
    assert messages.decode().splitlines()[-1] == f"[ERROR] lost the scheduler at {cluster.address}"
    assert b"Traceback" not in messages


def test_a_machine_that_joins_later_takes_part():
    driver = (
        "import itertools, sys; from helpers.tasks import Whereabouts\n"
        "from pyimagesearch.runtime import parallel\n"
        "items = map(str, itertools.count())\n"
        "for found in parallel.run_task(Whereabouts(seconds=0.01), items, 1, sys.argv[1]):\n"
        "    print(found, flush=True)\n"
        "    if found.endswith('second'): break\n"
    )
    address, scheduler = start_scheduler()
    started = [start_workers(address, "--nthreads", "1", MACHINE="first"), scheduler]
    try:
        with subprocess.Popen(
            [sys.executable, "-c", driver, address],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": "tests"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout.readline() == "0 first\n"
            started.insert(0, start_workers(address, "--nthreads", "1", MACHINE="second"))
            printed = process.stdout.read()
    finally:
        end(*started)
    assert process.returncode == 0
    found = [line.split() for line in printed.splitlines()]
    assert [number for number, _ in found] == [str(number) for number in range(1, len(found) + 1)]
    assert found[-1][1] == "second"


def test_a_scheduler_that_has_no_workers_for_a_while_is_a_sentence_and_status_1(forest_model):
    address, scheduler = start_scheduler()
    arguments = command(forest_model, Cluster(address, scheduler, None), "-d", "examples")[1:]
    code = (
        "import runpy, sys; from pyimagesearch.runtime import dask_cluster\n"
        f"dask_cluster.SECONDS_FOR_WORKERS = 1; sys.argv = {arguments!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    try:
        ended = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True)
    finally:
        end(scheduler)
    assert ended.returncode == 1
    said = ended.stderr.decode().splitlines()[1:]
    assert said == [f"[ERROR] the scheduler at {address} has had no workers for 1 s"]


def test_a_scheduler_without_the_toolkit_is_a_sentence_and_status_1(tmp_path):
    """What it lacks is the module of the task, which the script's own machine has."""
    address, scheduler = start_scheduler(tmp_path)
    workers = start_workers(address, "--nthreads", "1")
    driver = (
        "import sys; from helpers.tasks import Shout\n"
        "from pyimagesearch.runtime import console, parallel\n"
        "console.run(lambda: list(parallel.run_task(Shout(), ['a'], 1, sys.argv[1])))"
    )
    try:
        ended = subprocess.run(
            [sys.executable, "-c", driver, address],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": "tests"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        end(workers, scheduler)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith(f"[ERROR] the cluster at {address} cannot accept the work")
    assert "needs this version of the toolkit" in sentence


def test_a_worker_without_the_toolkit_is_a_sentence_and_status_1(forest_model, tmp_path):
    address, scheduler = start_scheduler()
    workers = start_workers(address, "--nthreads", "1", folder=tmp_path)
    arguments = command(forest_model, Cluster(address, scheduler, workers), "-d", "examples")
    try:
        ended = subprocess.run(arguments, cwd=CHECKOUT, capture_output=True, timeout=120)
    finally:
        end(workers, scheduler)
    assert ended.returncode == 1
    sentence = ended.stderr.decode().splitlines()[-1]
    assert re.fullmatch(
        r"\[ERROR\] the worker at tcp://\S+ does not have the toolkit: it needs version \S+",
        sentence,
    )


def test_images_and_models_of_a_store_are_opened_by_the_workers(cluster, run, forest_model):
    folder, model = f"file://{CHECKOUT}/examples", f"file://{forest_model}"
    here = run("test_anomaly_detector.py", "-m", model, "-d", folder)
    there = run(*command(model, cluster, "-d", folder)[1:])
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    assert len(here.stdout.splitlines()) == 7


def test_a_cluster_on_this_machine_needs_no_setting_up(run, forest_model):
    printed = run(
        *("test_anomaly_detector.py", "-m", forest_model, "-d", "examples"),
        *("--scheduler", "local[1]"),
    )
    expected = run("test_anomaly_detector.py", "-m", forest_model, "-d", "examples")
    assert (printed.returncode, printed.stdout) == (0, expected.stdout), printed.stderr
    assert b"Traceback" not in printed.stderr


def test_ctrl_c_is_for_the_script_and_not_for_workers_of_this_machine(forest_model):
    with subprocess.Popen(
        [
            *(sys.executable, "test_anomaly_detector.py", "-m", forest_model, "-d", "examples"),
            *("--scheduler", "local[1]"),
        ],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
        start_new_session=True,
    ) as process:
        while not (workers := [c for c in psutil.Process(process.pid).children() if is_worker(c)]):
            assert process.poll() is None
            time.sleep(0.01)
        assert all(blocks_interrupts(worker.pid) for worker in workers)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        messages = process.communicate()[1]
    assert process.returncode == 130
    assert messages.splitlines()[-1] == b"[ERROR] interrupted"
    assert b"Traceback" not in messages


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_what_works_for_a_script_that_is_killed_ends_and_says_nothing(forest_model, sign):
    here = Cluster("local[2]", None, None)
    process, _ = started_labelling(forest_model, here)
    with process:
        started = psutil.Process(process.pid).children(recursive=True)
        assert sum(map(is_worker, started)) == 2
        process.send_signal(sign)
        # stderr ends when the last of them has.
        messages = process.communicate(timeout=60)[1]
    assert process.returncode == -sign
    assert messages == b"[INFO] loading anomaly detection model...\n"
    assert not psutil.wait_procs(started, timeout=60)[1]


def is_worker(process):
    return "spawn_main" in " ".join(process.cmdline())


def blocks_interrupts(pid):
    with open(f"/proc/{pid}/status") as file:
        blocked = next(line for line in file if line.startswith("SigBlk:"))
    return bool(int(blocked.split()[1], 16) >> (signal.SIGINT - 1) & 1)


def test_a_scheduler_that_is_not_there_is_a_sentence_and_status_1(run, forest_model, monkeypatch):
    monkeypatch.setattr(dask_security, "SECONDS_TO_CONNECT", 1)
    started = time.monotonic()
    refused = run(
        *("test_anomaly_detector.py", "-m", forest_model, "-d", "examples"),
        *("--scheduler", "tcp://127.0.0.1:1"),
    )
    assert refused.returncode == 1
    assert b"no scheduler can be reached at tcp://127.0.0.1:1" in refused.stderr
    assert b"Traceback" not in refused.stderr
    assert time.monotonic() - started < 60


def test_without_the_package_the_user_is_told_which(forest_model):
    code = (
        "import runpy, sys; sys.modules['distributed'] = None\n"
        f"sys.argv = ['test_anomaly_detector.py', '-m', {str(forest_model)!r}, '-i', 'examples',"
        " '--scheduler', 'local[2]']\n"
        "runpy.run_path('test_anomaly_detector.py', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True)
    assert ended.returncode == 1
    assert b"pip install -r requirements-cluster.txt" in ended.stderr


def test_an_address_that_is_none_is_wrong_usage(run, forest_model):
    for address in ("local[0]", "somewhere", "local", "http://127.0.0.1:8787", "tcp://10.0.0.1"):
        refused = run(
            *("test_anomaly_detector.py", "-m", forest_model, "-d", "examples"),
            *("--scheduler", address),
        )
        assert refused.returncode == 2


def test_a_model_that_the_workers_cannot_read_is_a_sentence(cluster, forest_model, tmp_path):
    model = tmp_path / "it.model"
    shutil.copy(forest_model, model)
    process = subprocess.Popen(
        command(model, cluster, "-i", "-"),
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()  # the header: the model was read here
        model.unlink()
        _, messages = process.communicate(b"examples/coast_1.jpg\n")
    assert process.returncode == 1
    assert b"[ERROR] on a worker: " + bytes(model) + b": No such file" in messages
    assert b"Traceback" not in messages
