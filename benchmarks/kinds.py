"""Which kind a detector with a lesson suggests for defects that it was not taught.

    python benchmarks/kinds.py RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

10 and 20 defects of the test split are taught, three draws without each kind in turn. Asked are the further ones that
the taught detector finds; figures are in cells of four pixels. "Unlike" of the kinds taught should be 10 % at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from pairs import pairs_parser

from learning import drawn, lesson_of_run, only
from trd.decision.kinds import UNLIKE, place_of
from trd.decision.maps import decide
from trd.learning.heads import STRONGEST, Lesson
from trd.learning.kinds import taught_kinds
from trd.learning.parts import cells_of

NUMBERS, DRAWS = (10, 20), 3


def suggestions(lesson: Lesson, number: int) -> Iterator[tuple[str, bool, str]]:
    """lesson: of all defects. Yields folder, whether its kind was taught, and the suggestion, of each part asked."""
    kinds = np.array([part.kind for part in lesson.defects])
    for draw in range(DRAWS):
        for without in np.unique(kinds):
            taught = drawn(kinds, number, without, draw)
            if len(taught) < number:
                continue
            part_of_it = only(lesson, taught)
            distances, known = taught_kinds(part_of_it, ())
            directions = part_of_it.directions(range(number))
            calibration = part_of_it.calibrated(directions)
            for index in sorted(set(range(len(kinds))) - set(taught)):
                part = lesson.defects[index]
                raw = {name: values[0] for name, values in lesson.maps([part], directions).items()}
                decision = decide(calibration, raw, part.scored)
                if float(decision.score) <= calibration.image_threshold.value:
                    continue
                cells = place_of(decision.fused, part.scored, STRONGEST) > 0
                mean = cells_of(lesson.channels.standardised(part.plain[None])[0], cells).mean(dim=0)
                with torch.no_grad():
                    suggestion = known.suggested(distances.distances(mean[None])[0].numpy())
                yield part.kind, part.kind in known.kinds, suggestion.kind or UNLIKE


def print_table(name: str, lesson: Lesson) -> None:
    for number in NUMBERS:
        asked = list(suggestions(lesson, number))
        seen = [(folder, kind) for folder, taught, kind in asked if taught]
        new = [(folder, kind) for folder, taught, kind in asked if not taught]
        if not seen or not new:
            continue
        right, named = sum(folder == kind for folder, kind in seen), [pair for pair in seen if pair[1] != UNLIKE]
        print(
            f"\n{name}, {number} taught: {right} of {len(seen)} named right ({right / len(seen):.0%}), "
            f"{len(seen) - len(named)} of {len(seen)} of taught kinds unlike all "
            f"({1 - len(named) / len(seen):.0%}), {sum(kind == UNLIKE for _, kind in new)} of {len(new)} of the kind "
            f"left out unlike all ({np.mean([kind == UNLIKE for _, kind in new]):.0%})"
        )
        names = [*sorted({folder for folder, _, _ in asked}), UNLIKE]
        print(f"| folder | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
        counts = Counter(seen)
        for folder in names[:-1]:
            print(f"| {folder} | {' | '.join(str(counts[folder, kind]) for kind in names)} |", flush=True)


if __name__ == "__main__":
    for folder_of_run, data_of_run in pairs_parser(__doc__).parse_args().classes:
        print_table(folder_of_run, lesson_of_run(folder_of_run, data_of_run)[0])
