"""Tuned reverse distillation: network/, the maps made of its output, and its training."""
