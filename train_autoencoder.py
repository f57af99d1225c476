"""Learn to reconstruct normal images, or windows of a series, even if a few anomalies are there.

The same as ``anomaly train-autoencoder`` of an installed package, and in
``pyimagesearch/cli/commands/train_autoencoder.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("train-autoencoder")

if __name__ == "__main__":
    command_line.run("train-autoencoder")
