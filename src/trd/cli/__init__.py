"""The command `trd`: parse, call, print. A file per family of commands."""

from __future__ import annotations

from trd.cli import comparison, deployment, information, prediction, station, training
from trd.cli.app import app, errors
from trd.errors import TRDError

__all__ = ["app", "comparison", "deployment", "information", "main", "prediction", "station", "training"]


def main() -> None:
    """Entry point: a TRDError is one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except TRDError as error:
        errors.print("error: ", end="", style="bold red")
        errors.print(str(error), markup=False, highlight=False)
        raise SystemExit(2) from None
