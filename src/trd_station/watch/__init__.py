"""Drift of sensors and scores: what is measured of each part, and a sequential test of each measure."""
