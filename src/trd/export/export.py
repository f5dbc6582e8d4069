"""`trd export`: a detector's folder -> a package that was compared with it, part by part."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from trd.decision.calibration import Calibration
from trd.detector import Detector
from trd.engines.base import Engine, Placement
from trd.engines.graphs import Graphs, Step
from trd.engines.steps import StepEngine
from trd.errors import RecipeError
from trd.evaluation.evaluate import evaluate_files
from trd.evidence.detection import detector_graphs, refitted
from trd.export.equivalence import Equivalence, change_of, compared, compared_results, judged, numbers_of, refuse
from trd.export.graphs import ExportedGraph, exported
from trd.export.licences import licences_of
from trd.export.parts import ExportParts, parts_of
from trd.export.quantise import quantised, with_altered
from trd.packages import packing
from trd.packages.engine import package_engine, step_engine
from trd.packages.facts import digests_of_parts
from trd.packages.golden import golden_of
from trd.packages.manifest import GraphFiles, Manifest, Runtime, StoredStep
from trd.packages.package import EQUIVALENCE, Package, facts_members, write_package
from trd.preprocess.parts import PreparedParts, network_parts, stacked_images
from trd.progress import tracked
from trd.stored import detector_folder, read_detector, stand_in_folder
from trd.training.fit import calibrated_on, raw_maps
from trd.types import PrecisionName, SampleFiles, State

TOLERANCE = {"fp32": 2e-3, "bf16": 0.05, "int8": 0.05}
"""Of golden maps, in deviations of good parts: what rounding may do from machine to machine."""
QUANTISING_PARTS = 40  # each seen twice, altered the second time
TOOLS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class ExportJob:
    """precision: of teacher and students; bf16 of the students alone. data: the class's folder, where it was moved.
    good: to calibrate on. without: a source whose stand-in is exported. keep_onnx: for a single file of all graphs
    (`trd.export.single`)."""

    run: Path
    out: Path
    runtime: Runtime = "openvino"
    precision: PrecisionName = "fp32"
    data: Path | None = None
    good: Sequence[SampleFiles] = ()
    without: str = ""
    keep_onnx: bool = False


@dataclass(frozen=True)
class Exported:
    """onnx: graph -> ONNX in float32, where the job keeps it."""

    package: Package
    equivalence: Equivalence
    seconds: float
    onnx: Mapping[str, bytes]


def export(job: ExportJob, console: Console) -> Exported:
    """Raises TRDError, with nothing written, where the package would not decide as the detector does."""
    begin = time.monotonic()
    folder = stand_in_folder(job.run, job.without) if job.without else detector_folder(job.run)
    facts, state = read_detector(folder)
    _refuse_precision(job, facts.calibration.kind)
    if job.keep_onnx and facts.recipe.frame.follows_part:
        raise RecipeError(
            "a region of this recipe follows the part, and a single ONNX file has one limit for each place of the "
            "window: use the package alone, or train with follows = 'frame'"
        )
    detector = Detector.load(folder, "cpu", precision="fp32")
    parts = parts_of(detector, folder, job.data, job.good)
    detector = detector.calibrated(_calibration(detector, detector.engine, parts, job, console))

    form = detector_graphs(facts.recipe, state, facts.frame.network_size)
    before = [name for name, graph in form.graphs.items() if graph.role != "score"]
    graphs = _graphs(form, job, before, console)
    if job.precision != "fp32":
        state = _in_precision(detector, state, form, graphs, parts, job, console)
        form = detector_graphs(facts.recipe, state, facts.frame.network_size)
    graphs |= _graphs(form, job, [name for name in form.graphs if name not in before], console)
    onnx = {name: graph.onnx for name, graph in graphs.items() if graph.onnx}
    steps, on_demand = form.steps, form.on_demand
    del form, state  # all weights once more, which the comparison does not need

    with tempfile.TemporaryDirectory() as scratch:
        draft = _draft(detector, steps, graphs, job, on_demand)
        engine = package_engine(draft, Placement("cpu"))
        calibration = _calibration(detector, engine, parts, job, console)
        golden = golden_of(parts.example, detector.pipeline, engine)
        package = _with_members(draft, calibration, {"golden/0.safetensors": golden.to_bytes()})
        package = write_package(Path(scratch) / "package.trdm", package, packing.not_at_all)
        equivalence = _equivalence(detector, Detector.load(package.path, "cpu"), parts, job, console)
    refuse(equivalence)
    package = replace(package, contents={**package.contents, EQUIVALENCE: _json(equivalence)})
    return Exported(write_package(job.out, package), equivalence, time.monotonic() - begin, onnx)


def _refuse_precision(job: ExportJob, calibrated: str) -> None:
    """Before the work. calibrated: "split", "cross"."""
    if job.precision == "bf16" and job.runtime == "onnx":
        raise RecipeError("ONNX Runtime has no bf16 on CPUs: export with --runtime openvino, or --precision int8")
    if job.precision not in TOLERANCE:
        raise RecipeError(f"--precision {job.precision}: a package is in fp32, bf16 or int8")
    if job.precision != "fp32" and calibrated == "cross" and not job.good:
        raise RecipeError(
            "the detector was calibrated by scoring each good part without its fold (cross), which a package cannot "
            f"repeat: give good parts that it was not trained on with --good, to calibrate in {job.precision}, or "
            "export with --precision fp32, which keeps its thresholds"
        )


def _graphs(form: Graphs, job: ExportJob, names: Sequence[str], console: Console) -> dict[str, ExportedGraph]:
    return {
        name: exported(form.graphs[name], job.runtime, job.keep_onnx)
        for name in tracked(names, "exporting graphs", len(names), console)
    }


def _in_precision(
    detector: Detector,
    state: State,
    form: Graphs,
    graphs: dict[str, ExportedGraph],
    parts: ExportParts,
    job: ExportJob,
    console: Console,
) -> State:
    """Puts the students of `graphs` into the job's precision; the state comes back with its closed-form fits made anew
    on what they give then. Raises RecipeError where there are none."""
    if not any(graph.role == "student" for graph in graphs.values()):
        raise RecipeError(
            f"recipe '{detector.recipe.name}' has no student that may be computed in {job.precision}: teacher, banks "
            "and distances stay in float32; export with --precision fp32"
        )
    before, tiles = form.without_scores().steps, detector.facts.frame.tiles
    training, calibration = network_parts(parts.training, tiles), network_parts(parts.calibration, tiles)
    if job.precision == "bf16":
        graphs |= {n: replace(graph, precision="bf16") for n, graph in graphs.items() if graph.role == "student"}
    else:
        for role in ("teacher", "student"):  # students are quantised for what the quantised teacher gives
            names = [name for name, graph in graphs.items() if graph.role == role]
            values = _values(detector, graphs, before, job)
            graph_inputs = _graph_inputs(values, training, before, names, detector.recipe.seed)
            for name in tracked(names, f"quantising, {role}", len(names), console):
                graphs[name] = quantised(graphs[name], graph_inputs[name], job.runtime)
    values = _values(detector, graphs, before, job)

    def observations(split_parts: PreparedParts) -> Iterator[tuple[dict[str, Tensor], Tensor | None]]:
        for part in tracked(split_parts, "fitting distances anew", len(split_parts), console):
            tensors = {name: torch.from_numpy(v) for name, v in values.values(stacked_images([part])).items()}
            yield tensors, None if part.region is None else torch.from_numpy(part.region)[None]

    held_out = calibration if detector.calibration.kind == "split" else training
    return refitted(
        detector.recipe,
        state,
        detector.pipeline.region,
        partial(observations, training),
        partial(observations, held_out),
    )


def _values(
    detector: Detector, graphs: Mapping[str, ExportedGraph], steps: Sequence[Step], job: ExportJob
) -> StepEngine:
    """What the graphs before the scores give."""
    draft = _draft(detector, steps, graphs, job)
    return step_engine(draft, Placement("cpu"))


def _graph_inputs(
    engine: StepEngine, training: PreparedParts, steps: Sequence[Step], names: Sequence[str], seed: int
) -> dict[str, list[dict[str, NDArray[np.float32]]]]:
    """Graph -> its inputs of some training parts, and of the same parts altered."""
    count = min(QUANTISING_PARTS, len(training))
    chosen = np.linspace(0, len(training) - 1, count).round().astype(int).tolist()
    images = (stacked_images([training[index]]) for index in chosen)
    inputs: dict[str, list[dict[str, NDArray[np.float32]]]] = {name: [] for name in names}
    for stack in with_altered(images, seed):
        values = engine.values(stack)
        for step in steps:
            if step.graph in inputs:
                inputs[step.graph].append({port: np.array(values[name]) for port, name in step.inputs.items()})
    return inputs


def _draft(
    detector: Detector,
    steps: Sequence[Step],
    graphs: Mapping[str, ExportedGraph],
    job: ExportJob,
    on_demand: Sequence[Step] = (),
) -> Package:
    """A package without calibration of its own, golden part and report."""
    files, contents = dict[str, GraphFiles](), dict[str, bytes]()
    for name, graph in graphs.items():
        model = f"graphs/{name}.{'onnx' if job.runtime == 'onnx' else 'xml'}"
        weights = "" if job.runtime == "onnx" else f"graphs/{name}.bin"
        contents |= {model: graph.model} | ({weights: graph.weights} if weights else {})
        files[name] = GraphFiles(model=model, weights=weights, role=graph.role, precision=graph.precision)
    manifest = Manifest(
        trd_version=metadata.version("trd-anomaly"),
        detector=detector.facts.id,
        runtime=job.runtime,
        precision=job.precision,
        graphs=files,
        steps=_stored(steps),
        on_demand=_stored(on_demand),
        golden=(),
        parts=tuple(sorted(digests_of_parts(job.run))),
        tolerance=TOLERANCE[job.precision],
        tools=_tools(),
        licences=licences_of(detector.recipe),
        members={},
    )
    return Package(manifest, detector.facts, contents, job.out)


def _stored(steps: Sequence[Step]) -> tuple[StoredStep, ...]:
    return tuple(StoredStep(graph=s.graph, inputs=dict(s.inputs), outputs=dict(s.outputs)) for s in steps)


def _with_members(draft: Package, calibration: Calibration, golden: Mapping[str, bytes]) -> Package:
    facts = replace(draft.facts, calibration=calibration, stand_ins={})
    return replace(
        draft,
        facts=facts,
        manifest=draft.manifest.model_copy(update={"golden": tuple(golden)}),
        contents={**draft.contents, **golden, **facts_members(facts)},
    )


def _calibration(
    detector: Detector, engine: Engine, parts: ExportParts, job: ExportJob, console: Console
) -> Calibration:
    """What good parts score with this engine, at the rates that the detector has now."""
    before = detector.calibration
    if before.kind == "cross" and not job.good:  # in float32: a package cannot score each part without its fold
        return replace(before, precision="fp32")
    raw = raw_maps(engine, parts.calibration, console, "calibration")
    scoring = detector.recipe.scoring.model_copy(
        update={"calibration": "split", "false_alarm_rate": before.image_threshold.requested_rate}
    )
    return calibrated_on(parts.calibration, raw, detector.recipe, scoring, engine.precision)


def _equivalence(
    before: Detector, package: Detector, parts: ExportParts, job: ExportJob, console: Console
) -> Equivalence:
    good = {"training": parts.training, "calibration": parts.calibration}
    splits = {
        name: compared(
            before,
            package,
            tracked(split_parts, f"comparing {name} parts", len(split_parts), console),
            len(split_parts),
        )
        for name, split_parts in good.items()
    }
    if parts.test is None:
        return judged(Equivalence(job.precision, job.runtime, splits))
    old, new = (evaluate_files(detector, before.class_name, parts.test, console) for detector in (before, package))
    splits["test"] = compared_results(before, package, old, new)
    return judged(
        Equivalence(job.precision, job.runtime, splits, numbers_of(new), numbers_of(old), change_of(old, new))
    )


def _tools() -> dict[str, str]:
    versions = {}
    for name in TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _json(equivalence: Equivalence) -> bytes:
    import json

    return (json.dumps(equivalence.to_json(), indent=1) + "\n").encode()
