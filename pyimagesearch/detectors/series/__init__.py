"""Detectors of series: of windows that are compared, and of rows as they come."""
