"""Fit detectors, calibrate their thresholds, and put both into a model file."""
