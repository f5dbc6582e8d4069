"""Plain patch statistics of the prepared images, without a network: what is usual for such a place on good parts.

Features learned for naming objects do not see a faint wide tint, a worn print or a slow warp; the colour's and the
slope's own bands do.
"""
