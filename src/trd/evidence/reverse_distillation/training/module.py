"""The Lightning part: one training step, the optimiser and its schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from trd import processes
from trd.config import Recipe
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import section
from trd.evidence.reverse_distillation.training.features import TeacherFeatures
from trd.evidence.reverse_distillation.training.loss import network_loss
from trd.evidence.reverse_distillation.training.views import View, random_views
from trd.types import PreparedSample


class TrainingModule(pl.LightningModule):
    """Minimises the sum of all loss terms; logs each as `loss/<modality>/<pyramid>`."""

    def __init__(self, network: TunedReverseDistillation, recipe: Recipe, features: TeacherFeatures) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.features = features

    def training_step(self, parts: Sequence[PreparedSample], index: int) -> Tensor:
        output = self.network.rebuild(self.features(parts, self._views(parts, index)))
        losses = network_loss(output, section(self.recipe).training.loss)
        total = torch.stack([term for terms in losses.values() for term in terms.values()]).sum()
        values = {f"loss/{branch}/{name}": term for branch, terms in losses.items() for name, term in terms.items()}
        self.log_dict(
            {"loss": total, **values},
            on_step=False,
            on_epoch=True,
            batch_size=len(parts),
            sync_dist=processes.count() > 1,
        )
        return total

    def _views(self, parts: Sequence[PreparedSample], index: int) -> list[View]:
        height, width = next(iter(parts[0].images.values())).shape[1:]
        number = index * processes.count() + processes.rank()
        rng = np.random.default_rng([self.recipe.seed, self.current_epoch, number])  # the same again after a resume
        return random_views(section(self.recipe).training.augment, len(parts), height == width, rng)

    def configure_optimizers(self) -> Any:
        config = section(self.recipe).training
        optimizer = torch.optim.Adam(
            self.network.students.parameters(),
            lr=config.learning_rate,
            betas=config.betas,
            fused=True,  # one pass over all parameters; 4 % of a lite step on a CPU core
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: rate_factor(self.recipe, epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}

    def transfer_batch_to_device(
        self, batch: Sequence[PreparedSample], device: torch.device, dataloader_idx: int
    ) -> Sequence[PreparedSample]:
        return batch  # arrays; `features` moves those that it has not seen yet


def rate_factor(recipe: Recipe, epoch: int) -> float:
    """What the learning rate is multiplied by in an epoch, counted from 0."""
    config = section(recipe).training
    if config.schedule == "exponential":
        return config.lr_decay**epoch
    return 0.5 * (1 + math.cos(math.pi * min(epoch, config.epochs) / config.epochs))
