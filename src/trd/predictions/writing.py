"""Results of parts -> the files in a folder, each whole or not at all, and the scores all together or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import tifffile

from trd.detector import Detector
from trd.errors import OutputError, TRDError
from trd.files import folder_to_disk, locked, write_bytes, write_whole
from trd.predictions.parts import Outcome, Output, PartResult, part_results
from trd.predictions.resuming import Done, Task, begin_anew, done_before, forget
from trd.predictions.rows import JSONL, PARTIAL, earlier_ids, write_csv


@dataclass(frozen=True)
class Written:
    """Numbers of parts: with a score, anomalous among them, and those that could not be read or used."""

    scored: int = 0
    anomalous: int = 0
    failed: int = 0


def write_predictions(
    detector: Detector,
    results: Iterable[Outcome],
    out: Path,
    raw_maps: bool = False,
    overlays: bool = True,
    keep_going: bool = False,
) -> Written:
    """`write_results` of a detector's outcomes, from the first part on, whatever an interrupted call has left."""
    output = Output(out, raw_maps, overlays, keep_going)
    return write_results(lambda _: part_results(detector, results, output), output)


def write_results(begin: Callable[[int], Iterable[PartResult]], output: Output, task: Task | None = None) -> Written:
    """Write `overlays/ID.png`, with `raw_maps` also `maps/ID.tiff` (float32, z-scores), and the scores.

    begin: gives the results from a part on, whose number it gets: 0, or that after the last one that an interrupted
    call with the same `task` has done.

    Scores are appended to `scores.jsonl.part` as they come, one whole line each. It becomes `scores.jsonl`, with
    `scores.csv` beside it, when all is done; just before, what earlier calls left there of other parts is deleted.
    Whatever interrupts the work leaves the earlier scores as they were, and the partial file.

    A part that could not be read or used ends the work with its error; the scores of those before it are put in place
    where there were none, else they stay in the partial file. With `keep_going` it gets a row with nothing but its
    `error`. Raises OutputError when a file cannot be written, when `out` holds a scores.jsonl that is not ours, or when
    another process predicts into it.
    """
    out, partial_file = output.out, output.out / PARTIAL
    bad: TRDError | None = None
    with locked(out, "predicting", ("overlays", "maps")):
        earlier, complete = earlier_ids(out), (out / JSONL).exists()
        done = done_before(out, task)
        scored, anomalous, failed = done.scored, done.anomalous, done.failed
        redone = set(done.ids)  # of the earlier ones; nothing else is kept in memory
        results = iter(begin(done.count))
        first = list(islice(results, 1))
        if first and first[0].error is not None and not output.keep_going and not done.count:
            raise first[0].error  # nothing new: what an interrupted call left stays too
        try:
            with _opened(out, task, done).open("a", encoding="ascii") as lines:
                for result in chain(first, results):
                    if result.error is not None and not output.keep_going:
                        bad = result.error
                        break
                    name = str(result.row["id"])
                    if result.error is not None:
                        failed += 1
                    else:
                        _write_pictures(result, name, out)
                        redone |= {name} & earlier
                        scored, anomalous = scored + 1, anomalous + bool(result.row["anomalous"])
                    lines.write(json.dumps(result.row) + "\n")
                    lines.flush()
            kept = bad is not None and complete  # a complete earlier result is worth more than a part of this one
            if (scored or failed) and not kept:
                write_csv(out)
                # The partial file is still there, so that after a kill the next call knows all parts of this one too.
                overlays, maps = (redone if new else set() for new in (output.overlays, output.raw_maps))
                _delete_earlier(out, earlier, overlays, maps)
                os.replace(partial_file, out / JSONL)
                folder_to_disk(out)
                forget(out)
        except (OSError, OutputError) as error:
            there = f"; {partial_file} holds the {scored + failed} parts done so far" if scored or failed else ""
            raise OutputError(f"{error}{there}") from error
        finally:
            if not scored and not failed:
                partial_file.unlink(missing_ok=True)
                forget(out)
    if bad is not None and kept and scored:
        where = f"{partial_file} holds the {scored} parts before it; earlier scores are as they were"
        raise type(bad)(f"{bad}; {where}") from bad
    if bad is not None:
        raise bad
    return Written(scored, anomalous, failed)


def _opened(out: Path, task: Task | None, done: Done) -> Path:
    """The partial file, to append to: that of the interrupted call, or an empty one."""
    if not done.count:
        begin_anew(out, task)
    return out / PARTIAL


def _write_pictures(result: PartResult, name: str, out: Path) -> None:
    if result.overlay is not None:
        write_bytes(_files(out, name)[0], result.overlay, durable=False)
    if result.map is not None:
        write_whole(_files(out, name)[1], partial(tifffile.imwrite, data=result.map), durable=False)


def _delete_earlier(out: Path, earlier: set[str], new_overlays: set[str], new_maps: set[str]) -> None:
    """What earlier calls left of parts without new ones: beside the new scores it would mislead."""
    for name in earlier - new_overlays:
        _files(out, name)[0].unlink(missing_ok=True)
    for name in earlier - new_maps:
        _files(out, name)[1].unlink(missing_ok=True)


def _files(out: Path, sample_id: str) -> tuple[Path, Path]:
    name = sample_id.replace("/", "_")
    return out / "overlays" / f"{name}.png", out / "maps" / f"{name}.tiff"
