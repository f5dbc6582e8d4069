"""After the raw maps: z-scores, region, smoothing, fusion, calibration, thresholds, p-values. Needs no torch."""
