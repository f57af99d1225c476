"""Claims about work in other processes, which may be killed at any time."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from helpers.processes import is_running, wait_until
from helpers.scripts import CHECKOUT, run_cold
from helpers.tasks import Chatty, Fails, Runaway, Shout, Stillborn, extract_unless_tiny, hang
from pyimagesearch.cli.labelling_job import LabellingJob
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.runtime import console, parallel, processes
from pyimagesearch.runtime.console import UserError
from pyimagesearch.runtime.limits import NetworkLimitError
from pyimagesearch.training.folder_audit import audit_images

ITEMS = [f"item {number}" for number in range(100)]


def shouted(*lost):
    return [f"lost {item}" if item in lost else item.upper() for item in ITEMS]


@pytest.fixture(params=["forked", "from a server"])
def _kind_of_worker(request):
    """A process with a second thread must not be forked."""
    if request.param == "forked":
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("_kind_of_worker")
def test_items_that_kill_their_worker_each_time_cost_themselves(tmp_path):
    once = str(tmp_path / "once")
    deadly = (ITEMS[3], ITEMS[4])
    task = Shout(deadly, once)
    found = list(parallel.run_task(task, [*ITEMS, once], jobs=2))
    assert found == [*shouted(*deadly), once.upper()]


@pytest.mark.usefixtures("_kind_of_worker")
def test_messages_of_workers_are_the_scripts(capsys):
    console.configure(quiet=False, log_time=False)
    assert list(parallel.run_task(Chatty(), ["a", "b"], jobs=1, chunk_size=1)) == ["A", "B"]
    said = "[INFO] at a\n[WARNING] a is 100% well\n[INFO] at b\n[WARNING] b is 100% well\n"
    assert capsys.readouterr() == ("", said)
    console.configure(quiet=True, log_time=False)
    list(parallel.run_task(Chatty(), ["a"], jobs=1))
    assert capsys.readouterr().err == "[WARNING] a is 100% well\n"


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_keep_the_items_order_and_depend_on_no_number_of_workers(jobs):
    assert list(parallel.run_task(Shout(), iter(ITEMS), jobs)) == shouted()


def test_no_more_than_two_chunks_a_worker_are_taken_ahead():
    taken = []

    def items():
        for item in ITEMS * 5:
            taken.append(item)
            yield item

    results = parallel.run_task(Shout(), items(), jobs=2, chunk_size=5)
    for n_given, _ in enumerate(results, start=1):
        assert len(taken) <= n_given + 5 * (2 * 2 + 1)


def test_an_exception_ends_the_work_and_says_where_it_came_from():
    for is_picklable in (True, False):
        with pytest.raises((ValueError, RuntimeError), match="a bad item") as raised:
            list(parallel.run_task(Fails(is_picklable=is_picklable), ["a", "bad", *ITEMS], jobs=2))
        assert "_shout_all" in "".join((*getattr(raised.value, "__notes__", ()), str(raised.value)))


def test_an_item_for_which_there_is_no_memory_costs_itself():
    assert list(parallel.run_task(Runaway(), ["a", "large", "b"], jobs=2)) == [
        "A",
        "lost large",
        "B",
    ]


def test_workers_that_never_come_up_are_an_error_and_no_lost_items():
    with pytest.raises(UserError, match="before they were ready"):
        list(parallel.run_task(Stillborn(), ITEMS, jobs=2))


@pytest.mark.usefixtures("_kind_of_worker")
def test_no_process_is_left_when_the_results_are_not_wanted_any_more():
    def processes():
        return set(psutil.Process().children(recursive=True))

    list(parallel.run_task(Shout(), ITEMS[:1], jobs=1))  # a server that starts workers stays
    before = processes()
    results = parallel.run_task(Shout(seconds=0.01), ITEMS, jobs=2)
    next(results)
    assert len(processes() - before) == 2
    results.close()
    wait_until(lambda: not processes() - before)


@pytest.mark.parametrize("has_threads", [False, True])
def test_workers_end_with_a_killed_parent_in_the_middle_of_an_item(has_threads):
    driver = (
        "import threading; from helpers.tasks import Shout\n"
        "from pyimagesearch.runtime import parallel\n"
        f"if {has_threads}: threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "list(parallel.run_task(Shout(seconds=1000), ['a', 'b'], 2, chunk_size=1))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", driver],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": "tests"},
    ) as process:

        def descendants():
            return psutil.Process(process.pid).children(recursive=True)

        # Of those with threads also the server that starts them, and what cleans up after it.
        wait_until(lambda: len(descendants()) == (4 if has_threads else 2))
        wait_until(lambda: sum(map(is_asleep, descendants())) == len(descendants()))
        started = descendants()
        process.kill()
    wait_until(lambda: not any(is_running(child.pid) for child in started))


def test_threads_that_opencv_has_started_keep_no_worker_waiting():
    driver = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'  # as a network does\n"
        "from functools import partial\n"
        "from pyimagesearch.runtime import processes\n"
        "import cv2, numpy, onnxruntime\n"
        "blur = partial(cv2.GaussianBlur, numpy.zeros((900, 900, 3), 'u1'), (0, 0), 5)\n"
        "before = cv2.getNumThreads()\n"
        "for _ in range(8):  # without luck, a fork has a lock that one of them held\n"
        "    blur()\n"
        "    processes.call_in_process(blur)\n"
        "print(cv2.getNumThreads() == before)"
    )
    ended = run_cold("-c", driver, timeout=60)
    assert (ended.stdout, ended.stderr) == (b"True\n", b"")


def is_asleep(process):
    """Whether it waits, as it does in the middle of that task."""
    return process.status() == psutil.STATUS_SLEEPING


def test_training_leaves_out_an_image_that_costs_each_worker_its_life(tmp_path):
    for number, side in enumerate((8, 8, 1, 8, 8)):
        picture = np.full((side, side, 3), 40 * number, np.uint8)
        (tmp_path / f"{number}.png").write_bytes(images.encode_picture(picture, ".png"))
    paths = [str(tmp_path / f"{number}.png") for number in range(5)]
    audit = audit_images(paths, extract_unless_tiny, None, jobs=2)
    assert audit.unreadable == [(paths[2], "its worker died")]
    assert audit.features[:, 0].tolist() == [0, 40, 120, 160]


def test_a_model_file_that_changed_is_refused_by_the_workers(forest_model, tmp_path):
    model = tmp_path / "it.model"
    shutil.copy(forest_model, model)
    labeller = Labeller.open(str(model))
    work = LabellingJob(ModelReference(str(model), "0" * 64, labeller.threshold))
    with pytest.raises(UserError, match="the model file changed"):
        list(parallel.run_task(work, ["forest/forest_1.jpg"], jobs=1))


def test_a_process_that_hangs_in_a_library_is_ended_in_time():
    with pytest.raises(NetworkLimitError, match="ended over it"):
        processes.call_in_process(hang)
