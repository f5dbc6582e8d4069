"""Trained detector -> package: graphs, their calibration, and the proof that they decide alike."""
