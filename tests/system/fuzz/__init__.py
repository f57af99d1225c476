"""Attacks on everything that is read: files that were changed at random, and in their structure.

Each case is made from a seed and a number alone, and run in a process of its own kind, which it may
bring down. ``python -m tests.system.fuzz --help`` says how to run them; ``targets`` lists what is
attacked, a file each.
"""

import sys
from pathlib import Path

# The tests' helpers import each other from there.
sys.path.insert(0, str(Path(__file__).parents[2]))
