"""Measure a model on pictures whose truth is known, and choose a threshold on them.

  python generate_validation_metrics.py --model my.model --normal good --anomalous defective
  python generate_validation_metrics.py --model my.model --normal good --anomalous faulty/test \\
      --masks faulty/ground_truth --rule f1 --update
  python generate_validation_metrics.py --model my.model --dataset mvtec_ad/bottle --json m.json
  python generate_validation_metrics.py --model my.model --select-on spring --report-on autumn
  python generate_validation_metrics.py --model my.model --verdicts verdicts.json --update

Thresholds are chosen on one half of the pictures and reported on the other, or chosen and reported
on two folders; a picture that is in both, whatever its name, is not reported on. A dataset is laid
out as MVTec AD's categories: test/good, test/DEFECT, and masks in ground_truth/DEFECT. Any model
of images will do. --verdicts takes what an inspector recorded on the page of a report: no pictures
are needed, since the page knows their scores.

Prints CSV: metric, threshold rule, value, and its 95% interval. AUROC, average precision and the
metrics of pixels need no threshold and are of all the pictures that are reported on or chosen on in
halves.
"""

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
import csv
import io
import json
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from pyimagesearch import metrics
from pyimagesearch.cli import argument_types, arguments, option_rules
from pyimagesearch.data import images, mvtec
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import inspector_verdicts, thresholds, validation
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import Threshold
from pyimagesearch.labelling.validation import Item
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL
from pyimagesearch.reports import drawing, plots
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_UNREADABLE,
    UserError,
    counted,
    info,
    printable,
    run,
    set_quiet,
    warn,
)

COLUMNS = ("metric", "rule", "value", "low", "high")
LEAST = 2  # pictures of each kind in each half
SHOWN_AT_MOST = 10

Folders = tuple[str, list[str], str | None]  # of normal pictures, of anomalies, of masks


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    ap = arguments.parser(__doc__)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    data = ap.add_argument_group("pictures whose truth is known: one of these ways")
    data.add_argument("--normal", metavar="FOLDER", help="pictures of good parts")
    data.add_argument("--anomalous", metavar="FOLDER", help="with it: pictures of defective ones")
    data.add_argument("--masks", metavar="FOLDER", help="of these, if you have them")
    data.add_argument("-d", "--dataset", metavar="FOLDER", help="test/good, test/DEFECT, ...")
    data.add_argument(
        "--select-on", metavar="FOLDER", help="such a dataset to choose thresholds on"
    )
    data.add_argument("--report-on", metavar="FOLDER", help="with it: one to report them on")
    data.add_argument(
        "--verdicts", metavar="FILE", help="JSON or CSV of verdicts, saved by the page of a report"
    )
    ap.add_argument(
        "-r",
        "--rule",
        choices=validation.RULES,
        default="f1",
        help="which threshold to take: of the best F1 (default), where the histograms overlap "
        "least, or for a false-alarm rate; all of them are reported",
    )
    ap.add_argument(
        "--false-alarm-rate",
        type=argument_types.share,
        metavar="RATE",
        help="of the rule of that name "
        f"(default: {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible)",
    )
    ap.add_argument(
        "--update", action="store_true", help="write the threshold of --rule into the model file"
    )
    ap.add_argument(
        "-p",
        "--plot",
        metavar="FILE.png",
        help="histogram of the scores of normal pictures and anomalies, with the thresholds",
    )
    ap.add_argument("--csv", metavar="FILE", help="write what is printed to a file, too")
    ap.add_argument("--json", metavar="FILE", help="write the same and more as JSON")
    ap.add_argument("--scores", metavar="FILE", help="write each picture's truth and score as CSV")
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    args = ap.parse_args(argv)
    option_rules.check(ap, args, option_rules.VALIDATE)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    set_quiet(args.quiet)
    for path in (args.plot, args.csv, args.json, args.scores):
        if path is not None:
            atomic_files.check_writable(path)
    if args.plot is not None:
        drawing.check_picture_name(args.plot, (".png",))
    if args.verdicts is not None:
        labeller, n_unreadable = None, 0
        items, known = load_verdicts(args)
    else:
        info("loading anomaly detection model...")
        labeller = model_file.open_model(args.model, Labeller.open)
        items, n_unreadable = load(args, labeller)
        known = {validation.MODEL_RULE: as_given(validation.MODEL_RULE, labeller.threshold)}

    selecting = [item for item in items if item.part == validation.SELECTING]
    reporting = [item for item in items if item.part == validation.REPORTING]
    in_halves = args.select_on is None
    ranked = items if in_halves else reporting
    chosen = (choose(args, selecting) if selecting else {}) | known
    found: dict[str, Any] = {
        "model": args.model,
        "chosen_on": count(selecting),
        "reported_on": count(reporting),
        "ranked_on": count(ranked),
        "split": "half and half" if in_halves else "given",
        "ranks": validation.rank_metrics(*validation.truth_and_scores(ranked)),
        "thresholds": {},
    }
    if labeller is not None and any(item.mask is not None for item in ranked):
        found["pixels"] = measure_pixels(labeller, ranked, args.jobs)
    for name, threshold in chosen.items():
        # Nothing was chosen for what was known before: all pictures can tell how good it is.
        judged = ranked if name in known else reporting
        measured = validation.threshold_metrics(
            *validation.truth_and_scores(judged), threshold.value
        )
        described = {"threshold": threshold.value, "parameter": threshold.parameter}
        found["thresholds"][name] = described | {"reported_on": count(judged)} | measured

    report(args, found)
    write(args, found, items)
    if args.update:
        threshold = chosen[args.rule]
        chosen_on = count(selecting) | {"sha256": digest(selecting)}
        validation.update_threshold(args.model, threshold, chosen_on)
        info(f"{printable(args.model)}: anomalies score above {threshold.value:.4f} from now on")
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE


def load(args: argparse.Namespace, labeller: Labeller) -> tuple[list[Item], int]:
    """The scored pictures, dealt to choosing and reporting; and how many are unreadable."""
    if args.select_on is not None:
        selecting, bad = score(args, labeller, category(args.select_on), [])
        reporting, worse = score(args, labeller, category(args.report_on), selecting)
        parts = ((selecting, validation.SELECTING), (reporting, validation.REPORTING))
        items = [validation.replace(item, part=part) for kept, part in parts for item in kept]
    else:
        if args.dataset is not None:
            folders: Folders = category(args.dataset)
        else:
            folders = (args.normal, [args.anomalous], args.masks)
        kept, bad = score(args, labeller, folders, [])
        items, worse = validation.split_in_half(kept, args.seed), 0
    for part in (validation.SELECTING, validation.REPORTING):
        for is_anomaly, name in ((False, "normal"), (True, "anomalous")):
            n_found = sum(i.part == part and i.is_anomaly == is_anomaly for i in items)
            if n_found < (1 if args.select_on else LEAST // 2):
                verb = "choose a threshold on" if part == validation.SELECTING else "report on"
                raise UserError(f"there are too few different {name} pictures to {verb}: {n_found}")
    return items, bad + worse


def category(folder: str) -> Folders:
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such folder")
    try:
        return mvtec.find_category(folder)
    except mvtec.LayoutError as error:
        raise UserError(f"{printable(folder)}: {error}") from error


def score(
    args: argparse.Namespace, labeller: Labeller, folders: Folders, known: list[Item]
) -> tuple[list[Item], int]:
    """The readable pictures of some folders, each content once, and how many are not."""
    normal, anomalous, masks = folders
    named = []
    for folder, is_anomaly in ((normal, False), *((folder, True) for folder in anomalous)):
        if not os.path.isdir(folder):
            raise UserError(f"{printable(folder)}: no such folder")
        named += [(path, is_anomaly) for path in images.list_images(folder)]
    info(f"scoring {len(named)} pictures...")
    try:
        scored = validation.score_items(labeller, named, args.jobs, known)
        tell(scored.repeated, "equals {}; left out", info)
        tell(scored.unreadable, "{}; left out", warn)
        if masks is None:
            return scored.items, len(scored.unreadable)
        if not os.path.isdir(masks):
            raise UserError(f"{printable(masks)}: no such folder")
        below = anomalous if args.normal is not None else [os.path.dirname(anomalous[0])]
        items, unused = validation.with_masks(scored.items, below, masks)
    except (validation.ContradictionError, mvtec.LayoutError) as error:
        raise UserError(printable(str(error))) from error
    left_out = {path for path, _ in (*scored.repeated, *scored.unreadable)}
    unused = [path for path in unused if not belongs_to(path, left_out)]
    tell([(path, "") for path in unused], "a mask without a picture; left out{}", warn)
    without = sum(item.is_anomaly and item.mask is None for item in items)
    if without:
        n_anomalies = sum(item.is_anomaly for item in items)
        warn(f"{without} of {n_anomalies} anomalies have no mask: their pixels do not count")
    return items, len(scored.unreadable)


def belongs_to(mask: str, pictures: set[str]) -> bool:
    """Whether a mask is of a picture that was left out, so that nobody need look for it."""
    name = os.path.splitext(os.path.basename(mask))[0].removesuffix(mvtec.MASK_SUFFIX)
    return any(os.path.splitext(os.path.basename(path))[0] == name for path in pictures)


def tell(what: list[tuple[str, str]], sentence: str, say: Any) -> None:
    for path, reason in what[:SHOWN_AT_MOST]:
        say(f"{printable(path)}: {sentence.format(printable(reason))}")
    if len(what) > SHOWN_AT_MOST:
        say(f"... and {len(what) - SHOWN_AT_MOST} more")


def load_verdicts(args: argparse.Namespace) -> tuple[list[Item], dict[str, Threshold]]:
    """The pictures with an inspector's verdict, dealt like others, and the thresholds in use."""
    model = model_file.open_model(args.model, model_file.load_model)
    name = printable(args.verdicts)
    try:
        found = inspector_verdicts.read_inspection(args.verdicts)
    except inspector_verdicts.InspectionError as error:
        raise UserError(f"{name}: {printable(str(error))}") from error
    if found.model != model.scores_digest():
        raise UserError(
            f"{name}: these verdicts are of a report of another model than {printable(args.model)}"
        )
    threshold = model_file.open_model(args.model, lambda _: usable_threshold(model))
    known = {validation.MODEL_RULE: as_given(validation.MODEL_RULE, threshold)}
    if found.threshold != threshold:
        info(f"the page judged by {found.threshold:.4f}, the model file says {threshold:.4f}")
        known[validation.PAGE_RULE] = as_given(validation.PAGE_RULE, found.threshold)
    tell_unjudged(found)
    n_of = count(found.items)
    if min(n_of.values()) >= LEAST:
        return validation.split_in_half(found.items, args.seed), known
    few = f"{counted(n_of['anomalous'], 'defect')} and "
    few += counted(n_of["normal"], "fine picture")
    if args.update:
        raise UserError(f"{name}: {few} are too few to choose a threshold; it takes {LEAST} each")
    warn(f"{few} are too few to propose a threshold; it takes {LEAST} each")
    return found.items, known


def usable_threshold(model: model_file.ModelFile) -> float:
    with model_file.usable():
        model.check_kind("images")
        return model.threshold


def tell_unjudged(found: inspector_verdicts.Inspection) -> None:
    """Say what the verdicts leave open."""
    for is_anomaly, label, missed in (
        (False, NORMAL, "what escapes among them is not counted"),
        (True, ANOMALY, "nobody knows which of them are false rejects"),
    ):
        n_unjudged = found.n_without_verdict(is_anomaly)
        if n_unjudged:
            pictures = counted(n_unjudged, "picture")
            warn(f"{pictures} called {label} without a verdict: {missed}")
    if found.counts is None:
        info("CSV does not say how many pictures have no verdict; verdicts as JSON do")


def as_given(rule: str, value: float) -> Threshold:
    return Threshold(rule, None, value)


def choose(args: argparse.Namespace, selecting: list[Item]) -> dict[str, Threshold]:
    """The threshold of each rule."""
    truth, scores = validation.truth_and_scores(selecting)
    chosen = {}
    for rule in validation.RULES:
        try:
            chosen[rule] = validation.choose_threshold(rule, truth, scores, args.false_alarm_rate)
        except thresholds.RateError as error:
            raise UserError(str(error)) from error
    return chosen


def measure_pixels(labeller: Labeller, items: list[Item], jobs: int) -> dict[str, Any]:
    info("comparing heat maps with masks...")
    found = validation.pixel_metrics(labeller, items, jobs)
    tell(found.unusable, "{}; its picture's pixels do not count", warn)
    return {"auroc": found.auroc, "aupro": found.aupro, "pictures": found.n_pictures}


def count(items: list[Item]) -> dict[str, int]:
    n_anomalies = sum(item.is_anomaly for item in items)
    return {"normal": len(items) - n_anomalies, "anomalous": n_anomalies}


def digest(items: list[Item]) -> str:
    import hashlib

    return hashlib.sha256(b"".join(sorted(item.digest for item in items))).hexdigest()


def report(args: argparse.Namespace, found: dict[str, Any]) -> None:
    for what, verb in (("chosen_on", "thresholds chosen on"), ("reported_on", "reported on")):
        info(f"{verb} {found[what]['normal']} normal, {found[what]['anomalous']} anomalous")
    for rule, measured in found["thresholds"].items():
        mark = "*" if rule == args.rule else " "
        info(
            f"{mark} {rule} {measured['threshold']:.4f}: "
            f"recall {measured['recall'].value:.3f}, "
            f"escapes {measured['escape_rate'].value:.3f}, "
            f"false rejects {measured['false_reject_rate'].value:.3f}, "
            f"precision {measured['precision'].value:.3f}, F1 {measured['f1'].value:.3f}"
        )
    rule = args.rule if args.rule in found["thresholds"] else validation.MODEL_RULE
    best = found["thresholds"][rule]
    info(f"confusion with {rule}:  called normal  called anomaly")
    info(f"  normal    {best['true_negatives']:>13}  {best['false_positives']:>14}")
    info(f"  anomalous {best['false_negatives']:>13}  {best['true_positives']:>14}")
    sys.stdout.write(table(found))


def table(found: dict[str, Any]) -> str:
    """The metrics as CSV."""
    lines: list[tuple[str, str, Any]] = [(name, "", v) for name, v in found["ranks"].items()]
    lines += [
        (f"pixel_{name}" if name == "auroc" else name, "", value)
        for name, value in found.get("pixels", {}).items()
        if name != "pictures"
    ]
    for rule, measured in found["thresholds"].items():
        lines += [
            (name, rule, value)
            for name, value in measured.items()
            if name not in ("parameter", "reported_on")
        ]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, rule, value in lines:
        if isinstance(value, metrics.Estimate):
            numbers = [value.value, value.low, value.high]
        else:
            numbers = [value]
        texts = ["" if math.isnan(n) else f"{n:.6g}" for n in numbers]
        writer.writerow([name, rule, *texts, *[""] * (3 - len(texts))])
    return buffer.getvalue()


def write(args: argparse.Namespace, found: dict[str, Any], items: list[Item]) -> None:
    outputs: dict[str, bytes] = {}
    if args.csv is not None:
        outputs[args.csv] = table(found).encode()
    if args.json is not None:
        text = json.dumps(as_json(found), indent=2, allow_nan=False) + "\n"
        outputs[args.json] = text.encode()
    if args.scores is not None:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(("image", "truth", "part", "score"))
        for item in items:
            truth = "anomaly" if item.is_anomaly else "normal"
            writer.writerow((printable(item.path), truth, item.part, f"{item.score:.6g}"))
        outputs[args.scores] = buffer.getvalue().encode()
    if args.plot is not None:
        truth, scores = validation.truth_and_scores(items)
        marked = {name: m["threshold"] for name, m in found["thresholds"].items()}
        outputs[args.plot] = plots.plot_histogram(
            scores[~truth], scores[truth], marked, "Scores of pictures whose truth is known"
        )
    for path, content in outputs.items():
        with atomic_files.atomic_write(path) as file:
            file.write(content)
        info(f"{printable(path)} written")


def as_json(value: Any) -> Any:
    """Estimates as objects; what is undefined as null."""
    if isinstance(value, metrics.Estimate):
        return {"value": as_json(value.value), "low": value.low, "high": value.high}
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


if __name__ == "__main__":
    run(main)
