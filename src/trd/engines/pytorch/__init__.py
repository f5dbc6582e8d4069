"""PyTorch on CPUs and GPUs: frozen copies, oneDNN operators, precision."""
