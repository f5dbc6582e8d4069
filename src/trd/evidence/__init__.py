"""What is learned from good parts; a folder each, and a line in `trd.registry`. `base` says what one has to offer."""
