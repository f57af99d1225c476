"""Detectors of images: of whole ones, and of the patches of one."""
