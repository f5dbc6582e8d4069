"""Exported detectors: one file for the machine at the line, which needs no torch."""
