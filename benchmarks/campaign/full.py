"""Part `full`: commands whose disk is full, and later is not."""

from __future__ import annotations

import time
from typing import Any

from faults import Fault
from leavings import LOGS, contents, different, scraps, unreadable
from scenarios import Scenario, Tally, last_lines, measure, scenarios

from bench import Bench


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
        tally.found("unclear", f"{where}: exit {ended.code}: {last_lines(ended.text)}")
    for folder in (bench.out, bench.cache):
        for bad in unreadable(folder):
            tally.found("not whole", f"{where}: {bad}")
    if left := scraps(bench.out, bench.cache):
        tally.found("scraps left", f"{where}: {left}")
    ended = bench.start(case.arguments)
    if ended.code != 0:
        tally.found("did not go on", f"{where}: exit {ended.code}: {last_lines(ended.text)}")
    elif names := different(case.expected, contents(bench.out)):
        tally.found("different", f"{where}: {names}")
