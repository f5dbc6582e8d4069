"""Lightning's loggers by name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from trd.extras import missing


def logger(name: str, folder: Path, title: str) -> Logger:
    """csv and tensorboard write into `folder`/logs; mlflow and wandb go where their own environment variables say
    (MLFLOW_TRACKING_URI, WANDB_MODE, ...), by default into `folder`/logs as well.

    Raises MissingExtraError where a logger's package is not installed.
    """
    if name == "csv":
        return CSVLogger(folder, "logs", version="")
    if name == "tensorboard":
        return TensorBoardLogger(folder, "logs", version="")
    try:
        if name == "mlflow":
            (folder / "logs").mkdir(parents=True, exist_ok=True)  # its database is no folder's first file
            place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / 'logs/mlflow.db'}"
            return MLFlowLogger(experiment_name="trd", run_name=title, tracking_uri=place)
        return WandbLogger(project="trd", name=title, save_dir=folder / "logs")
    except ModuleNotFoundError as error:
        raise missing(f"'{name}' in training.loggers", name, name) from error  # Lightning's error names none


@contextmanager
def errors_logged_once() -> Iterator[None]:
    """TensorBoard's writing thread keeps a full disk's error for who logs next; Python would also print a traceback."""
    before = threading.excepthook

    def hook(caught: threading.ExceptHookArgs) -> None:
        if not (isinstance(caught.exc_value, OSError) and getattr(caught.thread, "exception", None)):
            before(caught)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
