"""What a lesson tells of kinds: how far its defects lie from each other where a lesson that has not seen them looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trd.decision.kinds import KnownKinds, place_of
from trd.decision.maps import decide
from trd.evidence.known_defects.kinds import KindDistances
from trd.learning.heads import STRONGEST, Lesson
from trd.learning.judge import FOLDS, dealt
from trd.learning.parts import cells_of


@torch.no_grad()
def taught_kinds(lesson: Lesson, digests: Sequence[str]) -> tuple[KindDistances, KnownKinds]:
    """Of two defects or more. digests: of their files, in their order."""
    kinds = [part.kind for part in lesson.defects]
    distances = KindDistances.of(lesson.channels, lesson.background, lesson.means)
    between = distances.distances(torch.stack(_unseen_places(lesson))).numpy()
    np.fill_diagonal(between, np.inf)
    return distances, KnownKinds(tuple(kinds), tuple(sorted(between.min(axis=1).tolist())), tuple(digests))


def _unseen_places(lesson: Lesson) -> list[Tensor]:
    """(C,) of each defect: mean channels of the place where a lesson of the other folds' defects looks."""
    means = list(lesson.means)
    every = range(len(means))
    for fold in dealt(np.array([part.kind for part in lesson.defects]), min(FOLDS, len(means))):
        directions = lesson.directions(sorted(set(every) - set(fold)))
        calibration = lesson.calibrated(directions)
        for index in fold:
            part = lesson.defects[index]
            raw = {name: values[0] for name, values in lesson.maps([part], directions).items()}
            place = place_of(decide(calibration, raw, part.scored).fused, part.scored, STRONGEST)
            means[index] = cells_of(lesson.channels.standardised(part.plain[None])[0], place > 0).mean(dim=0)
    return means
