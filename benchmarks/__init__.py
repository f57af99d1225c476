"""Measurements beside the peers; every figure in the docs was printed by one of these."""
