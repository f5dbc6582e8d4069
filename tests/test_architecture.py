"""Imports go one way: a room may only use rooms above it in the list; modules import each other without a circle."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import trd

ORDER = [
    ["errors", "extras", "types", "files", "pages", "cluster", "processes", "progress", "statistics"],
    ["config"],
    ["data"],
    ["preprocess"],
    ["decision"],
    ["engines"],
    ["teachers"],
    ["evidence"],
    ["stored"],
    ["packages"],
    ["detector"],
    ["training"],
    ["evaluation"],
    ["export"],
    ["check"],
    ["predictions", "runs"],
    ["reference"],
    ["trd_bench"],
    ["trd_station"],
    ["cli"],
]
"""Rooms: the folders and modules of `trd`, and the packages beside it."""
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
SOURCES = Path(trd.__file__).parent.parent
PACKAGES = ("trd", "trd_bench", "trd_station")
OUTSIDE = ("__init__", "__main__", "recipes")  # the package's own names, and data


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for package in PACKAGES for path in (SOURCES / package).rglob("*.py")}


def imported(source: str, known: frozenset[str] | set[str]) -> set[str]:
    """Modules of `known` that a source imports anywhere: `import trd.x`, `from trd.x import y`, `from trd import x`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        assert not (isinstance(node, ast.ImportFrom) and node.level), "relative imports hide where they go"
        found |= {name for name in names if name in known and name != "trd"}
    return found


def room(module: str) -> str:
    package, *inside = module.split(".")
    return inside[0] if package == "trd" and inside else package


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import trd.data.images", {"trd.data.images"}),
        ("from trd.data import images", {"trd.data", "trd.data.images"}),
        ("from trd import processes", {"trd.processes"}),
        ("def f():\n    from trd.config import Recipe", {"trd.config"}),
        ("import trdx\nfrom json import loads", set()),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: set[str]) -> None:
    assert imported(source, set(MODULES)) == expected


def test_every_room_has_a_place() -> None:
    assert {room(module) for module in MODULES} - {"trd", *OUTSIDE} == set(RANK)


def test_imports_go_one_way() -> None:
    wrong = []
    for module, path in MODULES.items():
        if module == "trd" or room(module) in OUTSIDE:
            continue
        for other in imported(path.read_text("utf-8"), set(MODULES)):
            if RANK[room(other)] > RANK[room(module)]:
                wrong.append(f"{module} imports {other}")
    assert not wrong


def test_modules_import_each_other_without_a_circle() -> None:
    graph = {
        module: {other for other in imported(path.read_text("utf-8"), set(MODULES)) if other != module}
        for module, path in MODULES.items()
        if room(module) not in OUTSIDE
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


TORCH_FREE = (
    "types",
    "config",
    "data",
    "preprocess",
    "decision",
    "stored",
    "packages",
    "detector",
    "training",
    "evaluation",
)

WITHOUT_TORCH = """
import sys
for name in ("torch", "lightning", "torchvision"):
    sys.modules[name] = None  # importing them fails from here on
import importlib, json
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
import numpy as np
from pathlib import Path
from trd.config import load_recipe
from trd.data.listing import class_folders, list_class
from trd.data.loading import load_sample
from trd.decision.calibrate import calibrate
from trd.decision.maps import branch_maps, fused_map
from trd.evaluation.figures import overlay
from trd.preprocess.pipeline import Pipeline

recipe = load_recipe("lite-rgb-normals", ["frame.size=64"])
(place,) = class_folders(Path(sys.argv[2]))
files = list_class(place.path, "", recipe.sources, recipe.point_cloud_sources)
samples = [load_sample(sample, recipe.point_cloud_sources) for sample in files.train]
pipeline = Pipeline.fit(recipe, samples)
prepared = [pipeline(sample) for sample in samples]
raw = {name: np.stack([part.images[name].std(axis=0) for part in prepared]) for name in recipe.modalities}
calibration = calibrate(raw, [part.region for part in prepared], recipe.scoring)
maps = branch_maps({n: m[0] for n, m in raw.items()}, calibration.maps, calibration.sigma, prepared[0].region)
fused = fused_map(calibration.standardised(maps), calibration.fusion)
print(calibration.p_value(float(fused.max())), calibration.image_threshold.value)
overlay(np.zeros((*fused.shape, 3), np.uint8), fused, calibration.image_threshold.value)
assert "torch" not in sys.modules or sys.modules["torch"] is None
"""


def test_records_and_steps_run_without_torch(drawn: Path) -> None:
    """Everything but what computes the raw maps; here their place is taken by the images' own spread."""
    import json

    modules = [module for module in MODULES if module != "trd" and room(module) in TORCH_FREE]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(modules), str(drawn)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert 0 < float(done.stdout.split()[0]) <= 1
