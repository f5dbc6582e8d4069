"""Does what one modality shows agree with the others? Crossmodal feature mapping (Costanzino et al., CVPR 2024)."""
