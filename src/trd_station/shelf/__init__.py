"""The models of each class: found, loaded, tested, serving, and the one before kept warm."""
