"""Claims about a folder to watch that cannot be."""

import pytest


@pytest.mark.parametrize(
    "options",
    [
        ["--watch", "examples", "-i", "examples"],
        ["--watch", "examples", "--top", "2"],
        ["--watch", "examples", "--csv", "t.csv", "--resume"],
        ["-i", "examples", "--on-anomaly", "true"],
        ["-i", "examples", "--with-time"],
        ["-i", "examples", "--resume-by", "name"],
        ["-i", "examples", "--resume"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(run, forest_model, options):
    ended = run("test_anomaly_detector.py", "-m", forest_model, *options)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--watch", "examples", "--every", "2s"], b"--every goes with videos, cameras"),
        (["--watch", "camera:99"], b"camera:99: no such camera"),
        (["--watch", "parts.avi"], b"parts.avi: a video has an end"),
        (["--watch", "examples", "--report", "examples/page/"], b"lies inside"),
    ],
)
def test_a_watch_that_cannot_begin_is_a_sentence(run, forest_model, options, sentence):
    ended = run("test_anomaly_detector.py", "-m", forest_model, *options)
    assert ended.returncode == 1
    assert sentence in ended.stderr


def test_a_folder_that_is_not_there_is_a_mistake(run, forest_model):
    ended = run("test_anomaly_detector.py", "-m", forest_model, "--watch", "nowhere")
    assert ended.returncode == 1
    assert b"nowhere: No such file" in ended.stderr
