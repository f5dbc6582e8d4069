"""Good parts -> a detector that has taken them in, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from trd.detector import Detector
from trd.engines.base import Placement
from trd.evidence.detection import detector_engine
from trd.learning.good_parts import GoodJudgement, GoodPartsRefused, Growth, judged_growth
from trd.learning.labels import Likeness
from trd.types import State


@dataclass(frozen=True)
class TakenIn:
    """detector, state: with the good parts, calibrated on the calibration parts of before. added: name of what has
    become longer in the state, such as a bank's entries -> by how much."""

    detector: Detector
    state: State
    judgement: GoodJudgement
    added: dict[str, int]

    def record(self, digests: Mapping[str, str], alike: Mapping[str, Likeness]) -> dict[str, Any]:
        """What lesson.json says of them. digests: id -> digest. alike: of those that were compared with defects."""
        entered = list(self.detector.recipe.growing)
        return {
            "good": [
                {
                    "id": name,
                    "files": digest,
                    "entered": entered,
                    "calibrates": False,
                    **({"likeness": asdict(alike[name])} if name in alike else {}),
                }
                for name, digest in digests.items()
            ],
            "added": self.added,
            "good_judgement": asdict(self.judgement),
        }


def taken_in(growth: Growth) -> TakenIn:
    """Raises GoodPartsRefused."""
    judgement, state, calibration = judged_growth(growth)
    if judgement.reasons:
        raise GoodPartsRefused(judgement)
    facts = replace(growth.detector.facts, calibration=calibration)
    placement = Placement(growth.device, calibration.precision or None)
    detector = Detector(facts, detector_engine(facts.recipe, state, facts.frame.size, placement))
    longer = {name: values.shape[0] - growth.state[name].shape[0] for name, values in state.items() if values.ndim}
    return TakenIn(detector, state, judgement, {name: count for name, count in longer.items() if count})
