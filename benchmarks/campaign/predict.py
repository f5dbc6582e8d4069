"""Part `predict`: memory of a prediction of many thousand parts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import TINY, Bench, process_status


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
            if resident := process_status("VmRSS", process.pid):
                curve.append((done, resident))
        if time.monotonic() - begin > limit:
            process.kill()
    return curve, time.monotonic() - begin, process.wait()
