"""Label images that are sent over HTTP.

The same as ``anomaly serve`` of an installed package, and in
``pyimagesearch/cli/commands/serve.py``.
"""

from pyimagesearch.cli import command_line

main = command_line.main_of("serve")

if __name__ == "__main__":
    command_line.run("serve")
