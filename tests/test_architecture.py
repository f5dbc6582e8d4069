"""Imports go one way: a room may only use rooms above it in the list; modules import each other without a circle."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import trd

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    ["learning"],
    ["reference"],
    ["cli"],
    ["trd_bench", "trd_station"],
]
"""Rooms: the folders and modules of `trd`, and the packages beside it."""
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
SOURCES = Path(trd.__file__).parent.parent
PACKAGES = ("trd", "trd_bench", "trd_station")
STATION_USES = {
    "trd.check.check": "ClassCheck LOOK PartPicture check_class",
    "trd.cli.app": "DeviceOption app console errors shown terminated_as_interrupted",
    "trd.config": "DEFAULT_RECIPE REVERSE_DISTILLATION Recipe load_recipe recipe_from_toml recipe_names",
    "trd.data.camera_files": "of_new_parts",
    "trd.data.cameras": "camera_values read_camera",
    "trd.data.clouds": "CLOUD_SUFFIXES read_cloud",
    "trd.data.defective": "DEFECT list_defective",
    "trd.data.endings": "DOCUMENTS by_ending counted remedy",
    "trd.data.images": "IMAGE_SUFFIXES png_header read_image",
    "trd.data.labels": "label_of",
    "trd.data.limits": "max_pixels",
    "trd.data.listing": "list_class list_unlabelled",
    "trd.data.loading": "load_sample",
    "trd.data.masks": "MASK_END MASK_FOLDERS",
    "trd.data.names": "part_name",
    "trd.data.views": "arrays_of_sample sample_of_arrays",
    "trd.decision.kinds": "UNLIKE",
    "trd.detector": "Detector ScoredSample checked",
    "trd.errors": "CheckpointError DamagedFileError DataError OutputError RecipeError TRDError",
    "trd.evaluation.figures": "outlined png",
    "trd.export.export": "ExportJob export",
    "trd.extras": "explained require",
    "trd.files": "LOCK SCRAP csv_line delete_scraps folder_to_disk locked to_disk write_bytes write_json write_whole",
    "trd.learning.good_parts": "GoodJudgement GoodPartsRefused",
    "trd.learning.judge": "Judgement",
    "trd.learning.labels": "DoubtfulLabels Likeness",
    "trd.learning.learn": "LessonJob LessonRefused learn",
    "trd.learning.learner": "growing_recipe learner",
    "trd.learning.record": "FEWEST FEWEST_GOOD LESSON read_lesson",
    "trd.packages.facts": "RECORD digests_of_parts facts_at",
    "trd.packages.package": "SUFFIX is_package read_package",
    "trd.preprocess.facts": "in_metres",
    "trd.preprocess.foreground": "border_plane",
    "trd.preprocess.frame": "Frame",
    "trd.preprocess.view_frames": "AnyFrame ViewFrames frame_from_json",
    "trd.preprocess.view_pipeline": "pipeline_of",
    "trd.preprocess.image": "full_scale_of unit_range",
    "trd.preprocess.measures": "UNITS measures_of",
    "trd.preprocess.ranges": "TrainingRanges",
    "trd.preprocess.threads": "in_threads",
    "trd.progress": "listening tracked",
    "trd.statistics.conformal": "conformal_threshold false_alarm_rate p_value",
    "trd.statistics.intervals": "CONFIDENCE share_interval",
    "trd.statistics.sequential": "evidence_of_majority",
    "trd.stored": "DetectorFacts FACTS RECIPE WEIGHTS WITHOUT detector_folder",
    "trd.training.fit": "fit_class is_finished",
    "trd.training.digests": "part_digests",
    "trd.training.prepare": "calibration_count",
    "trd.types": (
        "Camera ClassFolder Prediction PreparedSample Sample SampleFiles UNLABELLED VIEW_SEPARATOR plain_sources "
        "views_of"
    ),
}
"""Module of `trd` -> all that the station imports of it. Detectors are trained, taught and exported by `fit_class`,
`learn` and `export` alone, in a process of its own (`trd_station.teaching.tasks`); how they compute is not among it."""
BENCH_USES = {
    *("cli", "cluster", "config", "data", "detector", "engines", "errors", "evaluation", "evidence", "extras", "files"),
    *("pages", "preprocess", "progress", "runs", "statistics", "stored", "training", "types"),
}
"""Rooms of `trd`: the bench trains and measures, and knows no package, no export and no decision's inner parts."""
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


def test_the_library_knows_nothing_of_the_packages_beside_it() -> None:
    """Their commands come to `trd.cli` by the entry points of pyproject.toml, which an installation writes down."""
    inside = {path: path.read_text("utf-8") for module, path in MODULES.items() if module.split(".")[0] == "trd"}
    assert not [str(path) for path, source in inside.items() if re.search("trd_(bench|station)", source)]
    declared = tomllib.loads((SOURCES.parent / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    installed = {entry.name: entry.value for entry in entry_points(group="trd.commands")}
    assert installed == declared["trd.commands"], "install the project again: pip install -e ."


def uses(package: str) -> dict[str, set[str]]:
    """Module of another of our packages -> names that `package` imports from it."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))) if module.split(".")[0] == package else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                found.setdefault(node.module, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.Import):
                found.update({alias.name: {"*"} for alias in node.names})
    return {name: names for name, names in found.items() if name.split(".")[0] in {*PACKAGES} - {package}}


def test_the_station_uses_these_names_of_the_library_and_no_others() -> None:
    assert uses("trd_station") == {module: set(names.split()) for module, names in STATION_USES.items()}


def test_the_bench_uses_these_rooms_of_the_library_and_no_others() -> None:
    assert {room(module) for module in uses("trd_bench")} == BENCH_USES


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
from trd.decision.maps import decide
from trd.evaluation.figures import overlay
from trd.preprocess.pipeline import Pipeline

recipe = load_recipe("lite-residual", ["frame.size=64"])
(place,) = class_folders(Path(sys.argv[2]))
files = list_class(place.path, "", recipe.sources, recipe.point_cloud_sources)
samples = [load_sample(sample, recipe.point_cloud_sources) for sample in files.train]
pipeline = Pipeline.fit(recipe, samples)
prepared = [pipeline(sample) for sample in samples]
raw = {name: np.stack([part.images[name].std(axis=0) for part in prepared]) for name in recipe.modalities}
calibration = calibrate(raw, [part.region for part in prepared], recipe.scoring)
decision = decide(calibration, {n: m[0] for n, m in raw.items()}, prepared[0].region)
fused = decision.fused
print(calibration.p_value(float(decision.score)), calibration.image_threshold.value)
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
