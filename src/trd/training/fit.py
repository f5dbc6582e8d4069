"""Good parts -> calibrated detector: data, network, training with Lightning, calibration on held-out parts."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from trd import processes
from trd.config import Recipe
from trd.detector import FACTS, Detector
from trd.errors import CheckpointError, OutputError, TRDError
from trd.files import write_json
from trd.model.network import FeatureScaler, TunedReverseDistillation, build_network
from trd.model.precision import resolve_device, resolve_precision
from trd.model.teachers import Teacher
from trd.preprocess.dataset import (
    EpochShuffle,
    PreparedDataset,
    ShareOfBatches,
    batches,
    stacked_images,
    stacked_regions,
)
from trd.preprocess.pipeline import Pipeline
from trd.scoring.calibration import calibrate, map_statistics
from trd.scoring.fusion import fuse, modality_maps
from trd.scoring.residuals import fit_residual_distances
from trd.scoring.scorer import build_scorer
from trd.training.checkpoint import SafetensorsIO, read_state
from trd.training.features import teacher_features
from trd.training.module import TrainingModule
from trd.training.prepare import PreparedClass, list_parts, prepare_class
from trd.training.progress import TrainingProgress
from trd.types import Camera, ClassFiles, NetworkOutput, PreparedSample

CHECKPOINT = "checkpoints/last.safetensors"
SCORING_BATCH = 8
POLL = 0.5  # seconds


def fit_class(
    data: Path, class_name: str, recipe: Recipe, out: Path, device: str = "auto", console: Console | None = None
) -> Detector:
    """Train and calibrate one class into the folder `out`; goes on from `out`'s checkpoint when there is one.

    Writes training.json (record) early, checkpoints and logs on the way, and the detector's files last. A killed run
    that is started again ends in the same weights as one that was not. Raises TRDError for the user's mistakes and
    KeyboardInterrupt after Ctrl-C, with the last checkpoint kept. Of several processes (`trd.processes`) the first one
    does all but the training; the others wait for its detector.
    """
    console = console or Console(quiet=True)
    recipe = recipe.for_class(class_name or data.resolve().name)
    where = resolve_device(device)
    files, record = list_parts(data, class_name, recipe, console)
    _refuse_foreign_checkpoint(out, record["fingerprint"])
    with repeatable(recipe.training.seed, recipe.training.deterministic):
        return _fit(files, recipe, record, out, where, console)


def _fit(
    files: ClassFiles, recipe: Recipe, record: dict[str, Any], out: Path, where: str, console: Console
) -> Detector:
    first = processes.rank() == 0
    if first:
        write_json(out / "training.json", record)
    parts = prepare_class(files, recipe, record)
    if first:
        write_json(out / "training.json", record)

    begin = time.monotonic()
    network = build_network(recipe).to(where)
    if recipe.teacher.standardize:
        fit_feature_scalers(network, parts.training, torch.device(where))
    train_network(network, parts.training, recipe, out, where, console, files.name)
    if not first:
        while not (out / FACTS).exists():  # should the first process fail, torchrun ends this one
            time.sleep(POLL)
        return Detector.load(out, where)
    record["seconds"]["training"] = time.monotonic() - begin
    return calibrate_and_save(parts, network, out, where, console)


def calibrate_and_save(
    parts: PreparedClass, network: TunedReverseDistillation, out: Path, device: str, console: Console
) -> Detector:
    """The last step of `fit_class`: a calibrated detector and training.json in `out`."""
    begin = time.monotonic()
    files, record = parts.files, parts.record
    detector = calibrate_detector(
        parts.recipe, parts.pipeline, network, parts.training, parts.validation, files.name, device, files.camera
    )
    record["seconds"]["calibration"] = time.monotonic() - begin
    detector.save(out)
    write_json(out / "training.json", record)
    threshold = detector.calibration.image_threshold
    if not threshold.attained:
        console.print(
            f"{files.name}: {threshold.count} calibration parts cannot guarantee a false-alarm rate of "
            f"{threshold.requested_rate:.1%}; the threshold guarantees {threshold.guaranteed_rate:.1%} "
            f"({round(1 / threshold.requested_rate) - 1} parts would do)"
        )
    return detector


def train_network(
    network: TunedReverseDistillation,
    training: PreparedDataset,
    recipe: Recipe,
    out: Path,
    device: str,
    console: Console,
    title: str,
) -> None:
    """Run the epochs that are still to be done; `network` holds the last epoch's weights afterwards."""
    config = recipe.training
    sampler = EpochShuffle(len(training), config.seed)
    together = ShareOfBatches(sampler, config.batch_size // config.accumulate, processes.rank(), processes.count())
    loader = DataLoader(training, batch_sampler=together, collate_fn=list)
    where, precision = torch.device(device), resolve_precision(config.precision, device)
    features = teacher_features(network, recipe, len(training), where)
    module = TrainingModule(network, recipe, features)
    checkpoint = out / CHECKPOINT
    done = 0
    if checkpoint.exists():
        state = read_state(checkpoint)
        done = int(state["epoch"]) + 1
        if done >= config.epochs:
            module.load_state_dict(state["state_dict"])
            network.eval()
            return
        if processes.rank() == 0:
            console.print(f"{title}: goes on after epoch {done} of {config.epochs}")
            _keep_log(out / "logs", done)
    if where.type == "cuda":
        network.students.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if config.compile:
        for student in network.students.values():
            student.compile()
    on_interrupt = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's hints on worker counts and log intervals: decided here
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator="gpu" if where.type == "cuda" else "cpu",
            **_devices(where),
            precision=cast(Any, precision),
            deterministic=config.deterministic,
            accumulate_grad_batches=config.accumulate,
            logger=[CSVLogger(out, "logs", version=""), TensorBoardLogger(out, "logs", version="")],
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
        except torch.OutOfMemoryError as error:
            raise TRDError(
                f"the GPU's memory is full ({error}): set training.accumulate=2 or more, or training.feature_memory=0"
            ) from error
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
    network.eval()


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


@torch.no_grad()
def fit_feature_scalers(
    network: TunedReverseDistillation, training: Iterable[PreparedSample], device: torch.device
) -> None:
    """Set every scaler to the mean and deviation of the teacher's channels over the training samples.

    device: where `network` is.
    """
    scalers = {name: cast(FeatureScaler, network.scalers[name]) for name in network.modalities}
    network.scalers = torch.nn.ModuleDict()  # raw features while measuring
    sums: dict[tuple[str, int], list[Tensor]] = {}
    for batch in batches(training, SCORING_BATCH):
        images = {name: stack.to(device) for name, stack in stacked_images(batch).items()}
        for name, pyramid in network.teacher_pyramids(images).items():
            for level, features in enumerate(pyramid):
                values = features.double().transpose(0, 1).flatten(1)
                moments = torch.stack(
                    [torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)]
                )
                sums.setdefault((name, level), []).append(moments)
    for (name, level), parts in sums.items():
        count, total, squares = torch.stack(parts).sum(dim=0)
        mean = total / count
        scalers[name].set_level(level, mean.float(), (squares / count - mean.square()).clamp_min(0).sqrt().float())
    network.scalers = torch.nn.ModuleDict(scalers)


def calibrate_detector(
    recipe: Recipe,
    pipeline: Pipeline,
    network: TunedReverseDistillation,
    training: PreparedDataset,
    validation: PreparedDataset,
    class_name: str,
    device: str,
    camera: Camera | None = None,
) -> Detector:
    """Fit what the scoring needs: residual distances on training parts, z-scores and thresholds on validation parts."""
    scorer = build_scorer(recipe, cast(Teacher, network.teacher).channels)
    detector = Detector(recipe, pipeline, network, scorer, class_name=class_name, device=device, camera=camera)

    def observations(dataset: PreparedDataset) -> Iterator[tuple[NetworkOutput, Tensor | None]]:
        for batch in batches(dataset, SCORING_BATCH):
            yield detector.forward(batch), stacked_regions(batch, detector.device)

    if len(scorer.distances):
        with torch.no_grad():
            fit_residual_distances(
                scorer.distances,
                lambda: observations(training),
                lambda: observations(validation),
                recipe.scoring.context_floor,
            )
    parts = list(validation)
    maps = [detector.raw_maps(batch) for batch in batches(parts, SCORING_BATCH)]
    raw = {name: torch.cat([m[name] for m in maps]) for name in recipe.branches}
    regions, config = [sample.region for sample in parts], recipe.scoring
    statistics = {name: map_statistics(values.cpu().numpy(), regions) for name, values in raw.items()}
    fused = fuse(modality_maps(raw, statistics, config.sigma, stacked_regions(parts, detector.device)))
    calibration = calibrate(
        statistics,
        fused.cpu().numpy(),
        regions,
        config.sigma,
        config.false_alarm_rate,
        config.pixel_false_alarm_rate,
    )
    return detector.calibrated(calibration)


def _refuse_foreign_checkpoint(out: Path, fingerprint: str) -> None:
    if not (out / CHECKPOINT).exists():
        return
    try:
        before = json.loads((out / "training.json").read_text("utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{out} holds a checkpoint without a readable training.json ({error}); delete it"
        ) from error
    if before != fingerprint:
        raise CheckpointError(
            f"the checkpoint in {out} is of another recipe or other training parts (fingerprint {before}, now "
            f"{fingerprint}): choose another --out, or delete {out / CHECKPOINT}"
        )


def _keep_log(logs: Path, done: int) -> None:
    """Put the log of the epochs before a resume aside: Lightning starts metrics.csv anew."""
    if (logs / "metrics.csv").exists():
        (logs / "metrics.csv").rename(logs / f"metrics-to-epoch-{done}.csv")


@contextmanager
def repeatable(seed: int, deterministic: bool) -> Iterator[None]:
    """Seeded, with algorithms that repeat to the bit where asked for; afterwards the caller's choice holds again."""
    choice: Any = torch.utils.deterministic  # a module with a property, of which its types say nothing
    before = torch.are_deterministic_algorithms_enabled(), choice.fill_uninitialized_memory
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on GPUs need it
    torch.use_deterministic_algorithms(deterministic)
    # Filling every fresh tensor with NaN guards against reading unset memory, which nothing here does, and costs time.
    choice.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        choice.fill_uninitialized_memory = before[1]
