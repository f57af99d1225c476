"""What does not know of images: messages, files, threads, processes and clusters."""
