"""What commands leave in their folders: content to compare, what is not whole, temporary files."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from pathlib import Path

LOGS = "logs"  # Lightning's: appended to, not whole
SCRAP = re.compile(r"^\..+\.trd-[0-9a-f]{8}(\.\w+)?$")
OF_TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


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
