"""Learn what normal photos look like, or how a series normally goes, and write a model file.

The same as ``anomaly train`` of an installed package, and in
``pyimagesearch/cli/commands/train.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("train")

if __name__ == "__main__":
    command_line.run("train")
