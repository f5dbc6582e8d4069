"""Alembic's steps from version to version of the tables."""
