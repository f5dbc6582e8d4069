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
from trd.evidence.reverse_distillation.config import section
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.training.checkpoint import SafetensorsIO, read_epoch, read_state
from trd.evidence.reverse_distillation.training.features import teacher_features
from trd.evidence.reverse_distillation.training.loggers import errors_told_once, logger
from trd.evidence.reverse_distillation.training.module import TrainingModule
from trd.evidence.reverse_distillation.training.progress import TrainingProgress
from trd.evidence.reverse_distillation.training.sampling import EpochShuffle, ShareOfBatches
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample

CHECKPOINT = "checkpoints/last.safetensors"


def train_network(
    network: TunedReverseDistillation,
    training: PreparedParts,
    recipe: Recipe,
    out: Path,
    device: str,
    console: Console,
    title: str,
) -> None:
    """Run the epochs that are still to be done; `network` holds the last epoch's weights afterwards.

    Raises TRDError where training diverges or the GPU's memory is full, OutputError where `out` cannot be written,
    KeyboardInterrupt after Ctrl-C with the last checkpoint kept.
    """
    config = section(recipe).training
    sampler = EpochShuffle(len(training), recipe.seed)
    together = ShareOfBatches(sampler, config.batch_size // config.accumulate, processes.rank(), processes.count())
    loader: DataLoader[PreparedSample] = DataLoader(cast(Any, training), batch_sampler=together, collate_fn=list)
    height, width = next(iter(training[0].images.values())).shape[1:]
    square = height == width
    where, precision = torch.device(device), resolve_precision(config.precision, device)
    features = teacher_features(network, recipe, len(training), where, square)
    module = TrainingModule(network, recipe, features)
    checkpoint = out / CHECKPOINT
    done = 0
    if checkpoint.exists():
        done = read_epoch(checkpoint) + 1  # of the header alone: the state is loaded once, by Lightning
        if done >= config.epochs:
            module.load_state_dict(read_state(checkpoint)["state_dict"])
            network.eval()
            return
        if processes.rank() == 0:
            console.print(f"{title}: goes on after epoch {done} of {config.epochs}", markup=False)
            _keep_log(out / "logs", done)
    if where.type == "cuda":
        network.students.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if config.compile:
        for student in network.students.values():
            student.compile()
    on_interrupt = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings(), errors_told_once():
        warnings.simplefilter("ignore")  # Lightning's hints on worker counts and log intervals: decided here
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator="gpu" if where.type == "cuda" else "cpu",
            **_devices(where),
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
    network.to(where).eval()  # Lightning leaves it on the CPU


def _devices(device: torch.device) -> dict[str, Any]:
    """Lightning's words for this one device, or for one per process."""
    if processes.count() == 1:
        return {"devices": [device.index or 0] if device.type == "cuda" else 1}
    here = processes.count_here()
    return {
        "devices": here,
        "num_nodes": processes.count() // here,
        "strategy": "ddp",
        "use_distributed_sampler": False,  # `ShareOfBatches` does it
    }


class _Checkpoints(pl.Callback):
    """A resumable checkpoint every few epochs and after the last one; the newest replaces the one before."""

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.current_epoch + 1
        if not math.isfinite(float(trainer.callback_metrics["loss"])):
            raise TRDError(f"training diverged in epoch {done} (the loss is not finite); lower training.learning_rate")
        if done % self.every == 0 or done == trainer.max_epochs:
            trainer.save_checkpoint(self.path)


def _keep_log(logs: Path, done: int) -> None:
    """Put the log of the epochs before a resume aside: Lightning starts metrics.csv anew.

    A second resume from the same checkpoint keeps the first one's: it has all the epochs before that checkpoint.
    """
    log, kept = logs / "metrics.csv", logs / f"metrics-to-epoch-{done}.csv"
    if log.exists() and not kept.exists():
        log.rename(kept)
