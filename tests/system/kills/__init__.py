"""Kills of the scripts at random moments, and a look at what the next run makes of what is left.

``python -m tests.system.kills --help`` says how to run them; ``commands`` lists what is killed.
"""

import sys
from pathlib import Path

# The tests' helpers import each other from there.
sys.path.insert(0, str(Path(__file__).parents[2]))
