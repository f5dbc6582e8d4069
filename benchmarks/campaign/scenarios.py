"""The commands that are killed or run out of space, and what an uninterrupted run of each leaves."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faults import Fault
from leavings import contents, different

from bench import TINY, Bench


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


def last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-4:])[-600:]
