"""Measure a model on images whose truth is known, and choose a threshold on them.

The same as ``anomaly validate`` of an installed package, and in
``pyimagesearch/cli/commands/validate.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("validate")

if __name__ == "__main__":
    command_line.run("validate")
