"""Who computes a method's raw maps: PyTorch, or ONNX Runtime and OpenVINO for exported graphs."""
