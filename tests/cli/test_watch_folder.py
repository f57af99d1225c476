"""Claims about a folder to watch that cannot be."""

import pytest


@pytest.mark.parametrize(
    "options",
    [
        ["--watch", "examples", "-i", "examples"],
        ["--watch", "examples", "--top", "2"],
        ["--watch", "examples", "--csv", "t.csv", "--resume"],
        ["-i", "examples", "--on-anomaly", "true"],
        ["-i", "examples", "--resume"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(run, forest_model, options):
    ended = run("test_anomaly_detector.py", "-m", forest_model, *options)
    assert ended.returncode == 2


def test_a_folder_that_is_not_there_is_a_mistake(run, forest_model):
    ended = run("test_anomaly_detector.py", "-m", forest_model, "--watch", "nowhere")
    assert ended.returncode == 1
    assert b"nowhere: No such file" in ended.stderr
