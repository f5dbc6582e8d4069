"""Where parts come from besides HTTP: a watched folder, a replay of recorded parts, a camera."""
