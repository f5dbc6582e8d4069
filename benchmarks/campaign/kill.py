"""Part `kill`: commands that are killed and go on."""

from __future__ import annotations

import signal
import time
from typing import Any

from faults import Fault
from leavings import SCRAP, contents, different, scraps, unreadable
from scenarios import Scenario, Tally, last_lines, measure, scenarios

from bench import Bench


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
            tally.found("did not go on", f"{moments}: exit {ended.code}: {last_lines(ended.text)}")
            return
        for folder in (bench.out, bench.cache):
            for bad in unreadable(folder):
                tally.found("not whole", f"{moments}: {bad}")
    ended = bench.start(case.arguments)
    tally.counts["chains"] += 1
    if ended.code != 0:
        tally.found("did not go on", f"{moments}: exit {ended.code}: {last_lines(ended.text)}")
        return
    if names := different(case.expected, contents(bench.out)):
        tally.found("different", f"{moments}: {names}")
    if left := scraps(bench.out):
        tally.found("scraps left", f"{moments}: {left}")
    shared = {n: data for n, data in contents(bench.cache).items() if not SCRAP.match(n)}
    if names := different(case.cached, shared):
        tally.found("cache differs", f"{moments}: {names}")
