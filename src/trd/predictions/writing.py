"""Results of parts -> the files in a folder, each whole or not at all, and the scores all together or not at all.

While a call is at work, and after it was interrupted, its rows are in `scores.jsonl.part`, and its key (`call_key`) in
`scores.part.json`. The same call goes on after them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import tifffile

from trd.detector import BATCH
from trd.errors import OutputError, TRDError
from trd.files import csv_line, folder_to_disk, locked, to_disk, write_bytes, write_json, write_whole
from trd.predictions.parts import Output, PartResult
from trd.types import SampleFiles

JSONL, CSV, PARTIAL, KEY = "scores.jsonl", "scores.csv", "scores.jsonl.part", "scores.part.json"


@dataclass
class Written:
    """Numbers of parts: with a score, anomalous among them, and those that could not be read or used. kinds: of the
    anomalous ones by suggested kind, where the detector suggests any."""

    scored: int = 0
    anomalous: int = 0
    failed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.scored + self.failed

    def add(self, row: Mapping[str, Any]) -> None:
        if row.get("error") is not None:
            self.failed += 1
        else:
            self.scored, self.anomalous = self.scored + 1, self.anomalous + bool(row["anomalous"])
            if row.get("kind"):
                self.kinds[str(row["kind"])] += 1


def call_key(settings: str, files: Sequence[SampleFiles]) -> str:
    """Digest of what rows and pictures depend on: settings; ids of the parts; paths, sizes and times of their files."""
    digest = hashlib.sha256(settings.encode("utf-8", "surrogateescape"))
    for part in files:
        for source, path in part.sources.items():
            try:
                facts = path.stat()
                state = f"{facts.st_size} {facts.st_mtime_ns}"
            except OSError:
                state = "missing"
            digest.update(repr((part.id, source, str(path.absolute()), state)).encode())
    return digest.hexdigest()


def write_results(begin: Callable[[int], Iterable[PartResult]], output: Output, key: str = "") -> Written:
    """Write `overlays/ID.png`, with `raw_maps` also `maps/ID.tiff` (float32, z-scores), and the scores.

    begin: gives the results from a part on, whose number it gets: 0, or that after the last whole batch that an
    interrupted call with the same `key` has done.

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
    with locked(out, "predicting", ("overlays", "maps")), ExitStack() as stack:
        earlier, complete = earlier_ids(out), (out / JSONL).exists()
        written, redone = _resumed(out, key)  # of the ids, the earlier ones; nothing else is kept in memory
        lines = None
        try:
            for result in begin(written.count):
                if result.error is not None and not output.keep_going:
                    bad = result.error
                    break
                if lines is None:  # only now: without anything new, what another call left stays
                    if not written.count:
                        _begin_anew(out, key)
                    lines = stack.enter_context(partial_file.open("a", encoding="ascii"))
                name = str(result.row["id"])
                if result.error is None:
                    _write_pictures(result, name, out)
                    redone |= {name} & earlier
                lines.write(json.dumps(result.row) + "\n")
                lines.flush()
                written.add(result.row)
            # a complete earlier result is worth more than a part of this one
            keeps_earlier = bad is not None and complete
            if written.count and not keeps_earlier:
                stack.close()
                _write_csv(out)
                # The partial file is still there, so that after a kill the next call knows all parts of this one too.
                stale = earlier - redone
                _delete_earlier(out, stale if output.overlays else earlier, stale if output.raw_maps else earlier)
                os.replace(partial_file, out / JSONL)
                folder_to_disk(out)
                (out / KEY).unlink(missing_ok=True)
        except (OSError, OutputError) as error:
            where = f"; {partial_file} holds the {written.count} parts done so far" if written.count else ""
            raise OutputError(f"{error}{where}") from error
    if bad is not None and keeps_earlier and written.scored:
        where = f"{partial_file} holds the {written.scored} parts before it; earlier scores are as they were"
        raise type(bad)(f"{bad}; {where}") from bad
    if bad is not None:
        raise bad
    return written


def earlier_ids(out: Path) -> set[str]:
    """The parts in an earlier call's scores.jsonl, and in what an interrupted one left. Raises OutputError."""
    ids: set[str] = set()
    for scores in (out / JSONL, out / PARTIAL):
        if scores.exists():
            try:
                ids |= {str(row["id"]) for row in _rows(scores)}
            except (OSError, ValueError) as error:
                raise OutputError(f"{scores} is not ours ({error!r}): choose another --out, or delete it") from error
    return ids


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a score file; a last line that a kill or a full disk cut off is dropped. Raises ValueError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                row = json.loads(line)
                if not isinstance(row, dict) or "id" not in row:
                    raise ValueError(f"a line without id: {line[:40]!r}")
                yield row


def _resumed(out: Path, key: str) -> tuple[Written, set[str]]:
    """What an interrupted call with the same key has done in whole batches, and the ids with a score.

    Rows after them are cut off: which parts are computed together decides how their scores are rounded.
    """
    written, ids = Written(), set[str]()
    try:
        if json.loads((out / KEY).read_text("utf-8")) != key:
            return written, ids
        count = sum(1 for _ in _rows(out / PARTIAL))
    except (OSError, ValueError):
        return written, ids
    with (out / PARTIAL).open("rb+") as file:
        for line in islice(iter(file.readline, b""), count - count % BATCH):
            row = json.loads(line)
            written.add(row)
            if row.get("error") is None:
                ids.add(str(row["id"]))
        file.truncate(file.tell())
    return written, ids


def _begin_anew(out: Path, key: str) -> None:
    """In this order, so that a kill in between leaves no old rows to the new key."""
    (out / KEY).unlink(missing_ok=True)
    (out / PARTIAL).write_bytes(b"")
    if key:
        write_json(out / KEY, key)


def _write_csv(out: Path) -> None:
    """The partial file -> scores.csv; as long as that is there, the result is not complete."""

    def to_csv(path: Path) -> None:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            for number, row in enumerate(_rows(out / PARTIAL)):
                if not number:
                    file.write(csv_line(row))
                file.write(csv_line(row.values()))

    to_disk(out / PARTIAL)
    write_whole(out / CSV, to_csv)


def _write_pictures(result: PartResult, name: str, out: Path) -> None:
    if result.overlay is not None:
        write_bytes(_files(out, name)[0], result.overlay, durable=False)
    if result.map is not None:
        write_whole(_files(out, name)[1], partial(tifffile.imwrite, data=result.map), durable=False)


def _delete_earlier(out: Path, overlays: set[str], maps: set[str]) -> None:
    """What earlier calls left of parts without new ones: beside the new scores it would mislead."""
    for path in (*(_files(out, name)[0] for name in overlays), *(_files(out, name)[1] for name in maps)):
        path.unlink(missing_ok=True)


def _files(out: Path, sample_id: str) -> tuple[Path, Path]:
    name = sample_id.replace("/", "_")
    return out / "overlays" / f"{name}.png", out / "maps" / f"{name}.tiff"
