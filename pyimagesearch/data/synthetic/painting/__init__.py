"""Paint outdoor scenes with NumPy and OpenCV: the brushes, and a painter for each kind."""
