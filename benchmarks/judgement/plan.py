"""The tasks of a judgement, as JSON lines, the most wanted first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

DEFAULT = "lite-residual"  # the default until 2026-11-30; docs/results.md has its figures
PEERS = {"statistics": "patch-statistics", "bank": "lite-memory-bank", "mapping": "lite-crossmodal-mapping"}
FEW, DRAWS = (5, 10, 20), (0, 1)


@dataclass(frozen=True)
class Task:
    """One training and its measurement. parts: indices of the training parts used, None for all. bad: "KIND/STEM" of
    those planted among them. rescored: name -> settings under which the same network is scored and calibrated again."""

    name: str
    class_name: str
    recipe: str
    train: str
    test: str
    seed: int
    settings: Sequence[str] = ()
    parts: Sequence[int] | None = None
    bad_root: str = ""
    bad: Sequence[str] = ()
    rescored: dict[str, Sequence[str]] = field(default_factory=dict)


def show(train: Path, test: Path, bad: Path | None, seeds: Sequence[int]) -> None:
    classes = sorted(path.name for path in test.iterdir() if (path / "test").is_dir())
    for name in _names(seeds, bad is not None):
        for class_name in classes:
            print(json.dumps(asdict(_task(name, class_name, train, test, bad))))


def _names(seeds: Sequence[int], bad: bool) -> Iterator[str]:
    first, *rest = seeds
    methods = ["default", *PEERS]
    yield from (f"{method}-{first}" for method in methods)
    yield from (f"{method}-{seed}" for seed in rest for method in methods)
    yield from (f"{variant}-{first}" for variant in ("no_amplifier", "filter"))
    yield from (
        f"{method}-{first}-{count}{'ab'[draw]}"
        for draw in DRAWS
        for count in FEW
        for method in ("default", "statistics", "bank")
    )
    if bad:
        yield from (f"{method}-{first}-{kind}" for kind in ("bad", "without") for method in methods)


def _task(name: str, class_name: str, train: Path, test: Path, bad: Path | None) -> Task:
    method, seed, *what = name.split("-")
    settings = {"filter": ["student.filter=true"], "no_amplifier": ["student.amplifier=false"]}
    own = train.resolve() / class_name / "train/good/rgb"
    count = len(list(own.iterdir()))
    parts, planted = None, []
    if what and what[0] in ("bad", "without"):
        kinds = sorted(
            path.name for path in (bad or test).joinpath(class_name, "test").iterdir() if path.name != "good"
        )
        parts = list(range(count - len(kinds)))
        if what[0] == "bad":
            planted = [f"{kind}/{_first(bad or test, class_name, kind)}" for kind in kinds]
    elif what:
        number, draw = int(what[0][:-1]), "ab".index(what[0][-1])
        parts = sorted(np.random.default_rng([number, draw]).permutation(count)[:number].tolist())
    rescored = {"network": ["evidence.patch_statistics=false"]} if PEERS.get(method) is None and not what else {}
    if method == "default" and not what:
        rescored["sum"] = ["scoring.fusion=sum"]
    return Task(
        name=f"{name}.{class_name}",
        class_name=class_name,
        recipe=PEERS.get(method, DEFAULT),
        train=str(train.resolve()),
        test=str(test.resolve()),
        seed=int(seed),
        settings=settings.get(method, []),
        parts=parts,
        bad_root=str(bad.resolve()) if bad and planted else "",
        bad=planted,
        rescored=rescored,
    )


def _first(root: Path, class_name: str, kind: str) -> str:
    return min(path.stem for path in (root / class_name / "test" / kind / "rgb").iterdir())
