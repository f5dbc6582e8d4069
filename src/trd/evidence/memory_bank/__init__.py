"""Distance from the nearest feature of good parts: PatchCore (Roth et al., CVPR 2022), one bank per modality."""
