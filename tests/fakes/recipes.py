"""Recipes that every test can afford."""

TINY = (
    "frame.size=64",
    "student.blocks=[1, 1, 1]",
    "training.epochs=2",
    "training.batch_size=2",
    "precision=fp32",
    "training.checkpoint_every=1",
    "scoring.stand_ins=false",  # seconds for each training; tests/training/test_stand_ins.py has them
)
