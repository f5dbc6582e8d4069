"""Who computes graphs: PyTorch, ONNX Runtime, OpenVINO. `graphs` is what they compute."""
