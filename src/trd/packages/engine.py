"""A package's graphs made ready by its runtime."""

from __future__ import annotations

import hashlib
from collections import Counter
from threading import Lock
from weakref import WeakValueDictionary

from trd.engines.base import Engine, Placement
from trd.engines.graphs import Step
from trd.engines.onnx import OnnxGraph, onnx_device, onnx_form
from trd.engines.openvino import OpenVINOModel, openvino_device, openvino_form
from trd.engines.steps import StepEngine, abreast
from trd.engines.tiled import tiled
from trd.errors import CheckpointError, RecipeError
from trd.packages.golden import Golden, deviation, refuse_deviation
from trd.packages.package import Package
from trd.preprocess.threads import thread_count
from trd.preprocess.view_pipeline import AnyPipeline

Model = OnnxGraph | OpenVINOModel
_in_use: WeakValueDictionary[tuple[object, ...], Model] = WeakValueDictionary()
_making = Lock()


def package_engine(package: Package, placement: Placement) -> Engine:
    """Of prepared parts; raises as `step_engine`."""
    facts = package.facts
    return tiled(step_engine(package, placement), facts.frame.tiles, facts.recipe.views.own_detectors)


def step_engine(package: Package, placement: Placement) -> StepEngine:
    """Of what the network sees at once.

    Graphs that another engine of this process has ready in the same form (a teacher of several classes) are shared.

    Raises CheckpointError for graphs that the runtime does not take, RecipeError for a placement that they lack.
    """
    manifest = package.manifest
    if placement.precision not in (None, "auto", manifest.precision):
        raise RecipeError(
            f"{package.path} computes in {manifest.precision} and was calibrated in it: for another precision export "
            f"another package (--precision)"
        )
    if placement.compiled:
        raise RecipeError(f"{package.path} is for {manifest.runtime}: --compile is of detectors in PyTorch")
    steps, on_demand = (
        [Step(step.graph, step.inputs, step.outputs) for step in stored]
        for stored in (manifest.steps, manifest.on_demand)
    )
    if manifest.runtime == "onnx":
        device, form = onnx_device(placement.device), onnx_form()
    else:
        device, form = openvino_device(placement.device), openvino_form()
    models: dict[str, Model] = {}
    calls = Counter(step.graph for step in steps)
    for name, others in abreast(steps).items():
        at_once = min(thread_count(), others)
        models[name] = _model(package, name, device, thread_count() // at_once, min(calls[name], at_once))
    ready = [models[step.graph].graph() for step in steps]
    asked = [(step, _model(package, step.graph, device, thread_count(), 1).graph()) for step in on_demand]
    return StepEngine(
        ready,
        steps,
        device=device,
        precision=manifest.precision,
        form=form,
        one_by_one=device == "cpu",
        on_demand=asked,
    )


def _model(package: Package, name: str, device: str, threads: int, at_once: int) -> Model:
    """threads: of one call of this graph, of which so many run at once."""
    try:
        files = package.manifest.graphs[name]
        model = package.contents[files.model]
        weights = package.contents[files.weights] if files.weights else b""
    except KeyError as error:
        raise CheckpointError(f"{package.path} lacks {error}: export it anew") from error
    label, runtime = f"{package.path}, {files.model}", package.manifest.runtime
    digests = (hashlib.sha256(data).digest() for data in (model, weights))
    key = (runtime, device, files.precision, threads, at_once, *digests)
    with _making:
        model_in_use = _in_use.get(key)
        if model_in_use is None and runtime == "onnx":
            model_in_use = OnnxGraph(model, device, threads, label)
        elif model_in_use is None:
            model_in_use = OpenVINOModel(model, weights, files.precision, threads, at_once, label)
        _in_use[key] = model_in_use
    return model_in_use


def self_tested(package: Package, pipeline: AnyPipeline, engine: Engine) -> None:
    """The first golden part, on this machine. Raises CheckpointError where it comes out otherwise."""
    manifest = package.manifest
    if manifest.golden:
        golden = Golden.from_bytes(package.contents[manifest.golden[0]], f"{package.path}, {manifest.golden[0]}")
        measured = deviation(golden, pipeline, engine, package.facts.calibration)
        refuse_deviation(measured, manifest.tolerance, str(package.path))
