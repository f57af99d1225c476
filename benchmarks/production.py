"""The denoising autoencoder on real parts, compared with the plain one and principal components.

  python -m benchmarks.production [--write docs/benchmarks.md] [--only casting]

Each model is trained on good parts alone and evaluated by ``generate_validation_metrics.py`` on the
test images: AUROC of images and pixels and AUPRO, which need no threshold, and recall and false
rejects at the threshold of the best F1, chosen on one half and reported on the other. Then the
speed and memory of ``generate_data.py defects``.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks.measure import (
    DATA,
    machine,
    measured_parser,
    needs_real_data,
    run_python,
    write_into,
)

CATEGORIES = {
    "casting": "casting/impeller",
    "bottle": "mvtec_ad/bottle",
    "cookie": "aws_cookies/cookie",
}
ARCHITECTURES = {"denoising": "denoising", "plain": "conv", "components": "pca"}
N_BACKGROUNDS, N_SAMPLES = 400, 5


def measure(category: Path, architecture: str, folder: Path) -> dict:
    model, metrics = folder / "m.model", folder / "m.json"
    started = time.monotonic()
    usage = run_python(
        *("train_autoencoder.py", "-d", category / "train" / "good", "-m", model),
        *("-a", architecture, "-v", folder / "v.png", "-p", folder / "p.png"),
    )
    wall = time.monotonic() - started
    run_python("generate_validation_metrics.py", "-m", model, "-d", category, "--json", metrics)
    return json.loads(metrics.read_text()) | {
        "cpu": usage.cpu,
        "memory": usage.memory,
        "wall": wall,
    }


def quality_table(only: str | None) -> list[str]:
    lines = [
        "| parts | model | image AUROC | pixel AUROC | AUPRO | recall | false rejects "
        "| training: CPU, memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, folder_name in CATEGORIES.items():
        if only not in (None, name):
            continue
        for title, architecture in ARCHITECTURES.items():
            with tempfile.TemporaryDirectory() as folder:
                found = measure(DATA / folder_name, architecture, Path(folder))
            pixels = found.get("pixels")
            auroc, rates = found["ranks"]["auroc"], found["thresholds"]["f1"]
            cells = [
                f"{auroc['value']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})",
                *(f"{pixels[key]:.3f}" if pixels else "-" for key in ("auroc", "aupro")),
                *(f"{rates[key]['value']:.3f}" for key in ("recall", "false_reject_rate")),
                f"{found['cpu']:.0f} s, {found['memory']:.0f} MB",
            ]
            lines.append(f"| {name} | {title} | {' | '.join(cells)} |")
            print(f"[INFO] {lines[-1]} wall {found['wall']:.0f} s", flush=True)
    return lines


def speed_table() -> list[str]:
    """Synthetic defects on rendered parts of 256 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder) / "parts"
        run_python(
            *("generate_data.py", "parts", "-o", parts, "--count", N_BACKGROUNDS),
            *("--test-count", 0),
        )
        rows = []
        for n_samples in (1, N_SAMPLES):
            started = time.monotonic()
            usage = run_python(
                *("generate_data.py", "defects", "-b", parts / "train" / "good"),
                *("-o", Path(folder) / "noisy", "--n-samples", n_samples, "--n-objects", 3),
            )
            n_images = N_BACKGROUNDS * n_samples
            wall = time.monotonic() - started
            rows.append(
                f"| {n_images:,} | {n_images / wall:.0f} "
                f"| {1000 * usage.cpu / n_images:.1f} ms | {usage.memory:.0f} MB |"
            )
    return [
        "| images with defects, 256 px | per second | CPU each | memory |",
        "|---|---|---|---|",
        *rows,
    ]


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument(
        "--only", choices=[*CATEGORIES, "speed"], help="one category, or the speed alone"
    )
    args = ap.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.only != "speed":
        needs_real_data()
    lines = [f"Measured on {machine()}.", ""]
    if args.only != "speed":
        lines += [*quality_table(args.only), ""]
    if args.only in (None, "speed"):
        lines += [*speed_table(), ""]
    table = "\n".join(lines)
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.production", table)


if __name__ == "__main__":
    main()
