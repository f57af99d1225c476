"""Go through a dataset with a trained model and bring out the anomalies, strangest first.

The same as ``anomaly find`` of an installed package, and in
``pyimagesearch/cli/commands/find.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("find")

if __name__ == "__main__":
    command_line.run("find")
