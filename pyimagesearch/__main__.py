"""``python -m pyimagesearch`` is the command ``anomaly``."""

from pyimagesearch.cli import command_line

if __name__ == "__main__":
    command_line.main()
