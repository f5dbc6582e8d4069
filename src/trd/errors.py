"""The one exception type for mistakes that the user can mend."""

from __future__ import annotations


class TRDError(Exception):
    """Something outside the code is wrong: a file, an option, a recipe, a checkpoint.

    The message says what was found, where, what was expected and what to do; the command line prints it without a
    traceback and exits with code 2. Programming mistakes raise ordinary exceptions instead.
    """


class DataError(TRDError):
    """A data folder or file is missing, unreadable, or holds something that cannot be used."""


class DamagedFileError(DataError):
    """A decoder cannot read a file: it is damaged, of another format, or not written to its end yet."""


class RecipeError(TRDError):
    """A recipe has an unknown key, contradicting values, or does not fit the data."""


class CheckpointError(TRDError):
    """A run folder or checkpoint is truncated, from another recipe, or from a newer version."""


class OutputError(TRDError):
    """A result could not be written (disk full, no permission); nothing half-written was left behind."""


class MissingExtraError(TRDError):
    """A package is not installed that comes with an extra of trd-anomaly; `trd.extras` makes these."""
