"""The base predicts; everything else names the extra that is missing, in one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from trd.errors import MissingExtraError
from trd.extras import EXTRAS, explained, require
from trd.runs import evaluate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BASE_ONLY = """
import contextlib, io, json, os, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None  # importing it fails from here on
from trd.cli import main
for arguments in json.loads(sys.argv[2]):
    sys.argv = ["trd", *arguments]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(requirements: list[str]) -> set[str]:
    """Distributions that these and what they ask for name, without extras."""
    found: set[str] = set()
    todo = [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        name = _distribution(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        todo += [Requirement(text) for text in metadata.requires(name) or ()]
    return found


def _not_of_the_base(*extras: str) -> list[str]:
    """Everything that is installed here and is not brought by the base and these extras."""
    brought = _closure(
        [*PROJECT["dependencies"], *(one for e in extras for one in PROJECT["optional-dependencies"][e])]
    )
    return [
        package
        for package, owners in metadata.packages_distributions().items()
        if not {_distribution(owner) for owner in owners} & (brought | {"trd-anomaly"})
        and package not in sys.stdlib_module_names
        and package.isidentifier()
    ]


def _called(blocked: list[str], calls: list[str]) -> list[tuple[int, str, str]]:
    """Exit code, output and error output of each `trd CALL`, in one process in which `blocked` cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", BASE_ONLY, json.dumps(blocked), json.dumps([call.split() for call in calls])],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "1000"},
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_extra_brings_the_packages_that_are_looked_for(extra: str) -> None:
    brought = {_distribution(Requirement(text).name) for text in PROJECT["optional-dependencies"][extra]}
    through_timm = {"torchvision", "huggingface-hub"}
    called = {"paho": "paho-mqtt"}
    assert {_distribution(called.get(package, package)) for package in EXTRAS[extra]} - through_timm <= brought
    assert {"dev", "docs", *EXTRAS} == set(PROJECT["optional-dependencies"])


def test_what_is_missing_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    require("trd train", "train", "report")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        require("trd train", "train", "report")
    assert str(caught.value) == (
        "trd train needs the extra 'report': pip install '.[report]' in the checkout of TRD (not installed: matplotlib)"
    )


def test_an_import_that_fails_is_explained_where_an_extra_has_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="^this needs the extra 'onnx'"), explained("this"):
        import onnxruntime.capi  # noqa: F401
    monkeypatch.setitem(sys.modules, "colorsys", None)
    with pytest.raises(ModuleNotFoundError, match="colorsys"), explained("this"):
        import colorsys  # noqa: F401


def test_the_base_alone(trained: Path, drawn: Path, tmp_path: Path) -> None:
    """What the base does not bring is blocked: what needs it says so."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    data, out = str(drawn), str(tmp_path / "out")
    parts = str(drawn / "biscuit/test/chip")
    calls = {
        "--help": (0, ""),
        "recipes lite-residual": (0, ""),
        "info": (0, ""),
        f"info {run}": (0, ""),
        f"calibrate {run} --rate 0.2": (0, ""),
        f"predict {run} --input {parts} --out {out}": (2, f"the detector {run / 'biscuit'} needs the extra 'train'"),
        f"predict {run} --input {parts} --out {out} --executor ray": (2, "--executor ray needs the extra 'ray'"),
        f"calibrate {run} --good {parts}": (2, "needs the extra 'train'"),
        f"demo --out {out}": (2, "trd demo needs the extra 'train,report'"),
        f"train --data {data} --out {out}": (2, "trd train needs the extra 'train,report'"),
        f"evaluate {run}": (2, "trd evaluate needs the extra 'report'"),
        f"check {data}": (2, "trd check needs the extra 'train,report'"),
        f"compare {data} --recipes lite-rgb --out {out}": (2, "trd compare needs the extra 'train,report'"),
        f"reproduce folder --data {data} --out {out}": (2, "trd reproduce needs the extra 'train,report'"),
        f"import-reference a.pth --data {data} --out {out}": (2, "trd import-reference needs the extra 'train'"),
    }
    blocked = _not_of_the_base()
    assert {"torch", "lightning", "scipy", "matplotlib", "jinja2", "ray"} <= set(blocked)
    results = _called(blocked, list(calls))
    for (call, (code, complaint)), (found, shown, said) in zip(calls.items(), results, strict=True):
        assert found == code, (call, shown, said)
        assert complaint in said
        if code:
            assert said.count("\n") == 1, said
    described = results[list(calls).index(f"info {run}")][1]
    assert "nothing here: the detector" in described
    assert "lite-residual" in described


def test_a_package_needs_its_runtime_only(quick_package: Path, drawn: Path, tmp_path: Path) -> None:
    blocked, out = _not_of_the_base("onnx"), tmp_path / "out"
    assert {"torch", "matplotlib", "jinja2"} <= set(blocked)
    calls = [
        f"info {quick_package}",
        f"predict {quick_package} --input {drawn / 'biscuit/test/chip'} --out {out} --raw-maps",
        f"evaluate {quick_package} --data {drawn}",
    ]
    (_, described, _), _, (_, evaluated, _) = results = _called(blocked, calls)
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert "ONNX Runtime" in described
    assert "fused" in evaluated
    assert len((out / "scores.csv").read_text().splitlines()) == 2
    assert (out / "overlays").is_dir()


def test_an_evaluation_without_torch_ends_at_once(
    trained: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not class by class, and the results that are there stay."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = (run / "report.html").read_bytes()
    for name in [name for name in sys.modules if name.startswith(("trd.evidence.", "trd.engines.pytorch"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="needs the extra 'train'"):
        evaluate(run, drawn, device="cpu")
    assert (run / "report.html").read_bytes() == before
