"""Directions of some labelled defects, and their maps of parts in cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.decision.kinds import place_of
from trd.decision.maps import decide
from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.directions import Background, Directions, GoodCells
from trd.evidence.patch_statistics.features import STRIDE
from trd.learning.parts import LessonPart, cells_of, raw_maps

STRONGEST = 16  # cells of an unmarked defect that are taken for it: those that are most unusual
MARGIN = 3  # cells around a defect that are neither good nor defective: its edge, and what is smoothed from it


@dataclass(frozen=True)
class Lesson:
    """All that is learned from and judged on. branches: of the detector as it is. scoring: in cells.

    background: of training parts. good: calibration parts, which no direction is fitted on. means: (C,) of each
    defect's cells. surroundings: of each defect, the rest of its part.
    """

    channels: Channels
    background: Background
    good: Sequence[LessonPart]
    defects: Sequence[LessonPart]
    branches: tuple[str, ...]
    scoring: ScoringConfig
    before: Calibration
    means: Sequence[Tensor]
    surroundings: Sequence[GoodCells]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        channels: Channels,
        training: Sequence[LessonPart],
        good: Sequence[LessonPart],
        defects: Sequence[LessonPart],
        branches: tuple[str, ...],
        scoring: ScoringConfig,
        shrinkage: float,
    ) -> Lesson:
        """scoring: of the detector, in pixels. `channels` are fitted here."""
        channels.fit([cells_of(part.plain, part.scored) for part in training])
        background = Background.of(
            [cells_of(channels.standardised(part.plain[None])[0], part.scored) for part in training], shrinkage
        )
        in_cells = scoring.model_copy(update={"sigma": scoring.sigma / STRIDE, "calibration": "split"})
        before = calibrate(raw_maps(good, branches), [part.scored for part in good], in_cells, names=_ids(good))
        means, surroundings = [], []
        for part in defects:
            values, cells = channels.standardised(part.plain[None])[0], _defect_of(part, before, branches)
            means.append(cells_of(values, cells).mean(dim=0))
            surroundings.append(GoodCells.of(cells_of(values, part.scored & ~_grown(cells))))
        return cls(channels, background, good, defects, branches, in_cells, before, means, surroundings)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.kind for part in self.defects))

    def directions(self, indices: Sequence[int]) -> Directions:
        """Of the defects with these indices."""
        kinds: dict[str, list[Tensor]] = {}
        for index in indices:
            kinds.setdefault(self.defects[index].kind, []).append(self.means[index])
        return self.background.beside([self.surroundings[index] for index in indices]).directions(kinds)

    def calibrated(self, directions: Directions) -> Calibration:
        """Of the branches and the directions' map, in cells."""
        raw = self.maps(self.good, directions)
        return calibrate(raw, [part.scored for part in self.good], self.scoring, names=_ids(self.good))

    @torch.no_grad()
    def maps(self, parts: Sequence[LessonPart], directions: Directions | None) -> dict[str, NDArray[np.float32]]:
        """branch -> (N, h, w)."""
        raw = raw_maps(parts, self.branches)
        if directions is None:
            return raw
        learned = [directions(self.channels.standardised(part.plain[None]))[0].numpy() for part in parts]
        return raw | {"learned": np.stack(learned)}

    def score(self, part: LessonPart, calibration: Calibration, directions: Directions | None) -> float:
        raw = {name: values[0] for name, values in self.maps([part], directions).items()}
        return float(decide(calibration, raw, part.scored).score)


def _ids(parts: Sequence[LessonPart]) -> list[str]:
    return [part.id for part in parts]


def _defect_of(part: LessonPart, before: Calibration, branches: tuple[str, ...]) -> NDArray[np.bool_]:
    """(h, w): its marked cells, or the most unusual ones."""
    if part.marked is not None:
        return part.marked
    raw = {name: values[0] for name, values in raw_maps([part], branches).items()}
    return np.asarray(place_of(decide(before, raw, part.scored).fused, part.scored, STRONGEST) > 0)


def _grown(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w): with their margin."""
    values = torch.from_numpy(cells.astype(np.float32))[None]
    return np.asarray(F.max_pool2d(values, 2 * MARGIN + 1, 1, MARGIN)[0].numpy() > 0)
