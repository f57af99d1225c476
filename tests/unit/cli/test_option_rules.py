"""The table of options that exclude or need each other."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import string

import pytest

from pyimagesearch.cli import option_rules
from pyimagesearch.cli.option_rules import RULES
from pyimagesearch.runtime.console import EXIT_FAILED, EXIT_USAGE, UserError

# What each script does not start without; a rule's example may replace it.
NEEDED = {
    option_rules.TRAIN: "--model my.model --dataset photos",
    option_rules.LABEL: "--model my.model",
    option_rules.AUTOENCODER: "--dataset photos --model my.model",
    option_rules.FIND: "--dataset photos --model my.model",
    option_rules.VALIDATE: "--model my.model",
    option_rules.SERVE: "--model my.model",
}
CASES = [(rule, script) for rule in RULES for script in rule.scripts]


@pytest.mark.parametrize(
    ("rule", "script"), CASES, ids=[f"{script}: {rule.example}" for rule, script in CASES]
)
def test_the_example_of_each_rule_is_refused_with_its_sentence(rule, script, capsys):
    main = importlib.import_module(script.removesuffix(".py")).main
    needed = NEEDED.get(script, "")
    if script == option_rules.TRAIN and "--verdicts" in rule.example:
        needed = needed.removesuffix(" --dataset photos")  # which they take the place of
    argv = f"{needed} {rule.example}".split()
    if rule.status == EXIT_FAILED:
        with pytest.raises(UserError) as refused:
            main(argv)
        message = str(refused.value)
    else:
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == EXIT_USAGE
        message = capsys.readouterr().err.rpartition("error: ")[2].strip()
    assert re.fullmatch(pattern_of(rule.sentence), message)


@pytest.mark.parametrize(
    ("script", "arguments", "sentence"),
    [
        (option_rules.LABEL, "-m M -i a.jpg --csv M", "--csv > --model"),
        (
            option_rules.LABEL,
            "-m M -i a.jpg -o ./a.jpg",
            "--output > --image",
        ),
        (
            option_rules.LABEL,
            "-m M -d d --csv t --json ./t",
            "--json > --csv",
        ),
        (option_rules.LABEL, "-m M -d d --csv link", "--csv > --model"),
        (
            option_rules.FIND,
            "-m M -d s.csv --csv s.csv",
            "--csv > --dataset",
        ),
        (option_rules.FIND, "-m M -d s.csv -o M", "--output > --model"),
        (option_rules.TRAIN, "-m s.csv -d s.csv", "--model > --dataset"),
        (option_rules.TRAIN, "-m b.onnx -d d --backbone b.onnx", "--model > --backbone"),
        (
            option_rules.AUTOENCODER,
            "-m x.npz -d x.npz",
            "--model > --dataset",
        ),
        (option_rules.AUTOENCODER, "-m M -d d -v M", "--vis > --model"),
        (
            option_rules.AUTOENCODER,
            "-m M -d d -p recon_vis.png",
            "--plot > --vis",
        ),
        (option_rules.VALIDATE, "-m M -d d --csv M", "--csv > --model"),
        (option_rules.VALIDATE, "-m M --verdicts v --json v", "--json > --verdicts"),
    ],
)
def test_no_script_writes_over_what_it_reads(
    script, arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "M").write_bytes(b"a model")
    (tmp_path / "link").symlink_to("M")
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(script.removesuffix(".py")).main(arguments.split())
    assert ended.value.code == EXIT_USAGE
    written, read = sentence.split(" > ")
    assert f"{written} would overwrite the file of {read}" in capsys.readouterr().err
    assert (tmp_path / "M").read_bytes() == b"a model"


def pattern_of(sentence: str) -> str:
    """A pattern of the messages that a sentence becomes, whatever its fields are filled with."""
    parts = string.Formatter().parse(sentence)
    return "".join(re.escape(text) + (".+" if field else "") for text, field, *_ in parts)


def test_the_examples_in_the_docstring_hold():
    assert doctest.testmod(option_rules).failed == 0
    assert doctest.testmod(option_rules).attempted > 0


@pytest.mark.parametrize(
    ("script", "arguments", "sentence"),
    [
        (
            option_rules.LABEL,
            "-m M -i a.jpg --csv hard",
            "--csv would overwrite the file of --model",
        ),
        (option_rules.LABEL, "-m M -d d --csv d/a.jpg", "--csv would overwrite an image, d/a.jpg"),
        (
            option_rules.LABEL,
            "-m M -d d --csv t --json t.journal",
            "--csv needs t.journal, the file of --json, for itself",
        ),
        (
            option_rules.FIND,
            "-m M -d d -o d/a.jpg",
            "--output would overwrite an image of --dataset, d/a.jpg",
        ),
        (
            option_rules.AUTOENCODER,
            "-m M -d link -v d/a.jpg",
            "--vis would overwrite an image of --dataset, d/a.jpg",
        ),
        (
            option_rules.VALIDATE,
            "-m M --normal d --anomalous d -p d/a.jpg",
            "--plot would overwrite an image of --normal, d/a.jpg",
        ),
    ],
)
def test_no_result_takes_the_place_of_an_input_by_another_name(
    script, arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    for name in ("M", "d/a.jpg"):
        (tmp_path / name).write_bytes(b"of the user")
    os.link("M", "hard")
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(script.removesuffix(".py")).main(arguments.split())
    assert ended.value.code == EXIT_USAGE
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "d/a.jpg").read_bytes() == b"of the user"
