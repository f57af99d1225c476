"""Measurements of the toolkit and its peers, which print every figure in the documentation."""
