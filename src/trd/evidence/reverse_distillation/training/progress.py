"""Progress of a whole training run: epochs, rate, loss, time left."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from trd.progress import step

PLAIN_INTERVAL = 30.0  # seconds between lines where the output is no terminal


class TrainingProgress(ProgressBar):
    """One bar over all epochs on a terminal, a line every half minute elsewhere; rate in samples per second."""

    def __init__(self, console: Console, title: str, samples: int) -> None:
        super().__init__()
        self._console = console
        self._title = title
        self._samples = samples
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._begin = self._last_line = 0.0
        self._first_epoch = 0

    def disable(self) -> None:
        """Lightning asks this of ranks above 0."""
        self._console.quiet = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin = self._last_line = time.monotonic()
        self._first_epoch = trainer.current_epoch
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("epochs  {task.fields[status]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                escape(self._title), total=trainer.max_epochs, completed=trainer.current_epoch, status=""
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.current_epoch + 1
        elapsed = max(time.monotonic() - self._begin, 1e-9)
        rate = (done - self._first_epoch) * self._samples / elapsed
        loss = float(trainer.callback_metrics.get("loss", float("nan")))
        status = f"{rate:.1f} samples/s  loss {loss:.3f}"
        step(self._title, done, trainer.max_epochs or done)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, status=status)
        elif time.monotonic() - self._last_line > PLAIN_INTERVAL or done == trainer.max_epochs:
            self._last_line = time.monotonic()
            left = ((trainer.max_epochs or done) - done) * elapsed / (done - self._first_epoch)
            line = f"{self._title}: epoch {done}/{trainer.max_epochs}  {status}  {left:.0f} s left"
            self._console.print(line, markup=False)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def get_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {}
