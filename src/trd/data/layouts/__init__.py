"""Data sets as downloaded, and a user's own folders: one module for each manner in which parts lie on disk."""
