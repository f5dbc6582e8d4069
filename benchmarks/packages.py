"""A thousand damaged packages: each must be refused in one line, within a second; never a crash, never a wrong content.

    python benchmarks/packages.py part.trdm --count 1000

Bytes changed, cut out, put in, swapped, and whole runs zeroed, by seed; prints what was refused with which message, and
the longest time. What is not refused must have the content that was written (a ZIP file has bytes that nobody reads).
"""

from __future__ import annotations

import argparse
import collections
import tempfile
import time
from pathlib import Path

import numpy as np

from trd.errors import TRDError
from trd.packages.package import read_package


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        place, length = int(random.integers(len(changed))), int(random.integers(1, 5000))
        match int(random.integers(5)):
            case 0:
                changed[place] ^= int(random.integers(1, 256))
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = random.bytes(length)
            case 3:
                changed[place : place + length] = bytes(len(changed[place : place + length]))
            case _:
                del changed[place:]
        changed = changed or bytearray(b"x")
    return bytes(changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    data, before = options.package.read_bytes(), read_package(options.package).contents
    seen, longest = collections.Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.trdm"
        for seed in range(options.count):
            path.write_bytes(mutated(data, np.random.default_rng(seed)))
            begin = time.perf_counter()
            try:
                if read_package(path).contents != before:
                    raise SystemExit(f"seed {seed}: another content was taken for good")
                seen["harmless"] += 1
            except TRDError as error:
                if "\n" in str(error):
                    raise SystemExit(f"seed {seed}: more than a line: {error}") from error
                seen[str(error).replace(str(path), "PACKAGE").partition("(")[0][:80]] += 1
            longest = max(longest, time.perf_counter() - begin)
    for message, count in seen.most_common():
        print(f"{count:5d}  {message}")
    print(f"{options.count} packages, longest {longest:.2f} s")


if __name__ == "__main__":
    main()
