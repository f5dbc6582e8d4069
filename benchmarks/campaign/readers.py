"""Part `readers`: damaged files of sensors, lists of data sets and files of TRD itself, each read in a child process
that is watched. `--only sensor`, `stored` or `list` takes one of these kinds."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lists import list_readers

from bench import TINY, Bench, process_status

FILE_LIMIT = 20  # seconds that one damaged file may take
MEMORY = 2**30
Damage = Callable[[bytes, int], bytes]
KINDS = {"sensor": "of sensors", "stored": "of TRD", "list": "lists of classes"}


def _stored_readers(bench: Bench) -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """What TRD itself reads back, in a copy of a run folder: the file with this name is damaged there."""
    from rich.console import Console

    from trd.config import load_recipe
    from trd.data.listing import class_folders
    from trd.evaluation.evaluate import read_metrics
    from trd.evidence.reverse_distillation.training.checkpoint import SafetensorsIO, read_epoch, read_state
    from trd.predictions.writing import earlier_ids
    from trd.runs import Run
    from trd.runs.results import read_section
    from trd.stored import read_detector
    from trd.training.prepare import is_complete

    run, data = bench.folder / "run", bench.folder / "data"
    place, recipe = class_folders(data)[0], load_recipe("lite-rgb-normals", (*TINY, "training.epochs=1"))
    detector = run / "biscuit"
    Console(quiet=True)
    state = {"epoch": 1, "loops": {"a": [1, (2, None)]}, "state_dict": {"w": _tensor()}}
    SafetensorsIO().save_checkpoint(state, run / "last.safetensors")
    (run / "recipe-of-user.toml").write_bytes((detector / "recipe.toml").read_bytes())
    readers: dict[Path, Callable[[Path], object]] = {
        detector / "detector.json": lambda path: read_detector(path.parent),
        detector / "recipe.toml": lambda path: read_detector(path.parent),
        detector / "weights.safetensors": lambda path: read_detector(path.parent),
        detector / "training.json": lambda path: is_complete(place, recipe, path.parent),
        detector / "metrics.json": lambda path: read_metrics(path.parent),
        detector / "report.json": lambda path: read_section(path.parent),
        run / "run.json": lambda path: Run.reopen(path.parent, None, None),
        run / "scores.jsonl": lambda path: earlier_ids(path.parent),
        run / "last.safetensors": lambda path: (read_epoch(path), read_state(path)),
        run / "recipe-of-user.toml": load_recipe,
    }
    return {str(path): (path.read_bytes(), read) for path, read in readers.items()}


def _tensor() -> Any:
    import torch

    return torch.arange(6.0).reshape(2, 3)


def _train(bench: Bench) -> None:
    """A run, and scores in it."""
    from trd.data.demo import draw_demo

    draw_demo(bench.folder / "data", seed=1, train=2, validation=2, good=1, per_kind=1)
    run, some = bench.folder / "run", bench.folder / "data/biscuit/test/good"
    sets = [part for value in (*TINY, "training.epochs=1") for part in ("--set", value)]
    for arguments in (
        ["train", "--data", str(bench.folder / "data"), "--out", str(run), *sets],
        ["predict", str(run), "--input", str(some), "--out", str(run)],
    ):
        ended = bench.start(arguments)
        assert ended.code == 0, ended.text


def readers(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Every reader against damaged files, in a child process that is watched."""
    damage = importlib.import_module("damage")
    files: dict[str, tuple[bytes, Any, str]] = {}
    if bench.only in ("", "sensor"):
        files |= {name: (data, read, "sensor") for name, (data, read) in damage.valid_files().items()}
        damage.write_beside(bench.folder)
    if bench.only in ("", "stored"):
        _train(bench)
        files |= {name: (data, read, "stored") for name, (data, read) in _stored_readers(bench).items()}
    if bench.only in ("", "list"):
        files |= {name: (data, read, "list") for name, (data, read) in list_readers(bench.folder / "lists").items()}
    per_file = (count or 20_000) // sum(kind == (bench.only or "sensor") for _, _, kind in files.values()) + 1
    changes: dict[str, Damage] = {
        "list": lambda data, seed: (damage.mutated_text if seed % 2 else damage.mutated)(data, seed)
    }
    tallies: dict[tuple[str, str], Counter[str]] = {}
    findings: list[str] = []
    end = time.monotonic() + 60 * minutes
    for name, (data, read, kind) in files.items():
        path = bench.folder / name
        tally = tallies.setdefault((kind, Path(name).suffix), Counter())
        seed = 0
        while seed < per_file and time.monotonic() < end:
            seed = _watched(path, data, read, changes.get(kind, damage.mutated), seed, per_file, tally, findings)
        path.write_bytes(data)
        read(path)
    rows = [[f"{suffix[1:]} ({KINDS[kind]})", t["files"], t["read"], t["refused"],
             t["other error"], t["crashed"], t["hung"], f"{t['memory'] / 2**20:.0f} MB", f"{t['slowest'] / 1000:.2f} s"]
            for (kind, suffix), t in tallies.items()]  # fmt: skip
    head = ["format", "damaged files", "read", "refused (TRDError)", "other errors", "crashes", "hangs", "peak memory",
            "slowest"]  # fmt: skip
    total = sum(row[1] for row in rows)
    rows.append(["all", total, *(sum(row[i] for row in rows) for i in range(2, 7)), "", ""])
    return head, rows, findings


def _watched(
    path: Path, data: bytes, read: Any, damage: Damage, first: int, last: int, tally: Counter[str], findings: list[str]
) -> int:
    """Damage and read with seeds from `first` on; the seed to go on with. The child says what it is at."""
    theirs, ours = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(theirs)
        _read_all(path, data, read, damage, first, last, ours)
    os.close(ours)
    seed, begin = first, time.monotonic()
    with os.fdopen(theirs):
        os.set_blocking(theirs, False)
        rest = ""
        while True:
            try:
                chunk = os.read(theirs, 1 << 16)
            except BlockingIOError:
                if time.monotonic() - begin > FILE_LIMIT:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    tally["hung"] += 1
                    findings.append(f"hung: {path.name} seed {seed}")
                    return seed + 1
                time.sleep(0.01)
                continue
            if not chunk:
                break
            lines = (rest + chunk.decode()).split("\n")
            rest = lines.pop()
            for line in lines:
                fact = json.loads(line)
                seed, begin = fact["seed"] + 1, time.monotonic()
                tally["files"] += 1
                tally[fact["ended"]] += 1
                tally["memory"] = max(tally["memory"], fact["memory"])
                tally["slowest"] = max(tally["slowest"], round(1000 * fact["seconds"]))
                if fact["ended"] == "other error" or fact["memory"] > MEMORY:
                    size = f"{fact['memory'] / 2**20:.0f} MB"
                    findings.append(f"{path.name} seed {fact['seed']}: {fact['error']}, {size}")
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status):
        tally["crashed"] += 1
        findings.append(f"crashed: {path.name} seed {seed}: {os.waitstatus_to_exitcode(status)}")
        return seed + 1
    return seed


def _read_all(
    path: Path, data: bytes, read: Any, damage: Damage, first: int, last: int, pipe: int
) -> None:  # never returns
    from trd.errors import TRDError

    code = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_size() + 2 * MEMORY,) * 2)
        # the parent's memory counts as the child's: what reading adds is what is measured
        at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        for seed in range(first, last):
            path.write_bytes(damage(data, seed))
            begin, ended, said = time.monotonic(), "read", ""
            try:
                read(path)
            except TRDError:
                ended = "refused"
            except Exception as error:
                ended, said = "other error", f"{type(error).__name__}: {str(error)[:100]}"
            memory = max(_peak(), at_rest if not _peak() else 0) * 1024
            fact = {"seed": seed, "ended": ended, "error": said, "memory": memory, "seconds": time.monotonic() - begin}
            os.write(pipe, (json.dumps(fact) + "\n").encode())
        code = 0
    finally:
        os._exit(code)


def _size() -> int:
    return process_status("VmSize") * 1024


def _peak() -> int:
    return process_status("VmHWM")
