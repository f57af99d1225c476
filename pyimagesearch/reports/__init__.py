"""What a run leaves to be read: rows, drawings, plots and HTML pages."""
