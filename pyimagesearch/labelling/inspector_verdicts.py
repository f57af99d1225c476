"""What an inspector found: the verdicts that a report's page saves."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
from dataclasses import dataclass
from typing import Any

from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.ground_truth import Counts, Item, split_in_half
from pyimagesearch.labelling.image_groups import GROUPS, refuse_groups
from pyimagesearch.labelling.validation import MODEL_RULE, PAGE_RULE
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.runtime.input_files import open_input

# Images of each kind that a threshold takes: it is chosen on half of them, and where it is right
# about ten of ten on the other half, at most 28% of others are wrong (``wilson_interval``).
LEAST = 20
DEFECT, FINE = "defect", "fine"
FORMAT = "pyimagesearch verdicts"
FORMAT_VERSION = 1
COLUMNS = ("image", "label", "score", "p_value", "verdict", "threshold", "model")
NOTES = ("class", "comment", "inspector", "date")  # which no number depends on
CSV_COLUMNS = (*COLUMNS[:5], *NOTES, *COLUMNS[5:])
# A page lists 50,000 images; of the smallest rows a file of so many bytes becomes 1 GB in memory.
MOST_VERDICTS = 100_000
MAX_BYTES = 32 * 1024**2


class InspectionError(ValueError):
    """A file that holds no usable verdicts; the text says why, without the file's name."""


@dataclass(frozen=True)
class Inspection:
    """Verdicts of an inspector on images that a model had scored.

    Attributes:
        items: the images with a verdict; a name stands for the content.
        model: ``ModelFile.scores_digest`` of the model that scored.
        threshold: above which the page called an image an anomaly.
        counts: of the labels of all images of the run; None where the file does not say.
        classes: of defects that have one, by the image's name.
    """

    items: list[Item]
    model: str
    threshold: float
    counts: dict[str, int] | None
    classes: dict[str, str]

    def n_without_verdict(self, is_anomaly: bool) -> int | None:
        """How many images that the page called so have no verdict; None where unknown."""
        if self.counts is None:
            return None
        called = sum((item.score > self.threshold) == is_anomaly for item in self.items)
        return self.counts[ANOMALY if is_anomaly else NORMAL] - called


def load_verdicts(
    path: str, model_path: str, *, seed: int, to_choose: bool
) -> tuple[list[Item], dict[str, float]]:
    """Read the verdicts on the images that a model scored, and report what they leave open.

    Args:
        path: file of the verdicts.
        model_path: of the model file.
        seed: of the division between selecting a threshold and reporting.
        to_choose: refuse verdicts that are too few to choose a threshold on.

    Returns:
        The images with a verdict, all of them for reporting where they are too few; and the
        thresholds in use, by name.

    Raises:
        UserError: the verdicts or the model cannot be used, or do not belong to each other.
        OSError: a file cannot be read.
    """
    model = model_file.open_model(model_path, model_file.load_model)
    refuse_groups(model.manifest.get(GROUPS), model_path)
    name = printable(path)
    try:
        found = read_inspection(path)
    except InspectionError as error:
        raise UserError(f"{name}: {printable(str(error))}") from error
    if found.model != model.scores_digest():
        raise UserError(
            f"{name}: these verdicts are of a report of another model than {printable(model_path)}"
        )
    threshold = model_file.open_model(model_path, lambda _: _threshold_of(model))
    known = {MODEL_RULE: threshold}
    if found.threshold != threshold:
        info(f"the page judged by {found.threshold:.4f}, the model file says {threshold:.4f}")
        known[PAGE_RULE] = found.threshold
    _report_unjudged(found)
    _report_classes(found, threshold)
    counts = Counts.from_items(found.items)
    if min(counts.normal, counts.anomalous) >= LEAST:
        return split_in_half(found.items, seed), known
    few = f"{counted(counts.anomalous, 'defect')} and {counted(counts.normal, 'fine image')}"
    if to_choose:
        raise UserError(
            f"{name}: {few} are too few to choose a threshold, which stays at {threshold:.4f}; it "
            f"takes {LEAST} of each"
        )
    warn(f"{few} are too few to propose a threshold; it takes {LEAST} of each")
    return found.items, known


def _threshold_of(model: model_file.ModelFile) -> float:
    with model_file.usable():
        model.check_kind("images")
        return model.threshold


def _report_unjudged(found: Inspection) -> None:
    for is_anomaly, label, missed in (
        (False, NORMAL, "escapes (false negatives) among them are not counted"),
        (True, ANOMALY, "false rejects (false positives) among them are not counted"),
    ):
        if n_unjudged := found.n_without_verdict(is_anomaly):
            warn(f"{counted(n_unjudged, 'image')} called {label} without a verdict: {missed}")
    if found.counts is None:
        info("CSV does not say how many images have no verdict; verdicts as JSON do")


def _report_classes(found: Inspection, threshold: float) -> None:
    scores: dict[str, list[float]] = {}
    for item in found.items:
        if item.path in found.classes:
            scores.setdefault(found.classes[item.path], []).append(item.score)
    for kind, of_kind in sorted(scores.items()):
        n_escapes = sum(score <= threshold for score in of_kind)
        info(f"{printable(kind)}: {n_escapes:,} of {counted(len(of_kind), 'defect')} escape")


def read_inspection(path: str) -> Inspection:
    """Read verdicts as a page saves them, as JSON or CSV.

    Raises:
        InspectionError: they are no such verdicts, or contradict themselves or each other.
        OSError: the file cannot be read.
    """
    with open_input(path) as file:
        return parse_inspection(file.read(MAX_BYTES + 1))


def parse_inspection(data: bytes) -> Inspection:
    """Read verdicts from the bytes of a file: see ``read_inspection``."""
    if len(data) > MAX_BYTES:
        raise InspectionError(f"it has more than {MAX_BYTES // 1024**2} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InspectionError("it is neither JSON nor CSV of a report's verdicts") from error
    if text.lstrip()[:1] in ("{", "["):
        rows, model, threshold, counts = _from_json(text)
    else:
        rows, model, threshold, counts = _from_csv(text)
    if len(rows) > MOST_VERDICTS:
        raise InspectionError(f"it has more than {MOST_VERDICTS:,} verdicts")
    items, classes = _items(rows, threshold)
    if not items:
        raise InspectionError("it holds no verdict: record some on the page, and save them again")
    found = Inspection(items, model, threshold, counts, classes)
    if counts is not None and min(map(found.n_without_verdict, (False, True))) < 0:
        raise InspectionError("it has verdicts on more images than it says there were")
    return found


def _from_json(text: str) -> tuple[list[dict[str, Any]], str, float, dict[str, int] | None]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InspectionError(f"it is not valid JSON ({error})") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InspectionError("it is JSON, but not of a report's verdicts")
    if found.get("format_version") != FORMAT_VERSION:
        raise InspectionError(
            f"its format version is {found.get('format_version')!r}, and this program reads "
            f"{FORMAT_VERSION}"
        )
    rows, counts = found.get("verdicts"), found.get("counts")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InspectionError("its verdicts are not a list of rows")
    if not isinstance(counts, dict) or not all(
        type(counts.get(label)) is int and counts[label] >= 0 for label in (NORMAL, ANOMALY)
    ):
        raise InspectionError("it does not say how many images there were")
    return rows, _text(found.get("model"), "model"), _number(found, "threshold", ""), counts


def _from_csv(text: str) -> tuple[list[dict[str, Any]], str, float, None]:
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise InspectionError(
                f"it is not CSV of a report's verdicts: there is no column {missing[0]!r}"
            )
        rows = list(itertools.islice(table, MOST_VERDICTS + 1))
    except csv.Error as error:
        raise InspectionError(f"it is not valid CSV ({error})") from error
    for name in ("model", "threshold"):
        if len({row[name] for row in rows}) > 1:
            raise InspectionError(f"it mixes verdicts of reports that differ in their {name}")
    first: dict[str, Any] = rows[0] if rows else {"model": "", "threshold": 0}
    return rows, _text(first["model"], "model"), _number(first, "threshold", ""), None


def _items(rows: list[dict[str, Any]], threshold: float) -> tuple[list[Item], dict[str, str]]:
    """The images with a verdict, and the classes of defects."""
    items: dict[str, Item] = {}
    classes: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        where = f"verdict {number}: "
        name = _text(row.get("image"), f"{where}image")
        verdict, label = row.get("verdict"), row.get("label")
        if verdict == "":  # a comment alone
            continue
        if verdict not in (DEFECT, FINE):
            raise InspectionError(f"{where}{verdict!r} is neither {DEFECT!r} nor {FINE!r}")
        score = _number(row, "score", where)
        if label != (ANOMALY if score > threshold else NORMAL):
            raise InspectionError(
                f"{where}the label {label!r} does not follow from the score {score:g} and the "
                f"threshold {threshold:g}"
            )
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        item = Item(name, verdict == DEFECT, digest, score)
        if items.setdefault(name, item) != item:
            raise InspectionError(f"{where}there is another verdict on the same image")
        if verdict == DEFECT and (kind := row.get("class")):
            classes[name] = _text(kind, f"{where}class")
    return list(items.values()), classes


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InspectionError(f"{what} is {value!r}, which is not text")
    return value


def _number(row: dict[str, Any], name: str, where: str) -> float:
    try:
        value = float(row.get(name))
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or isinstance(row.get(name), bool):
        raise InspectionError(f"{where}its {name} is {row.get(name)!r}, which is not a number")
    return value
