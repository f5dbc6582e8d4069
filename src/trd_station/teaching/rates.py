"""How many good parts a class needs, and what they can promise."""

from __future__ import annotations

from trd.config import REVERSE_DISTILLATION, Recipe
from trd.training.prepare import calibration_count
from trd_station.teaching.settings import FIRST, ClassSettings

LEAST = 2  # good parts that anything is trained on
RECOMMENDED = 50
RATE = 0.05  # of false alarms, that the counter is for
CROSS = "scoring.calibration=cross"


def missing_parts(count: int) -> str | None:
    """What is missing to train; None where nothing is."""
    return None if count >= LEAST else f"{count} good parts; at least {LEAST} are needed"


def parts_needed(recipe: Recipe) -> int:
    """Good parts for which a recipe's threshold keeps the rate that the counter is for."""
    count = LEAST
    while promised_rate(recipe, count) > RATE + 1e-12:
        count += 1
    return count


def promised_rate(recipe: Recipe, count: int) -> float:
    """Of false alarms, by the calibration parts among so many good ones."""
    cross = recipe.scoring.calibration == "cross"
    return 1 / ((count if cross else min(calibration_count(recipe, count), count - 1)) + 1)


def calibrated_well(recipe: Recipe, count: int, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Cross calibration where too few parts would be held out, and nothing is trained for long: all parts count."""
    said = any(override.startswith("scoring.calibration") for override in overrides)
    few = count < 2 * recipe.scoring.folds
    if said or few or REVERSE_DISTILLATION in recipe.evidence or promised_rate(recipe, count) <= RATE:
        return ()
    return (CROSS,)


def first_detector(settings: ClassSettings) -> Recipe:
    return settings.recipe(FIRST[settings.layout], (CROSS,))
