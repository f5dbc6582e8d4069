"""What all commands share: the application, consoles, options, and how an interruption ends."""

from __future__ import annotations

import io
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trd import processes
from trd.errors import RecipeError

app = typer.Typer(
    help="Find defects in colour and in 3D, trained on good parts only.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
# no markup: paths and names may hold [brackets]
console = Console(quiet=processes.rank() > 0, markup=False)
errors = Console(stderr=True, markup=False)

DataOption = Annotated[Path, typer.Option("--data", help="Folder of one class or of several classes.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Name of a shipped recipe, or a TOML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. training.epochs=20. Repeatable.")]
ClassesOption = Annotated[str | None, typer.Option("--classes", help="Comma-separated; all by default.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
WithoutOption = Annotated[
    str,
    typer.Option("--without", help="A source that is missing, e.g. xyz: its fallback detector decides."),
]


class _ToConsole(logging.Handler):
    """What the package logs, one line each: warnings to the error output."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            errors.print(f"warning: {record.getMessage()}", style="yellow", markup=False, highlight=False)
        else:
            console.print(record.getMessage(), markup=False, highlight=False)


@app.callback()
def _begin(context: typer.Context) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may hold what the console's encoding lacks, or are no text
            stream.reconfigure(errors="backslashreplace")
    log = logging.getLogger("trd")
    if not any(isinstance(handler, _ToConsole) for handler in log.handlers):
        log.addHandler(_ToConsole())
        log.setLevel(logging.INFO)
    if processes.count() > 1 and context.invoked_subcommand != "train":
        raise RecipeError(
            f"torchrun started {processes.count()} processes: only `trd train` works with several. Start trd itself; "
            "several classes at once are `trd reproduce --executor ray`"
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends in a hint and the usual exit code."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print(
            "interrupted; the same command goes on from the last checkpoint, if there was one yet (one every "
            "training.checkpoint_every epochs)"
        )
        raise typer.Exit(130) from None


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that it can say what is done."""

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():  # only the main one may take signals
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def names(classes: str | None) -> list[str] | None:
    return None if classes is None else [name.strip() for name in classes.split(",") if name.strip()]


def shown(path: Path) -> str:
    """A path as text that every terminal takes: names may hold bytes that are no text."""
    return str(path).encode("utf-8", "backslashreplace").decode()
