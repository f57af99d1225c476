"""Verdicts of an inspector, as a report's page saves them."""

import csv
import io

from pyimagesearch.labelling import inspector_verdicts

COUNTS = {"normal": 64, "anomaly": 33, "unreadable": 1}


def saved(model, verdicts, **changed):
    """The file that a page saves: (name, score, verdict) of each picture."""
    rows = [
        {
            "image": name,
            "label": "anomaly" if score > model.threshold else "normal",
            "score": score,
            "p_value": 0.5,
            "verdict": verdict,
        }
        for name, score, verdict in verdicts
    ]
    return {
        "format": inspector_verdicts.FORMAT,
        "format_version": 1,
        "model": model.scores_digest(),
        "threshold": model.threshold,
        "counts": COUNTS,
        "verdicts": rows,
    } | changed


def as_csv(found):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, inspector_verdicts.COLUMNS)
    writer.writeheader()
    for row in found["verdicts"]:
        writer.writerow(row | {"threshold": found["threshold"], "model": found["model"]})
    return buffer.getvalue()


def verdicts_around(threshold):
    """21 defects of which 7 escaped, and 35 fine ones of which 14 are false rejects."""
    apart = (("defect", (0.1, 0.2, -0.05)), ("fine", (0.03, 0.05, -0.1, -0.2, -0.3)))
    return [
        (f"{v}_{i}_{n}.jpg", threshold + d + n / 1000, v)
        for v, ds in apart
        for i, d in enumerate(ds)
        for n in range(7)
    ]
