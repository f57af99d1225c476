"""Render the data that the examples work with, and add defects to images of good parts.

The same as ``anomaly generate`` of an installed package, and in
``pyimagesearch/cli/commands/generate.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("generate")

if __name__ == "__main__":
    command_line.run("generate")
