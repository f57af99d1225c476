"""Make data: painted scenes and parts, defects and their masks, and series."""
