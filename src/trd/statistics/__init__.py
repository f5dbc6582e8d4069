"""Statistics of few parts: exact intervals, resampling, conformal thresholds. Needs no torch."""
