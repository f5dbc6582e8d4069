"""Who computes a method's raw maps: PyTorch today (eager, with oneDNN's one-call operators, compiled)."""
