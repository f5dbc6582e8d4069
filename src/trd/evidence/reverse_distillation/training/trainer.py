"""The training loop, which is Lightning's: devices, precision, checkpoints, loggers, Ctrl-C."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch.utils.data import DataLoader

from trd import processes
from trd.config import Recipe
from trd.engines.pytorch.precision import resolve_precision
from trd.errors import OutputError, TRDError
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import section
from trd.evidence.reverse_distillation.training.checkpoint import SafetensorsIO, read_epoch, read_state
from trd.evidence.reverse_distillation.training.features import teacher_features
from trd.evidence.reverse_distillation.training.loggers import errors_logged_once, logger
from trd.evidence.reverse_distillation.training.module import TrainingModule
from trd.evidence.reverse_distillation.training.progress import TrainingProgress
from trd.evidence.reverse_distillation.training.sampling import EpochShuffle, ShareOfBatches
from trd.preprocess.parts import PreparedParts
from trd.teachers.frozen import FrozenTeacher
from trd.types import PreparedSample

CHECKPOINT = "checkpoints/last.safetensors"


def train_network(
    network: TunedReverseDistillation,
    teacher: FrozenTeacher,
    training: PreparedParts,
    recipe: Recipe,
    out: Path,
    console: Console,
    title: str,
) -> None:
    """Run the epochs that are still to be done; `network` holds the last epoch's weights afterwards.

    Raises TRDError where training diverges or the GPU's memory is full, OutputError where `out` cannot be written,
    KeyboardInterrupt after Ctrl-C with the last checkpoint kept.
    """
    config = section(recipe).training
    sampler = EpochShuffle(len(training), recipe.seed)
    batch_sampler = ShareOfBatches(sampler, config.batch_size // config.accumulate, processes.rank(), processes.count())
    loader: DataLoader[PreparedSample] = DataLoader(cast(Any, training), batch_sampler=batch_sampler, collate_fn=list)
    height, width = next(iter(training[0].images.values())).shape[1:]
    square = height == width
    device, precision = teacher.device, resolve_precision(recipe.precision, teacher.device)
    features = teacher_features(teacher, network, recipe, len(training), square)
    module = TrainingModule(network, recipe, features)
    checkpoint = out / CHECKPOINT
    done_epochs = 0
    if checkpoint.exists():
        done_epochs = read_epoch(checkpoint) + 1  # of the header alone: the state is loaded once, by Lightning
        if done_epochs >= config.epochs:
            module.load_state_dict(read_state(checkpoint)["state_dict"])
            network.eval()
            return
        if processes.rank() == 0:
            console.print(f"{title}: goes on after epoch {done_epochs} of {config.epochs}", markup=False)
            _keep_log(out / "logs", done_epochs)
    if device.type == "cuda":
        network.students.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if config.compile:
        for student in network.students.values():
            student.compile()
    on_interrupt = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings(), errors_logged_once():
        warnings.simplefilter("ignore")  # Lightning's hints on worker counts and log intervals: decided here
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator="gpu" if device.type == "cuda" else "cpu",
            **_devices(device),
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            deterministic=config.deterministic,
            accumulate_grad_batches=config.accumulate,
            logger=[logger(name, out, title) for name in config.loggers],
            callbacks=[
                _Checkpoints(checkpoint, config.checkpoint_every),
                TrainingProgress(console, title, len(training)),
            ],
            plugins=[SafetensorsIO()],
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(
                module,
                loader,
                ckpt_path=str(checkpoint) if checkpoint.exists() else None,
            )
        except SystemExit as interrupted:  # how Lightning ends after Ctrl-C
            raise KeyboardInterrupt from interrupted
        except OSError as error:  # of its loggers; our own files raise OutputError
            raise OutputError(f"cannot write into {out}: {error}; free some space and start again") from error
        finally:
            features.forget()  # gigabytes, and Lightning's cycles would keep the module for a while
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, on_interrupt)  # Lightning leaves Ctrl-C ignored after the first one
        if trainer.interrupted:
            raise KeyboardInterrupt
    network.to(device).eval()  # Lightning leaves it on the CPU


def _devices(device: torch.device) -> dict[str, Any]:
    """Lightning's words for this one device, or for one per process."""
    if processes.count() == 1:
        return {"devices": [device.index or 0] if device.type == "cuda" else 1}
    local_processes = processes.count_here()
    return {
        "devices": local_processes,
        "num_nodes": processes.count() // local_processes,
        "strategy": "ddp",
        "use_distributed_sampler": False,  # `ShareOfBatches` does it
    }


class _Checkpoints(pl.Callback):
    """A resumable checkpoint every few epochs and after the last one; the newest replaces the one before."""

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if not math.isfinite(float(trainer.callback_metrics["loss"])):
            raise TRDError(f"training diverged in epoch {epoch} (the loss is not finite); lower training.learning_rate")
        if epoch % self.every == 0 or epoch == trainer.max_epochs:
            trainer.save_checkpoint(self.path)


def _keep_log(logs: Path, epoch: int) -> None:
    """Put the log of the epochs before a resume aside: Lightning starts metrics.csv anew.

    A second resume from the same checkpoint keeps the first one's: it has all the epochs before that checkpoint.
    """
    log, earlier_log = logs / "metrics.csv", logs / f"metrics-to-epoch-{epoch}.csv"
    if log.exists() and not earlier_log.exists():
        log.rename(earlier_log)
