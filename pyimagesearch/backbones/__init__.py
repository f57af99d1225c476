"""Features of patches: pretrained networks as ONNX graphs, and colours without a network."""
