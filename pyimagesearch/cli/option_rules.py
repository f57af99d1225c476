"""Which options exclude or need each other, of every script, in one table.

To add a rule, add a row to ``RULES``: the scripts that it is for, the options that it is about, the
condition under which these are refused, the sentence, and a command line that it refuses (a test
tries each of these). A script's parser then calls, once, when all options are parsed,

    option_rules.check(ap, args, option_rules.TRAIN)

and gives what a condition or a sentence needs to know and no option says as further keywords,
such as ``is_series=True``. The first row that is violated ends the script.

>>> import argparse
>>> ap = argparse.ArgumentParser()
>>> _ = ap.add_argument("--weights")
>>> _ = ap.add_argument("--backbone", default="resnet50")
>>> given = Given(ap, ap.parse_args(["--weights", "w.h5"]), {"is_series": True})
>>> "--weights" in given, "--backbone" in given
(True, False)
>>> given["--backbone"], given["is_series"]
('resnet50', True)
>>> OptionRule(
...     scripts=(TRAIN,),
...     options=("--weights",),
...     refused=lambda given: "--backbone" not in given,
...     sentence="{option} {given[--weights]} goes with --backbone",
...     example="--weights w.h5",
... ).violation(given)
'--weights w.h5 goes with --backbone'
"""

from __future__ import annotations

import argparse
import itertools
import os
from typing import Any

from pyimagesearch.cli import overwriting
from pyimagesearch.cli.option_rule import Given, OptionRule
from pyimagesearch.runtime.console import EXIT_FAILED, UserError

TRAIN = "train_anomaly_detector.py"
LABEL = "test_anomaly_detector.py"
AUTOENCODER = "train_autoencoder.py"
FIND = "find_anomalies.py"
GENERATE = "generate_data.py"
VALIDATE = "generate_validation_metrics.py"
SERVE = "serve_anomaly_detector.py"


def check(ap: argparse.ArgumentParser, args: argparse.Namespace, script: str, **facts: Any) -> None:
    """Refuse options that do not go together.

    Args:
        ap: the script's parser; it ends the script with a usage message and status 2.
        args: what it parsed.
        script: whose rules to apply.
        facts: what else the rules of this script look at.

    Raises:
        UserError: a rule is violated whose status is 1.
    """
    given = Given(ap, args, facts)
    for rule in RULES:
        if script in rule.scripts and (sentence := rule.violation(given)):
            if rule.status == EXIT_FAILED:
                raise UserError(sentence)
            ap.error(sentence)
    if sentence := overwriting.overwritten(given.get, writes_model=script in (TRAIN, AUTOENCODER)):
        ap.error(sentence)


# What find_anomalies.py does with one series only; that there are many, it may find out later.
OF_ONE_SERIES = ("--output", "--show", "--follow", "--save-state")
NOT_OF_MANY = "{option} is for one series; of many, --report writes a page with plots"
_NETWORK = ("--weights", "--layers", "--colours", "--scale", "--mean", "--std")
_INPUTS = ("--image", "--dataset", "--watch")
_BANK = ("--tile", "--mask", "--bank-size", "--keep-thumbnails")
_OF_IMAGES = (
    *("--save-dataset", "--image-size", "--crop", "--colour", "--valid-label", "--anomaly-label"),
    *("--strict", "--filters", "--latent-dim", "--confidence"),
)
_OF_SERIES = ("--time-steps", "--timestamp-column", "--value-column")
_KNOWN_TRUTH = (
    *(("--normal", "--anomalous"), ("--dataset",), ("--select-on", "--report-on")),
    *(("--verdicts",), ("--undo",)),
)
# Each of them gives the parameter of the threshold rule that has its name.
_PARAMETERS = {
    "--false-alarm-rate": (TRAIN, LABEL, AUTOENCODER, FIND, SERVE),
    "--false-discovery-rate": (LABEL, FIND),
    "--contamination": (LABEL, FIND, SERVE),  # of the others, it is about the dataset, or may be
    "--quantile": (TRAIN, LABEL, AUTOENCODER, FIND, SERVE),
}


RULES: tuple[OptionRule, ...] = (
    # What counts as an anomaly.
    *(
        OptionRule(
            scripts=tuple(name for name in _PARAMETERS[first] if name in _PARAMETERS[second]),
            options=(second,),
            refused=lambda given, first=first: first in given,
            sentence=f"{first} and {second} exclude each other",
            example=f"{first} 0.1 {second} 0.1",
        )
        for first, second in itertools.combinations(_PARAMETERS, 2)
    ),
    *(
        OptionRule(
            scripts=scripts,
            options=(option,),
            refused=lambda given, rule=option[2:]: given["--threshold"] not in (None, rule),
            sentence="{option} does not go with --threshold {given[--threshold]}",
            example=f"{option} 0.1 --threshold max",
        )
        for option, scripts in _PARAMETERS.items()
    ),
    # train_anomaly_detector.py
    OptionRule(
        scripts=(TRAIN,),
        options=("--verdicts",),
        refused=lambda given: given["--update"] is None,
        sentence="--verdicts goes with --update: images that are fine are added to a model",
        example="--verdicts verdicts.csv",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=(
            *("--every", "--exclude", "--audit", "--group-by", "--resume"),
            *("--threshold", "--false-alarm-rate", "--quantile", "--contamination"),
            "--confidence",
        ),
        refused=lambda given: given["--verdicts"] is not None,
        sentence="{option} does not go with --verdicts",
        example="--verdicts verdicts.csv --update old.model --audit a.html",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--contamination",),
        refused=lambda given: given["contamination_is_rule"] and given["--contamination"] == 0,
        sentence="--contamination 0 is no share that a threshold can be chosen by",
        example="--threshold contamination --contamination 0",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=(*_NETWORK, "--external-backbone"),
        refused=lambda given: "--backbone" not in given,
        sentence="{option} goes with --backbone",
        example="--layers conv4",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--no-backbone",),
        refused=lambda given: "--backbone" in given,
        sentence="--backbone and --no-backbone exclude each other",
        example="--backbone net.onnx --no-backbone",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--no-backbone",),
        refused=lambda given: given["is_auto"],
        sentence="--method auto needs a network; --method memory-bank and forest do without",
        example="--no-backbone",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--method",),
        refused=lambda given: given["--method"] not in given["methods"],
        sentence="--method {given[--method]} does not go with this dataset: {given[fitting]}",
        example="--method stream",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--bins", "--n-estimators"),
        refused=lambda given: not given["uses_colours"],
        sentence="{option} goes with --method forest",
        example="--bins 4 6 3",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--scheduler", "--exclude", "--audit", "--every", "--confidence"),
        refused=lambda given: given["is_series"],
        sentence="{option} goes with folders of images",
        example="--dataset series.csv --scheduler local[2]",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--resume",),
        refused=lambda given: not given["is_many"],
        sentence="--resume goes with many series: a folder of them, or --group-by",
        example="--dataset series.csv --resume",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--update",),
        refused=lambda given: given["is_many"],
        sentence="--update is for one model file, not for models of many series",
        example="--dataset series.csv --group-by machine --update old.model",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--force",),
        refused=lambda given: given["is_many"],
        sentence="--force is for one model file; models of many series replace only a folder of "
        "such models",
        example="--dataset series.csv --group-by machine --force",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=("--audit",),
        refused=lambda given: not given["--audit"].lower().endswith((".html", ".htm")),
        sentence="--audit writes one file, whose name ends with .html",
        example="--audit pages/",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=(*_BANK, "--augment"),
        refused=lambda given: "--update" not in given and not given["uses_patches"],
        sentence="{option} goes with --method auto, memory-bank, subspace or gaussian",
        example="--method forest --tile 99",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=(*_BANK, "--group-by"),
        refused=lambda given: "--update" in given,
        sentence="{option} cannot be changed by --update",
        example="--update old.model --tile 99",
    ),
    OptionRule(
        scripts=(TRAIN,),
        options=(*_NETWORK, "--external-backbone", "--image-size"),
        refused=lambda given: "--update" in given,
        sentence="--update takes the image size and what it needs of the network from the model",
        example="--update old.model --image-size 256",
    ),
    # train_autoencoder.py
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--image-size",),
        refused=lambda given: len(given["--image-size"]) > 2,
        sentence="argument --image-size: one side or two, width and height",
        example="--image-size 32 32 3",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--architecture",),
        refused=lambda given: given["--architecture"] not in given["architectures"],
        sentence="--architecture {given[--architecture]} does not go with this dataset: "
        "{given[fitting]}",
        example="--architecture lstm",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=_OF_IMAGES,
        refused=lambda given: given["is_series"],
        sentence="{option} does not go with this dataset",
        example="--dataset series.csv --filters 8",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=_OF_SERIES,
        refused=lambda given: not given["is_series"],
        sentence="{option} does not go with this dataset",
        example="--time-steps 24",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--resume", "--initial-weights"),
        refused=lambda given: given["--architecture"] == "pca",
        sentence="{option} does not go with --architecture pca",
        example="--architecture pca --resume",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--tracker",),
        refused=lambda given: given["--architecture"] == "pca",
        sentence="--tracker does not go with --architecture pca, which has no epochs",
        example="--architecture pca --tracker csv",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--noisy", "--kinds", "--loss", "--patience"),
        refused=lambda given: given["--architecture"] != "denoising",
        sentence="{option} goes with --architecture denoising alone",
        example="--loss mse",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--noisy",),
        refused=lambda given: "--kinds" in given,
        sentence="--noisy and --kinds exclude each other",
        example="--architecture denoising --noisy spoiled --kinds hole",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--every",),
        refused=lambda given: not given["is_video"],
        sentence="--every goes with a video",
        example="--dataset digits --every 2s",
    ),
    OptionRule(
        scripts=(AUTOENCODER,),
        options=("--image-size", "--crop", "--colour"),
        refused=lambda given: not given["is_folder"],
        sentence="--image-size, --crop and --colour are for folders; other datasets have theirs",
        example="--dataset digits --image-size 32",
        status=EXIT_FAILED,
    ),
    # generate_data.py
    OptionRule(
        scripts=(GENERATE,),
        options=("--kinds",),
        refused=lambda given: "--objects" in given,
        sentence="--kinds is for synthetic defects; it does not go with --objects",
        example="defects --backgrounds good --output faulty --objects pasted --kinds hole",
        status=EXIT_FAILED,
    ),
    # generate_validation_metrics.py
    OptionRule(
        scripts=(VALIDATE,),
        options=(),
        refused=lambda given: sum(any(o in given for o in way) for way in _KNOWN_TRUTH) != 1,
        sentence="give --normal and --anomalous, or --dataset, or --select-on and --report-on, or "
        "--verdicts, or --undo",
        example="--dataset bottle --verdicts verdicts.json",
    ),
    *(
        OptionRule(
            scripts=(VALIDATE,),
            options=(option,),
            refused=lambda given, other=other: other not in given,
            sentence=f"{other} is missing",
            example=f"{option} folder",
        )
        for way in _KNOWN_TRUTH
        for option, other in itertools.permutations(way, 2)
    ),
    OptionRule(
        scripts=(VALIDATE,),
        options=("--masks",),
        refused=lambda given: "--normal" not in given,
        sentence="--masks goes with --normal and --anomalous; a dataset has its own",
        example="--dataset bottle --masks masks",
    ),
    OptionRule(
        scripts=(VALIDATE,),
        options=(
            "--update",
            "--rule",
            "--false-alarm-rate",
            "--confidence",
            "--plot",
            "--csv",
            "--json",
            "--scores",
        ),
        refused=lambda given: "--undo" in given,
        sentence="{option} does not go with --undo, which measures nothing",
        example="--undo --update",
    ),
    # Many series.
    *(
        OptionRule(
            scripts=(script,),
            options=("--group-by",),
            refused=lambda given: os.path.isdir(given["--dataset"]) and given["is_many"],
            sentence="--group-by goes with one table; each file of a folder is a series of its own",
            example=f"--dataset . --group-by machine{series}",
        )
        for script, series in ((TRAIN, " --method stream"), (FIND, ""))
    ),
    OptionRule(
        scripts=(TRAIN, FIND),
        options=("--group-by",),
        refused=lambda given: (
            given["--group-by"] in (given["--timestamp-column"], *(given["--value-column"] or ()))
        ),
        sentence="--group-by names a column that is neither the times nor values",
        example="--dataset series.csv --group-by machine --timestamp-column machine",
    ),
    OptionRule(
        scripts=(FIND,),
        options=OF_ONE_SERIES,
        refused=lambda given: given["is_many"],
        sentence=NOT_OF_MANY,
        example="--group-by machine --output plot.png",
    ),
    # The labelling scripts.
    OptionRule(
        scripts=(LABEL, FIND),
        options=("--resume",),
        refused=lambda given: "--csv" not in given and "--json" not in given,
        sentence="--resume goes with --csv or --json",
        example="--resume",
    ),
    OptionRule(
        scripts=(LABEL, FIND),
        options=("--resume-by",),
        refused=lambda given: "--resume" not in given,
        sentence="--resume-by goes with --resume",
        example="--resume-by name",
    ),
    OptionRule(
        scripts=(LABEL,),
        options=("--on-anomaly", "--on-unreadable", "--on-drift", "--events", "--with-time"),
        refused=lambda given: "--watch" not in given,
        sentence="{option} goes with --watch",
        example="--on-anomaly true",
    ),
    OptionRule(
        scripts=(LABEL, SERVE),
        options=(
            *("--message-picture", "--reset-drift"),
            *("--evidence-of-normal", "--keep-days", "--keep-bytes"),
        ),
        refused=lambda given: "--events" not in given,
        sentence="{option} goes with --events",
        example="--keep-days 90",
    ),
    OptionRule(
        scripts=(SERVE,),
        options=("--key",),
        refused=lambda given: "--certificate" not in given,
        sentence="--key goes with --certificate",
        example="--key key.pem",
    ),
    OptionRule(
        scripts=(LABEL,),
        options=("--output", "--report"),
        refused=lambda given: "--watch" in given and "--false-discovery-rate" in given,
        sentence="{option} draws an image before --false-discovery-rate with --watch decides what "
        "it is: --events keeps pictures of anomalies",
        example="--watch arriving --false-discovery-rate 0.1 --report page",
    ),
    OptionRule(
        scripts=(LABEL,),
        options=(
            *("--image", "--dataset"),
            *("--resume", "--show", "--top", "--scheduler"),
        ),
        refused=lambda given: "--watch" in given,
        sentence="{option} does not go with --watch",
        example="--watch arriving --top 2",
    ),
    OptionRule(
        scripts=(LABEL, FIND),
        options=("--classes",),
        refused=lambda given: "--report" not in given,
        sentence="--classes goes with --report",
        example="--classes scratch,dent",
    ),
    OptionRule(
        scripts=(LABEL,),
        options=("--model",),
        refused=lambda given: not any(name in given for name in _INPUTS),
        sentence="one of the arguments -i/--image -d/--dataset -w/--watch is required",
        example="",
    ),
    OptionRule(
        scripts=(FIND,),
        options=("--on-anomaly", "--gap", "--heartbeat", "--save-every"),
        refused=lambda given: "--follow" not in given,
        sentence="{option} goes with --follow",
        example="--gap 10m",
    ),
    OptionRule(
        scripts=(FIND,),
        options=("--save-every",),
        refused=lambda given: "--save-state" not in given,
        sentence="--save-every goes with --save-state",
        example="--follow --save-every 1m",
    ),
    OptionRule(
        scripts=(FIND,),
        options=("--csv", "--output", "--report", "--resume", "--top", "--show"),
        refused=lambda given: "--follow" in given,
        sentence="{option} does not go with --follow, which prints alarms, and writes all rows to "
        "--json",
        example="--follow --csv rows.csv",
    ),
)
