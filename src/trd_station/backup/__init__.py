"""A station in one archive, written while it runs, and a station made of it anywhere."""
