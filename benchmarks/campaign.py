"""What happens when things go wrong: kills, full disks, damaged files, senseless recipes, and over ten thousand parts.

    python benchmarks/campaign.py kill|full|readers|recipes|predict [--minutes 8] [--count N] [--seed 0] [--folder DIR]

Every part works on drawn data in a temporary folder with a cache folder of its own, reaches no network, ends when its
time is up or its count is reached, and prints a Markdown table (docs/reliability.md). POSIX only: it forks. The exit
status is 1 where something was found. What `kill` and `full` run is `trd.cli.main` in a forked process, so that not
every start waits for torch; a tenth of the starts are `python -m trd` from scratch.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import csv
import errno
import importlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/fakes"))
TINY = ("frame.size=64", "training.epochs=3", "training.batch_size=2", "training.precision=32",
        "training.checkpoint_every=1")  # fmt: skip
LOGS = "logs"  # Lightning's: appended to, not whole
SCRAP = re.compile(r"^\..+\.trd-[0-9a-f]{8}(\.\w+)?$")
OF_TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
START_LIMIT = 240  # seconds that one start may take
FILE_LIMIT = 20  # seconds that one damaged file may take
MEMORY = 2**30


class Killed(BaseException):
    """Never seen: the process is gone."""


@dataclass
class Fault:
    """At file operation number `at` (from 1) below `roots`: "kill" the process, or "full": no space on the disk.

    sticky: the disk stays full. Writing is cut in the middle: half of the bytes are there. `at` 0 counts only.
    """

    roots: tuple[str, ...]
    kind: str = "count"
    at: int = 0
    sticky: bool = False
    seen: int = 0
    place: str = ""
    pid: int = 0
    inside: bool = False

    def arm(self) -> None:
        self.pid = os.getpid()
        sys.addaudithook(self._audit)
        self._patch()

    def _counts(self, path: Any) -> bool:
        if self.inside or self.pid != os.getpid():
            return False
        try:
            text = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return text.startswith(self.roots) and not text.endswith(".lock")

    def hit(self, what: str, path: Any, half: Callable[[], object] | None = None) -> None:
        """One more operation; `half` does it in part, before the fault."""
        if not self._counts(path):
            return
        frees = what in ("os.remove", "os.rmdir", "os.utime")
        if self.kind == "full" and frees:
            return
        self.seen += 1
        if not self.at or self.seen < self.at or (self.seen > self.at and not self.sticky):
            return
        if self.kind == "full" and what in ("os.rename", "half") and self.seen > self.at:
            return
        self.inside = True
        try:
            self.place = self.place or f"{what} {os.fsdecode(path)}"
            if half is not None:
                half()
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
                raise Killed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))
        finally:
            self.inside = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            wanted = os.O_CREAT if self.kind == "full" else os.O_WRONLY | os.O_RDWR | os.O_CREAT
            if isinstance(flags, int) and flags & wanted and not isinstance(path, int):
                self.hit("open", path)
        elif event == "os.mkdir" and os.path.isdir(arguments[0]):
            return  # `exist_ok`: the system says so before it looks for space
        elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.utime"):
            self.hit(event, arguments[1] if event == "os.rename" else arguments[0])

    def _patch(self) -> None:
        fault, real_open, real_fsync = self, io.open, os.fsync

        def opened(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            stream = real_open(file, mode, *rest, **options)
            if set(mode) & set("wax") and not isinstance(file, int) and fault._counts(file):
                return _Stream(stream, file, fault)
            return stream

        def fsync(handle: Any) -> None:
            number = handle if isinstance(handle, int) else handle.fileno()
            fault.hit("fsync", os.readlink(f"/proc/self/fd/{number}"))
            real_fsync(number)

        io.open = builtins.open = opened
        os.fsync = fsync
        import safetensors.numpy
        import safetensors.torch

        for module in (safetensors.numpy, safetensors.torch):
            self._patch_saving(module)

    def _patch_saving(self, module: Any) -> None:
        from safetensors import SafetensorError

        real, fault = module.serialize_file, self

        def saved(tensors: Any, filename: Any, metadata: Any = None) -> None:
            def half() -> None:
                real(tensors, filename, metadata)
                os.truncate(filename, os.path.getsize(filename) // 2)

            try:
                fault.hit("save", filename, half)
            except OSError as error:  # what the library makes of it
                raise SafetensorError(f"Error while serializing: I/O error: {error.strerror} (os error 28)") from error
            real(tensors, filename, metadata)

        module.serialize_file = saved


class _Stream:
    """A file open for writing whose writes count."""

    def __init__(self, stream: Any, path: Any, fault: Fault) -> None:
        self._stream, self._path, self._fault = stream, path, fault

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._stream.write(data[: len(data) // 2])
            self._stream.flush()

        self._fault.hit("write", self._path, half)
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._stream.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)


@dataclass
class Ended:
    """code: the exit code, or minus the signal. place: of the operation at which the fault was."""

    code: int
    text: str
    seconds: float
    operations: int = 0
    place: str = ""


@dataclass
class Bench:
    """Folders and environment of one campaign; starts commands."""

    folder: Path
    rng: random.Random
    only: str = ""
    starts: int = 0

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {"TRD_CACHE_DIR": str(self.cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "1000"}

    def start(self, arguments: list[str], fault: Fault | None = None, after: float | None = None) -> Ended:
        """Run `trd ARGUMENTS` to its end; after: seconds until it is killed."""
        self.starts += 1
        log, facts = self.folder / "log.txt", self.folder / "fault.json"
        facts.unlink(missing_ok=True)
        begin = time.monotonic()
        if fault is None and self.rng.random() < 0.1:
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "trd", *arguments], stdout=file, stderr=file, start_new_session=True,
                    env=os.environ | self.environment(),
                )  # fmt: skip
            pid, after = process.pid, None if after is None else after + 4 * self.rng.random()
        else:
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                _child(arguments, self.environment(), fault, log, facts)
        code = _waited(pid, after)
        seconds = time.monotonic() - begin
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        known = json.loads(facts.read_text()) if facts.exists() else {}
        return Ended(code, text, seconds, known.get("operations", 0), known.get("place", ""))


def _child(
    arguments: list[str], environment: dict[str, str], fault: Fault | None, log: Path, facts: Path
) -> None:  # never returns
    code = 1
    try:
        os.setpgid(0, 0)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.environ.update(environment)
        sys.argv = ["trd", *arguments]
        from trd.cli import main

        if fault is not None:
            fault.arm()
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        if fault is not None:
            fault.inside = True
            facts.write_text(json.dumps({"operations": fault.seen, "place": fault.place}))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(pid: int, after: float | None) -> int:
    """The exit code, or minus the signal; killed with its group `after` seconds, or when it takes too long (-99)."""
    begin = time.monotonic()
    late = False
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return -99 if late else os.waitstatus_to_exitcode(status)
        passed = time.monotonic() - begin
        late = passed > START_LIMIT
        if late or (after is not None and passed > after):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            after = None if after is not None else after
        time.sleep(0.002)


def contents(folder: Path) -> dict[str, bytes]:
    """Path -> content without what differs between two runs by right: times, memory, starts, versions of nothing else.

    run.json: started, continued, command, and of each stage seconds and peak memory. training.json: seconds.
    report.html: the time in its head line. Lightning's logs and the lock are left out.
    """
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if LOGS in path.relative_to(folder).parts or path.name == ".lock":
            continue
        data = path.read_bytes()
        with contextlib.suppress(ValueError):
            if path.name == "run.json":
                record = json.loads(data)
                for key in ("started", "continued", "command"):
                    record.pop(key, None)
                for stages in record.get("progress", {}).values():
                    for state in stages.values():
                        state.pop("seconds", None)
                        state.pop("peak_memory_mb", None)
                data = json.dumps(record, sort_keys=True).encode()
            elif path.name == "training.json":
                record = json.loads(data)
                record.pop("seconds", None)
                data = json.dumps(record, sort_keys=True).encode()
        if path.name == "report.html":
            data = re.sub(rb"command: [^\xc2<]*", b"", OF_TIMES.sub(b"", data))
        found[name] = data
    return found


def unreadable(folder: Path) -> list[str]:
    """Files under their final names that are not whole."""
    import imagecodecs
    import tifffile
    from safetensors.numpy import load_file

    bad = []
    for path in (p for p in folder.rglob("*") if p.is_file()):
        if LOGS in path.relative_to(folder).parts or path.name == ".lock" or SCRAP.match(path.name):
            continue
        try:
            match path.suffix:
                case ".json":
                    json.loads(path.read_bytes())
                case ".jsonl":
                    [json.loads(line) for line in path.read_text().splitlines()]
                case ".part":
                    [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
                case ".safetensors":
                    load_file(path)
                case ".png":
                    imagecodecs.png_decode(path.read_bytes())
                case ".tiff":
                    tifffile.imread(path)
                case ".csv":
                    with path.open(newline="") as file:
                        assert len({len(row) for row in csv.reader(file)}) == 1
                case ".html":
                    assert path.read_text("utf-8").rstrip().endswith("</html>")
                case _:
                    assert path.stat().st_size
        except Exception as error:
            bad.append(f"{path.relative_to(folder)}: {type(error).__name__} {str(error)[:80]}")
    return bad


def scraps(*folders: Path) -> list[str]:
    return [str(p.relative_to(folder)) for folder in folders for p in folder.rglob(".*") if p.name != ".lock"]


def different(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]


@dataclass
class Scenario:
    """A command, the state from which it starts, and what an uninterrupted run of it leaves."""

    name: str
    arguments: list[str]
    prepare: Callable[[], None]
    seconds: float = 0.0
    operations: int = 0
    writes: int = 0
    expected: dict[str, bytes] = field(default_factory=dict)
    cached: dict[str, bytes] = field(default_factory=dict)


def scenarios(bench: Bench) -> list[Scenario]:
    from trd.data.demo import draw_demo

    data, more, new, states = (bench.folder / name for name in ("data", "more", "new", "states"))
    draw_demo(data, seed=1, train=6, validation=4, good=2, per_kind=1)
    shutil.copytree(data, more)
    draw_demo(bench.folder / "second", seed=2, train=6, validation=4, good=2, per_kind=1)
    shutil.copytree(bench.folder / "second/biscuit", more / "scone")
    shutil.copytree(data / "biscuit/validation/good", new)
    sets = [part for value in TINY for part in ("--set", value)]

    def fresh(state: Path | None = None, warm: bool = False) -> Callable[[], None]:
        def prepare() -> None:
            for folder in (bench.out, *([] if warm else [bench.cache])):
                shutil.rmtree(folder, ignore_errors=True)
            if state is not None:
                shutil.copytree(state, bench.out)

        return prepare

    def keep(name: str, *commands: list[str]) -> Path:
        """State `name`: what these commands leave."""
        fresh()()
        for command in commands:
            ended = bench.start(command)
            assert ended.code == 0, ended.text
        return Path(shutil.copytree(bench.out, states / name))

    out = str(bench.out)
    train = ["train", "--data", str(data), "--out", out, *sets]
    trained = keep("trained", train)
    one = keep("one", ["train", "--data", str(more), "--out", out, "--classes", "biscuit", *sets])
    predict = ["predict", str(trained), "--raw-maps", "--out", out, "--input"]
    earlier = keep("earlier", [*predict, str(data / "biscuit/test/chip")], [*predict, str(data / "biscuit/test/good")])
    reproduce = ["reproduce", "folder", "--data", str(data), "--out", out, "--recipe", "lite-rgb", "--seeds", "1,2"]
    reproduce += [*sets, "--set", "training.epochs=2"]
    return [
        Scenario("train", train, fresh()),
        Scenario("train, a second class", ["train", "--data", str(more), "--out", out, *sets], fresh(one, warm=True)),
        Scenario("train --retrain", [*train, "--retrain"], fresh(trained, warm=True)),
        Scenario("evaluate", ["evaluate", out], fresh(trained, warm=True)),
        Scenario("predict", [*predict, str(new)], fresh(earlier, warm=True)),
        Scenario("reproduce", reproduce, fresh(warm=True)),
    ]


def measure(bench: Bench, scenario: Scenario) -> None:
    """The uninterrupted run: duration, file operations, what it leaves."""
    scenario.prepare()
    ended = bench.start(scenario.arguments)  # where the cache is to be warm, it is from here on
    assert ended.code == 0, ended.text
    for kind in ("count", "full"):
        scenario.prepare()
        ended = bench.start(scenario.arguments, Fault((str(bench.out), str(bench.cache)), kind))
        assert ended.code == 0, ended.text
        if kind == "count":
            scenario.operations, scenario.seconds = ended.operations, ended.seconds
            scenario.expected, scenario.cached = contents(bench.out), contents(bench.cache)
        else:
            scenario.writes = ended.operations
    again = different(scenario.expected, contents(bench.out))
    assert not again, f"{scenario.name} does not repeat itself without any fault: {again}"


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def found(self, what: str, where: str) -> None:
        self.counts[what] += 1
        line = f"{what}: {where}"
        self.findings.append(line)
        print(f"  FOUND {line}", flush=True)


def kill(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Chains of one to three kills at random moments, then the same command to its end."""
    wanted, rows, findings = count or 50, [], []
    cases = [case for case in scenarios(bench) if bench.only in ("", case.name)]
    end = time.monotonic() + 60 * minutes
    for number, case in enumerate(cases):
        tally, share = Tally(), time.monotonic() + (end - time.monotonic()) / (len(cases) - number)
        measure(bench, case)
        while tally.counts["kills"] < wanted and time.monotonic() < share:
            _chain(bench, case, tally, bench.rng.choice((1, 1, 2, 3)))
        t = tally.counts
        rows.append([case.name, t["kills"], t["by the clock"], t["chains"], t["not whole"], t["did not go on"],
                     t["different"], t["scraps left"], t["cache differs"]])  # fmt: skip
        print(f"{case.name}: {dict(t)}", flush=True)
        findings += [f"{case.name}: {line}" for line in tally.findings]
    head = ["command", "kills", "of these by the clock", "runs completed", "files not whole", "did not go on",
            "different from uninterrupted", "temporary files left", "cache entries different"]  # fmt: skip
    return head, rows, findings


def _chain(bench: Bench, case: Scenario, tally: Tally, kills: int) -> None:
    case.prepare()
    moments = []
    for _ in range(kills):
        fault, after = None, None
        if bench.rng.random() < 0.4:
            after = bench.rng.uniform(0, case.seconds)
        else:
            fault = Fault((str(bench.out), str(bench.cache)), "kill", bench.rng.randint(1, case.operations))
        ended = bench.start(case.arguments, fault, after)
        moment = f"after {after:.2f} s" if after is not None else f"operation {fault.at} of {case.operations}"
        moments.append(moment)
        if ended.code == -signal.SIGKILL:
            tally.counts["kills"] += 1
            tally.counts["by the clock"] += after is not None
        elif ended.code != 0:
            tally.found("did not go on", f"{moments}: exit {ended.code}: {_last(ended.text)}")
            return
        for folder in (bench.out, bench.cache):
            for bad in unreadable(folder):
                tally.found("not whole", f"{moments}: {bad}")
    ended = bench.start(case.arguments)
    tally.counts["chains"] += 1
    if ended.code != 0:
        tally.found("did not go on", f"{moments}: exit {ended.code}: {_last(ended.text)}")
        return
    if names := different(case.expected, contents(bench.out)):
        tally.found("different", f"{moments}: {names}")
    if left := scraps(bench.out):
        tally.found("scraps left", f"{moments}: {left}")
    shared = {n: data for n, data in contents(bench.cache).items() if not SCRAP.match(n)}
    if names := different(case.cached, shared):
        tally.found("cache differs", f"{moments}: {names}")


def full(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """The disk is full at a random write (and stays so, half of the times); later there is room again."""
    wanted, rows, findings = count or 20, [], []
    cases = [case for case in scenarios(bench) if bench.only in ("", case.name) and "--retrain" not in case.name]
    end = time.monotonic() + 60 * minutes
    for number, case in enumerate(cases):
        tally, share = Tally(), time.monotonic() + (end - time.monotonic()) / (len(cases) - number)
        measure(bench, case)
        while tally.counts["times"] < wanted and time.monotonic() < share:
            _fill(bench, case, tally)
        t = tally.counts
        rows.append([case.name, t["times"], t["said so"], t["went on"], t["unclear"], t["not whole"], t["scraps left"],
                     t["did not go on"], t["different"]])  # fmt: skip
        print(f"{case.name}: {dict(t)}", flush=True)
        findings += [f"{case.name}: {line}" for line in tally.findings]
    head = ["command", "times full", "exit code 2 naming the file", "in cache or log: went on without", "unclear end",
            "files not whole", "temporary files left", "did not go on afterwards", "different afterwards"]  # fmt: skip
    return head, rows, findings


def _fill(bench: Bench, case: Scenario, tally: Tally) -> None:
    case.prepare()
    at, sticky = bench.rng.randint(1, case.writes), bench.rng.random() < 0.5
    fault = Fault((str(bench.out), str(bench.cache)), "full", at, sticky)
    ended = bench.start(case.arguments, fault)
    tally.counts["times"] += 1
    where = f"write {fault.at} of {case.writes}{' and later' if fault.sticky else ''} ({ended.place})"
    in_cache = str(bench.cache) in ended.place
    last_words = f"/{LOGS}/" in ended.place  # of TensorBoard, which nobody waits for
    if ended.code == 0 and (last_words or (in_cache and "no longer stored" in ended.text)):
        tally.counts["went on"] += 1
    elif ended.code == 2 and str(bench.out) in ended.text and "Traceback" not in ended.text:
        tally.counts["said so"] += 1
    else:
        tally.found("unclear", f"{where}: exit {ended.code}: {_last(ended.text)}")
    for folder in (bench.out, bench.cache):
        for bad in unreadable(folder):
            tally.found("not whole", f"{where}: {bad}")
    if left := scraps(bench.out, bench.cache):
        tally.found("scraps left", f"{where}: {left}")
    ended = bench.start(case.arguments)
    if ended.code != 0:
        tally.found("did not go on", f"{where}: exit {ended.code}: {_last(ended.text)}")
    elif names := different(case.expected, contents(bench.out)):
        tally.found("different", f"{where}: {names}")


def _last(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-4:])[-600:]


def _stored_readers(bench: Bench) -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """What TRD itself reads back, in a copy of a run folder: the file with this name is damaged there."""
    from rich.console import Console

    from trd.config import load_recipe
    from trd.data.listing import class_folders
    from trd.evaluation.evaluate import read_metrics
    from trd.methods.trd.training.checkpoint import SafetensorsIO, read_epoch, read_state
    from trd.predictions import _earlier_ids
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
        run / "scores.jsonl": lambda path: _earlier_ids(path.parent),
        run / "last.safetensors": lambda path: (read_epoch(path), read_state(path)),
        run / "recipe-of-user.toml": load_recipe,
    }
    return {str(path): (path.read_bytes(), read) for path, read in readers.items()}


def _tensor() -> Any:
    import torch

    return torch.arange(6.0).reshape(2, 3)


def readers(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Every reader against damaged files, in a child process that is watched."""
    damage = importlib.import_module("damage")
    from trd.data.demo import draw_demo

    draw_demo(bench.folder / "data", seed=1, train=2, validation=2, good=1, per_kind=1)
    run = bench.folder / "run"
    sets = [part for value in (*TINY, "training.epochs=1") for part in ("--set", value)]
    ended = bench.start(["train", "--data", str(bench.folder / "data"), "--out", str(run), *sets])
    assert ended.code == 0, ended.text
    some = bench.folder / "data/biscuit/test/good"
    ended = bench.start(["predict", str(run), "--input", str(some), "--out", str(run)])
    assert ended.code == 0, ended.text
    files = {name: (data, read, "sensor") for name, (data, read) in damage.valid_files().items()}
    files |= {name: (data, read, "stored") for name, (data, read) in _stored_readers(bench).items()}
    damage.write_beside(bench.folder)
    per_file = (count or 20_000) // sum(kind == "sensor" for _, _, kind in files.values()) + 1
    tallies: dict[tuple[str, str], Counter[str]] = {}
    findings: list[str] = []
    end = time.monotonic() + 60 * minutes
    for name, (data, read, kind) in files.items():
        path = bench.folder / name
        tally = tallies.setdefault((kind, Path(name).suffix), Counter())
        seed = 0
        while seed < per_file and time.monotonic() < end:
            seed = _watched(path, data, read, seed, per_file, tally, findings)
        path.write_bytes(data)
        read(path)
    rows = [[f"{suffix[1:]} ({'of TRD' if kind == 'stored' else 'of sensors'})", t["files"], t["read"], t["refused"],
             t["other error"], t["crashed"], t["hung"], f"{t['memory'] / 2**20:.0f} MB", f"{t['slowest'] / 1000:.2f} s"]
            for (kind, suffix), t in tallies.items()]  # fmt: skip
    head = ["format", "damaged files", "read", "refused (TRDError)", "other errors", "crashes", "hangs", "peak memory",
            "slowest"]  # fmt: skip
    total = sum(row[1] for row in rows)
    rows.append(["all", total, *(sum(row[i] for row in rows) for i in range(2, 7)), "", ""])
    return head, rows, findings


def _watched(
    path: Path, data: bytes, read: Any, first: int, last: int, tally: Counter[str], findings: list[str]
) -> int:
    """Damage and read with seeds from `first` on; the seed to go on with. The child says what it is at."""
    theirs, ours = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(theirs)
        _read_all(path, data, read, first, last, ours)
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


def _read_all(path: Path, data: bytes, read: Any, first: int, last: int, pipe: int) -> None:  # never returns
    from damage import mutated

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
            path.write_bytes(mutated(data, seed))
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


def _status(key: str, pid: int | str = "self") -> int:
    """KiB of /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def _size() -> int:
    return _status("VmSize") * 1024


def _peak() -> int:
    return _status("VmHWM")


HUGE = 10**30
WRONG_TYPES: tuple[Any, ...] = ([], [1, 2, 3, 4, 5], {}, {"x": 1}, None, "nonsense", "x" * 100_000)
ANY_SIZE = ("learning_rate",)  # too large a one diverges, and training says so
NUMBERS: tuple[Any, ...] = (float("nan"), float("inf"), float("-inf"), -HUGE, HUGE, -1e308, 1e308)


def recipe_fields() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path of every field of a recipe -> pydantic's facts of it; sections themselves too."""
    from typing import Annotated, get_args, get_origin

    from pydantic import BaseModel

    from trd import config
    from trd.methods.trd.config import TRDConfig

    def walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, info in model.model_fields.items():
            yield (*path, name), info
            kind = info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not config.MethodConfig:
                yield from walk(kind, (*path, name))

    yield from walk(config.Recipe, ())
    yield from walk(TRDConfig, ("method",))
    union = get_args(config.ModalityInput)[0]
    assert get_origin(config.ModalityInput) is Annotated
    for kind in get_args(union):
        yield from walk(kind, ("modalities", str(get_args(kind.model_fields["representation"].annotation)[0])))


def wrong_values(info: Any) -> list[Any]:
    """Values that cannot be meant: of another type, beyond the field's bounds, of another length; not what is valid.

    Text fields take any text, so that only other types are wrong for them.
    """
    schema = _schema(info)
    kinds = {schema.get("type")} | {option.get("type") for option in schema.get("anyOf", [])}
    fixed = [v for part in (schema, *schema.get("anyOf", [])) for v in (*part.get("enum", []), part.get("const"))]
    wrong: list[Any] = list(WRONG_TYPES)
    numeric = kinds & {"integer", "number"}
    if numeric:
        wrong += NUMBERS
        for part in (schema, *schema.get("anyOf", [])):
            wrong += [part[key] - step for key, step in (("minimum", 1), ("exclusiveMinimum", 0)) if key in part]
            wrong += [part[key] + step for key, step in (("maximum", 1), ("exclusiveMaximum", 0)) if key in part]
            if "multipleOf" in part:
                wrong.append(part.get("minimum", 0) + 1)
        wrong += [True, "1e"] + ([1.5] if "number" not in kinds else [])
    elif "boolean" in kinds:
        wrong += [2, -1, 0.5, *NUMBERS]
    elif "array" in kinds:
        wrong = [value for value in wrong if value != [] or "minItems" in json.dumps(schema)]
        wrong += [
            1,
            [HUGE] * 3,
            [True] * 3,
            [-1] * 3,
            [float("nan")] * 2,
            ["x"] * 3,
            [HUGE],
            [[1]] * 3,
            [None] * 3,
            [1.5] * 3,
            *NUMBERS,
        ]
    elif "string" in kinds and not any(fixed):
        wrong = [value for value in wrong if not isinstance(value, str)] + [1, True, *NUMBERS]
    else:
        wrong += [1, True, "", *NUMBERS]
    if "object" in kinds or "$ref" in json.dumps(schema):
        wrong = [value for value in wrong if value not in ({}, None) and not isinstance(value, dict)] + [{"x": 1}]
    return [value for value in wrong if not any(value is f or (type(value) is type(f) and value == f) for f in fixed)]


def _schema(info: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter

    kind = info.annotation
    for extra in info.metadata:
        from typing import Annotated

        kind = Annotated[kind, extra]
    try:
        return TypeAdapter(kind).json_schema()
    except Exception:
        return {"type": "object"}


Try = Callable[[], object]


def _tried(call: Try, field_name: str, shown: str, tally: Counter[str], findings: list[str], wrong: bool) -> None:
    """Whether it is refused, by name; wrong: it has to be."""
    from trd.errors import RecipeError

    tally["values"] += 1
    try:
        call()
        tally["accepted"] += 1
        if wrong:
            findings.append(f"accepted: {shown}")
    except RecipeError as error:
        tally["refused"] += 1
        if field_name not in str(error) or len(str(error)) > 5000:
            tally["unnamed"] += 1
            findings.append(f"{shown}: message of {len(str(error))} characters: {str(error)[:200]}")
    except Exception as error:
        tally["other"] += 1
        findings.append(f"{type(error).__name__}: {shown}: {str(error)[:100]}")


ODD_TEXTS = (
    b"a = " + b"[" * 100_000, b"a = " + b"{a=" * 50_000, b".".join([b"a"] * 50_000) + b" = 1", b"\xff\xfe",
    b"seed = " + b"9" * 10_000, b"[" * 5_000, b"x" * 10_000_000, b"a = '" + b"x" * 10_000_000 + b"'",
    b"[frame]\nsize = 1e999", b"[frame]\nmargin = 2020-01-01", b"modalities = 3", b"[[modalities]]", b"",
)  # fmt: skip
ODD_OVERRIDES = (
    "", "=", ".=1", "a..b=1", "seed=" + "9" * 5000, "a=" + "[" * 100_000, ".".join("a" * 50_000) + "=1", "seed=nan",
    "frame=1", "name=[", "method=trd2", "modalities={}", "classes.a=1", "classes=1", "training=1", "seed=1\n[frame]",
)  # fmt: skip


def recipes(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Every field against values out of range and of other types; recipe files with damaged text."""
    from damage import mutated

    from trd.config import _validated, load_recipe, recipe_names

    findings: list[str] = []
    of_values, of_texts, of_overrides = Counter[str](), Counter[str](), Counter[str]()
    base = load_recipe("lite-rgb-normals").model_dump(mode="json")
    base["modalities"] = {
        name: {"representation": name, "source": "rgb" if name == "image" else "xyz"}
        for name in ("image", "depth_image", "sobel_normals", "surface_normals")
    }
    _validated(base, "base")
    fields = list(recipe_fields())
    for path, info in fields:
        for value in wrong_values(info):
            tree = json.loads(json.dumps(base))
            place = tree
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = value
            large = path[-1] in ANY_SIZE and isinstance(value, int | float) and value > 1
            shown = f"{'.'.join(path)} = {repr(value)[:40]}"
            _tried(lambda tree=tree: _validated(tree, "it"), path[-1], shown, of_values, findings, not large)
    for override in ODD_OVERRIDES:
        call = lambda override=override: load_recipe("lite-rgb-normals", [override])  # noqa: E731
        _tried(call, "", f"override {override[:30]!r}", of_overrides, findings, False)
    end = time.monotonic() + 60 * minutes
    texts = [load_recipe(name).to_toml().encode() for name in recipe_names()]
    file = bench.folder / "recipe.toml"
    for number in range(count or 20_000):
        if time.monotonic() > end:
            break
        text = ODD_TEXTS[number] if number < len(ODD_TEXTS) else mutated(texts[number % len(texts)], number)
        file.write_bytes(text)
        _tried(lambda: load_recipe(file), "", f"text {number} ({text[:40]!r})", of_texts, findings, False)
    head = ["what", "tried", "refused (RecipeError)", "accepted", "other errors", "messages without the field"]
    rows = [[name, t["values"], t["refused"], t["accepted"], t["other"], t["unnamed"]]
            for name, t in ((f"wrong values for {len(fields)} fields", of_values), ("odd overrides", of_overrides),
                            ("damaged recipe files", of_texts))]  # fmt: skip
    return head, rows, findings


def predict(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Resident memory of `trd predict` over many parts: names linked to a few drawn samples."""
    from trd.data.demo import draw_demo

    data, run = bench.folder / "data", bench.folder / "run"
    draw_demo(data, seed=1, train=6, validation=4, good=2, per_kind=1)
    sets = [part for value in TINY for part in ("--set", value)]
    ended = bench.start(["train", "--data", str(data), "--out", str(run), *sets])
    assert ended.code == 0, ended.text
    rows, findings = [], []
    parts = count or 10_000
    for title, number, options in (
        ("scores only", parts, ["--no-overlays"]),
        ("with overlays and maps", parts // 10, ["--raw-maps"]),
    ):
        place = bench.folder / f"parts-{number}"
        samples = [data / "biscuit/test" / kind for kind in ("good", "chip", "dent", "stain")]
        for source, suffix in (("rgb", ".png"), ("xyz", ".tiff")):
            (place / source).mkdir(parents=True)
            for index in range(number):
                os.link(samples[index % 4] / source / f"000{suffix}", place / source / f"{index:05d}{suffix}")
        curve, seconds, code = _memory_curve(bench, run, place, options, number, 60 * minutes)
        warm = [kib for done, kib in curve if 0.05 * number <= done < 0.15 * number] or [curve[-1][1]]
        late = [kib for done, kib in curve if done >= 0.9 * number] or [curve[-1][1]]
        before, after = max(warm) / 1024, max(late) / 1024
        rows.append([title, number, f"{before:.0f} MB", f"{after:.0f} MB", f"{100 * (after / before - 1):+.1f} %",
                     f"{seconds:.0f} s", code])  # fmt: skip
        if abs(after / before - 1) > 0.05 or code:
            findings.append(f"{title}: {before:.0f} MB -> {after:.0f} MB, exit {code}")
    head = ["predict", "parts", "memory at 5 to 15 %", "memory at the last 10 %", "growth", "time", "exit code"]
    return head, rows, findings


def _memory_curve(
    bench: Bench, run: Path, place: Path, options: list[str], number: int, limit: float
) -> tuple[list[tuple[int, int]], float, int]:
    out = bench.folder / f"results-{number}"
    command = [sys.executable, "-m", "trd", "predict", str(run), "--input", str(place), "--out", str(out), *options]
    begin = time.monotonic()
    log = (bench.folder / "log.txt").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | bench.environment())
    curve: list[tuple[int, int]] = []
    partial = out / "scores.jsonl.part"
    done, offset = 0, 0
    while process.poll() is None:
        time.sleep(0.2)
        with contextlib.suppress(OSError):
            with partial.open("rb") as file:
                file.seek(offset)
                chunk = file.read()
            done, offset = done + chunk.count(b"\n"), offset + len(chunk)
            if resident := _status("VmRSS", process.pid):
                curve.append((done, resident))
        if time.monotonic() - begin > limit:
            process.kill()
    return curve, time.monotonic() - begin, process.wait()


PARTS = {"kill": kill, "full": full, "readers": readers, "recipes": recipes, "predict": predict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--count", type=int, help="of kills or full disks per command, files, parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="one of the commands that are killed or filled, such as train")
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT / "src"))
    _import_once()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="campaign-") as folder:
        bench = Bench(Path(folder).resolve(), random.Random(arguments.seed), arguments.only)
        os.environ.update(bench.environment())
        head, rows, findings = PARTS[arguments.part](bench, arguments.minutes, arguments.count)
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(f"\n{len(findings)} findings")
    for finding in findings:
        print(f"- {finding}")
    from trd.compute.precision import processor_name

    names = ("trd-anomaly", "torch", "numpy", "safetensors")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    print(
        f"\n`campaign.py {arguments.part} --seed {arguments.seed}`, {time.strftime('%Y-%m-%d')}, "
        f"{(time.monotonic() - begin) / 60:.1f} min on one core of {processor_name()}; Python "
        f"{sys.version.split()[0]}, {versions}"
    )
    raise SystemExit(bool(findings))


def _import_once() -> None:
    """What the commands import, so that forked processes need not."""
    for name in ("trd.cli", "trd.runs", "trd.predictions", "trd.reproduce.reproduce", "trd.methods.trd", "trd.detector",
                 "matplotlib.figure", "matplotlib.backends.backend_agg", "tensorboard",
                 "torch.utils.tensorboard", "trd.data.demo", "scipy.ndimage"):  # fmt: skip
        importlib.import_module(name)


if __name__ == "__main__":
    main()
