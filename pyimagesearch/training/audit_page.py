"""The page of the strangest training images, to throw out by hand what should not be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyimagesearch.backbones.network import external_network
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports.html_page import ImagePage
from pyimagesearch.reports.thumbnails import label_and_write_thumbnails
from pyimagesearch.runtime.console import counted
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.images import ImageFit

# The page outlines more than a model finds: what is to be judged is what is strange.
_RATE = 0.05


def write_audit_page(
    path: str, model: str, learned: ImageFit, jobs: int, backbone: str | None = None
) -> None:
    """Write the page: the images that were left out and those that were learned.

    Each has its score by a detector that had not seen it, and its anomaly map.

    Args:
        path: of the HTML file.
        model: the model file that was written.
        learned: what it was made of.
        jobs: number of threads.
        backbone: the ONNX file, where the model does not contain it.

    Raises:
        OSError: it cannot be written.
    """
    external = None if backbone is None else external_network(backbone)
    opened = model_file.open_model(model, model_file.load_model)
    labeller = Labeller.from_model(opened, external)
    usual_rate = max(_RATE, thresholds.best_rate(len(learned.calibration)))
    usual = thresholds.score_for_rate(learned.calibration, usual_rate)
    labeller = labeller.with_threshold(min(labeller.threshold, usual))
    if (groups := labeller.groups) is not None:
        rates = (
            max(_RATE, thresholds.best_rate(len(g.calibration))) for g in groups.members.values()
        )
        known = zip(groups.members.values(), rates, strict=True)
        low = [min(g.threshold, thresholds.score_for_rate(g.calibration, r)) for g, r in known]
        labeller = replace(labeller, groups=groups.with_thresholds(low))
    detector_of = {name: detector for detector, names in learned.of_folds for name in names}

    def make(paths: Sequence[str], folder: str, explain: bool) -> None:
        groups = [(labeller, [name for name in paths if name not in detector_of])]
        for detector, names in learned.of_folds:
            shown = set(names)
            groups.append((replace(labeller, detector=detector), [n for n in paths if n in shown]))

        def write(group: tuple[Labeller, list[str]]) -> None:
            label_and_write_thumbnails(*group, folder, explain)

        for _ in ordered_map(write, groups, jobs):
            pass

    page = ImagePage(path)
    with page:
        for verdict in labeller.label(learned.uncalibrated, jobs):
            page.add(verdict)
        for verdict in _of_learned(labeller, learned):
            page.add(verdict)
        page.write_for(model, labeller, [_notice(learned)], make, labeller.sha256)


def _of_learned(labeller: Labeller, learned: ImageFit) -> list[Verdict]:
    scores = learned.calibration[-len(learned.names) :]
    found = []
    for name, score in zip(learned.names, scores, strict=True):
        judge = labeller.for_image(name)
        p_value = float(thresholds.p_values(score, judge.calibration))
        label = ANOMALY if score > judge.threshold else NORMAL
        found.append(Verdict(name, label, float(score), p_value))
    return found


def _notice(learned: ImageFit) -> str:
    n_left_out = len(learned.left_out)
    without = f", which the model has learned without {counted(n_left_out, 'strange one')}"
    return (
        "These are images of the training folder, each judged by a detector that had not seen it"
        f"{without if n_left_out else ''}. Call a defect what should not be learned and fine what "
        "should, save the verdicts, and train again with --exclude and their file"
    )
