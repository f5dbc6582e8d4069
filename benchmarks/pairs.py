"""Arguments of benchmarks that measure trained detectors, each on its class."""

from __future__ import annotations

import argparse
from pathlib import Path


def pairs_parser(doc: str | None) -> argparse.ArgumentParser:
    """Of arguments RUN/CLASS=DATA/CLASS: `classes` of what it parses, (run, data) each. doc: of the script."""
    text = doc or ""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classes", nargs="+", type=_pair, metavar="RUN/CLASS=DATA/CLASS")
    return parser


def _pair(value: str) -> tuple[str, str]:
    run, _, data = value.partition("=")
    for folder in (run, data):
        if not Path(folder).is_dir():
            raise argparse.ArgumentTypeError(f"'{value}': there is no folder '{folder}'; expected RUN/CLASS=DATA/CLASS")
    return run, data
