"""A whole station: parts that are sent to a server, a broker and a receiver that are told of some.

``python -m tests.system.station --help`` says how to run it.
"""

import sys
from pathlib import Path

# The tests' helpers import each other from there.
sys.path.insert(0, str(Path(__file__).parents[2]))
