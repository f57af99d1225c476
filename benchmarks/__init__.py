"""Measurements beside the peers; every figure in the README was printed by one of these."""
