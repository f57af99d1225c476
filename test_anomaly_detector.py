"""Label images as normal or anomaly with a trained model.

The same as ``anomaly test`` of an installed package, and in
``pyimagesearch/cli/commands/test.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("test")

if __name__ == "__main__":
    command_line.run("test")
