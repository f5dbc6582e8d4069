"""What is learned from good parts; a folder and a registry line each. `base` says what one has to offer."""
