"""The command `trd`: parse, call, print. A file per family of commands.

Packages beside this one add theirs: an entry point of the group `trd.commands` names a module that adds them to `app`.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from trd.cli import deployment, information, learning, prediction, training
from trd.cli.app import app, errors
from trd.errors import TRDError

__all__ = ["app", "deployment", "information", "learning", "main", "prediction", "training"]

for _commands in entry_points(group="trd.commands"):
    _commands.load()


def main() -> None:
    """Entry point: a TRDError is one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except TRDError as error:
        errors.print("error: ", end="", style="bold red")
        errors.print(str(error), markup=False, highlight=False)
        raise SystemExit(2) from None
