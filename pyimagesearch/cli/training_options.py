"""The options of train_anomaly_detector.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from pyimagesearch.cli import arguments, option_rules, series_input
from pyimagesearch.cli.argument_types import share_or_zero
from pyimagesearch.cli.arguments import Columns, Executor
from pyimagesearch.data import images
from pyimagesearch.data.videos import Every
from pyimagesearch.detectors.image.isolation_forest import MAX_SAMPLES, default_estimators
from pyimagesearch.detectors.series import stream
from pyimagesearch.features import HistogramFeatures
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.image_groups import GroupRule
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.line import sources
from pyimagesearch.runtime.console import printable
from pyimagesearch.training.exclusions import ExclusionError, Exclusions, read_exclusions
from pyimagesearch.training.image_features import BackboneOptions, FeatureOptions
from pyimagesearch.training.image_recipe import ImageRecipe, usual_backbone
from pyimagesearch.training.images import (
    AUTO,
    CORESETS,
    FOREST,
    METHODS,
    PATCH_METHODS,
    PatchOptions,
)
from pyimagesearch.training.series import METHODS as SERIES_METHODS
from pyimagesearch.training.series import SeriesRecipe

_OTHER_NAMES = {"ensemble": "nearest-window"}


@dataclass(frozen=True)
class ImageTraining:
    """What to train on images.

    Attributes:
        dataset: folder of normal images, pattern of their names, or a video.
        every: which frames of a video are taken; None takes the usual ones.
        model: file to write.
        force: write it over any file.
        strict: refuse a dataset that has unreadable images.
        exclusions: what a person has found about its images, or None.
        audit: page of the strangest images to write, or None.
        recipe: how the detector is fitted.
        contamination: share of the images that may be anomalies; None leaves out what is a group
            apart, but of the method forest.
        groups: says which images have a threshold of their own, or None.
        executor: where the work is done.
    """

    dataset: str
    every: Every | None
    model: str
    force: bool
    strict: bool
    exclusions: Exclusions | None
    audit: str | None
    recipe: ImageRecipe
    contamination: float | None
    groups: GroupRule | None
    executor: Executor


@dataclass(frozen=True)
class VerdictUpdate:
    """What an inspector found is learned by a model.

    Attributes:
        verdicts: file of them.
        update: file of the model.
        model: file to write.
        force: write it over any file.
        strict: refuse unreadable images.
        patches: what was chosen about patches.
        backbone: the ONNX file of a model that does not contain its network, or None.
        executor: where the work is done.
    """

    verdicts: str
    update: str
    model: str
    force: bool
    strict: bool
    patches: PatchOptions
    backbone: str | None
    executor: Executor


@dataclass(frozen=True)
class SeriesTraining:
    """What to train on a series.

    Attributes:
        dataset: file of CSV, or - for stdin.
        model: file to write.
        force: write it over any file.
        columns: what they are.
        recipe: how it is learned.
    """

    dataset: str
    model: str
    force: bool
    columns: Columns
    recipe: SeriesRecipe


@dataclass(frozen=True)
class ManySeriesTraining:
    """What to train on many series, a model each.

    Attributes:
        dataset: folder of files, or a table, whose rows say which series they are of.
        group_by: the column of the table that does; None for a folder.
        model: folder to write.
        columns: what they are in each series.
        recipe: how each is learned.
        strict: refuse a dataset with series that cannot be learned.
        resume: learn only what the folder has no model of.
        executor: where the work is done.
    """

    dataset: str
    group_by: str | None
    model: str
    columns: Columns
    recipe: SeriesRecipe
    strict: bool
    resume: bool
    executor: Executor


@dataclass(frozen=True)
class SeriesUpdate:
    """What to update a model of a series by; None takes what the model has.

    Attributes:
        dataset: file of CSV, or - for stdin.
        model: file to write.
        force: write it over any file.
        update: file of the model.
        method: one of ``SERIES_METHODS``, which it must be of, or None.
        columns: what they are.
        contamination: share of the blocks of rows that may be anomalous, or None.
        rule: that chooses the threshold, or None.
        seed: of all random choices, or None.
    """

    dataset: str
    model: str
    force: bool
    update: str
    method: str | None
    columns: Columns
    contamination: float | None
    rule: ThresholdRule | None
    seed: int | None


def parse(
    documentation: str | None, argv: Sequence[str] | None
) -> ImageTraining | VerdictUpdate | SeriesTraining | SeriesUpdate | ManySeriesTraining:
    """Parse a command line, and configure the messages as it says.

    Ends the script where the command line is wrong or asks for help.

    Args:
        documentation: what --help prints first.
        argv: without the script's name; None takes that of this process.
    """
    ap = _parser(documentation)
    args = arguments.parse_args(ap, argv)
    has_dataset = args.dataset is not None
    is_table = has_dataset and series_input.is_series(args.dataset)
    is_many = has_dataset and (
        (args.group_by is not None and (is_table or _is_other_file(args.dataset)))
        or series_input.is_folder_of_series(
            args.dataset, None if args.method == AUTO else args.method in SERIES_METHODS
        )
    )
    is_series = is_many or is_table
    methods = SERIES_METHODS if is_series else METHODS
    method = SERIES_METHODS[0] if is_series and args.method == AUTO else args.method
    # As scikit-learn's forest has it, which takes the share that it is told for a threshold.
    is_rule = args.threshold == "contamination"
    option_rules.check(
        ap,
        args,
        option_rules.TRAIN,
        contamination_is_rule=is_rule,
        is_series=is_series,
        is_many=is_many,
        methods=methods,
        fitting=" or ".join(methods),
        uses_patches=method in PATCH_METHODS,
        is_auto=method == AUTO,
        uses_colours=method == FOREST or (args.no_backbone and method not in PATCH_METHODS),
    )
    rule = arguments.threshold_rule(
        args, tuple(name for name in thresholds.RULES if is_rule or name != "contamination")
    )
    patches = PatchOptions(
        memory=args.memory,
        bank_size=args.bank_size,
        coreset=args.coreset,
        rotate=args.augment == "rotation",
        thumbnails=args.keep_thumbnails,
        seed=args.seed,
    )
    if args.verdicts is not None:
        return VerdictUpdate(
            verdicts=args.verdicts,
            update=args.update,
            model=args.model,
            force=args.force,
            strict=args.strict,
            patches=patches,
            backbone=args.backbone,
            executor=Executor.from_args(args),
        )
    if is_series and args.update is not None:
        return SeriesUpdate(
            dataset=args.dataset,
            model=args.model,
            force=args.force,
            update=args.update,
            method=None if args.method == AUTO else args.method,
            columns=Columns.from_args(args),
            contamination=None if is_rule else args.contamination,
            rule=rule,
            seed=None if args.seed == ap.get_default("seed") else args.seed,
        )
    if is_series:
        recipe = SeriesRecipe.choose(
            method, args.seed, None if is_rule else args.contamination, rule
        )
        columns = Columns.from_args(args)
        if not is_many:
            return SeriesTraining(args.dataset, args.model, args.force, columns, recipe)
        return ManySeriesTraining(
            dataset=args.dataset,
            group_by=args.group_by,
            model=args.model,
            columns=columns,
            recipe=recipe,
            strict=args.strict,
            resume=args.resume,
            executor=Executor.from_args(args),
        )
    return ImageTraining(
        dataset=args.dataset,
        every=args.every,
        model=args.model,
        force=args.force,
        strict=args.strict,
        exclusions=None if args.exclude is None else _exclusions(ap, args.exclude),
        audit=args.audit,
        recipe=ImageRecipe(
            method=method,
            features=FeatureOptions(
                _backbone(args, method), args.image_size, args.tile, args.mask, tuple(args.bins)
            ),
            patches=patches,
            rule=rule or ThresholdRule(),
            seed=args.seed,
            n_estimators=args.n_estimators,
            update=args.update,
            confidence=args.confidence,
        ),
        # Who has the threshold call a share of what is learned anomalies has them learned.
        contamination=0.0 if is_rule else args.contamination,
        groups=None if args.group_by is None else _groups(ap, args.group_by),
        executor=Executor.from_args(args),
    )


def _parser(documentation: str | None) -> argparse.ArgumentParser:
    ap = arguments.parser(documentation)
    data = ap.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "-d",
        "--dataset",
        help="folder of normal images, a pattern of their names in quotes, or a video of them; or "
        "a series: a CSV file, - for stdin; or a folder of series",
    )
    data.add_argument(
        "--verdicts",
        metavar="FILE",
        help="with --update: add the images that an inspector has called fine on the page of "
        "--report, and keep the threshold",
    )
    arguments.add_every(ap, "near-equal ones count once")
    ap.add_argument(
        "-m",
        "--model",
        required=True,
        help="model file to write; of many series the folder, with a model file for each",
    )
    arguments.add_force(ap)
    ap.add_argument(
        "--method",
        type=lambda text: _OTHER_NAMES.get(text, text),
        choices=METHODS + SERIES_METHODS,
        default=AUTO,
        help="detector (default: auto). Of images, auto adds memory-bank, the distance of each "
        "patch to known ones, and neighbours, that of the whole image to known ones; subspace and "
        "gaussian judge patches, too, and forest whole images by their colours. Of series, auto is "
        "nearest-window (also called ensemble), which compares windows; stream takes one row at a "
        "time, as they come",
    )
    ap.add_argument(
        "--update",
        metavar="MODEL",
        help="add the dataset to this memory-bank model, whose own images are not needed; or to "
        "this model of the method stream, which goes on from its last row; a model of "
        "nearest-window is fitted anew with its options",
    )
    ap.add_argument(
        "--strict",
        action="store_true",
        help="refuse a dataset that has unreadable images, or series that cannot be learned",
    )
    ap.add_argument(
        "--exclude",
        metavar="FILE",
        help="do not learn the images that this file names: verdicts that the page of --audit or "
        "--report has saved (its defects; what is fine is learned in any case), or a list with a "
        "name on each line",
    )
    ap.add_argument(
        "--audit",
        metavar="PAGE.html",
        help="write a page of the training images, those that may be anomalies first, to find out "
        "what should not be learned",
    )
    arguments.add_forest(ap, HistogramFeatures.bins, default_estimators(MAX_SAMPLES))
    arguments.add_backbone(ap)
    arguments.add_patches(ap, CORESETS, PatchOptions.memory)
    arguments.add_columns(ap)
    ap.add_argument(
        "--group-by",
        metavar="NAME|folder|REGEX",
        help="of series: the dataset is one long table of many, and this column says which one a "
        "row is of. Of images: each group, such as a camera, gets a threshold of its own, all with "
        "the same false-alarm rate: folder has a group for each folder in the dataset; a regular "
        "expression with one group in parentheses, such as '(cam[0-9]+)_', is searched in the path",
    )
    ap.add_argument(
        "--resume",
        action="store_true",
        help="with many series: go on with a run that was killed or interrupted, or add models of "
        "series that the folder of --model has none of",
    )
    arguments.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        f"few images; of the method stream a score of {stream.DEFAULT_THRESHOLD}",
        contamination=False,
    )
    ap.add_argument(
        "--contamination",
        type=share_or_zero,
        metavar="SHARE",
        help="up to this share of what is learned may be anomalies. Of images, the strangest are "
        "not learned, and calibration leaves out those that are too strange for normal ones; 0 "
        "learns all (default: only those that stand apart as a group are left out; of the method "
        "forest none). Of series, that share of the blocks of rows does not count for the "
        f"threshold (default: {thresholds.DEFAULT_BLOCK_CONTAMINATION}). With --threshold "
        "contamination, the share of the training items that the threshold calls anomalies "
        f"(default: {thresholds.DEFAULT_CONTAMINATION})",
    )
    arguments.add_confidence(ap)
    arguments.add_seed(ap)
    arguments.add_executor(ap)
    arguments.add_max_pixels(ap)
    return ap


def _backbone(args: argparse.Namespace, method: str) -> BackboneOptions | None:
    """The network that is asked for, or the usual one of methods that are better with one."""
    if args.backbone is None:
        without = args.no_backbone or args.update is not None
        return None if without else usual_backbone(method)
    given = {name: getattr(args, name) for name in ("layers", "mean", "std")}
    several = {name: None if value is None else tuple(value) for name, value in given.items()}
    return BackboneOptions(
        name=args.backbone,
        weights=args.weights,
        colours=args.colours,
        scale=args.scale,
        external=args.external_backbone,
        **several,
    )


def _is_other_file(path: str) -> bool:
    """Whether it is one file, and not of images: a table, whatever its name."""
    return os.path.isfile(path) and not (sources.is_video(path) or images.has_image_name(path))


def _groups(ap: argparse.ArgumentParser, by: str) -> GroupRule:
    try:
        return GroupRule(by)
    except ValueError as error:
        ap.error(f"argument --group-by: {error}")


def _exclusions(ap: argparse.ArgumentParser, path: str) -> Exclusions:
    try:
        return read_exclusions(path)
    except ExclusionError as error:
        ap.error(f"argument --exclude: {printable(path)}: {error}")
    except OSError as error:
        ap.error(f"argument --exclude: {printable(path)}: {error.strerror}")
