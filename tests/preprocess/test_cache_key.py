"""The cache's keys follow all that a prepared sample depends on, and nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from trd.config import load_recipe
from trd.preprocess import cache as module
from trd.preprocess.cache import sample_key
from trd.preprocess.frame import Frame
from trd.preprocess.pipeline import Pipeline
from trd.types import Camera, SampleFiles

FRAME = Frame((192, 192), (10, 12, 150, 160), (64, 64))
PLANE = (0.0, 0.0, -1.0, 0.4)
CAMERA = Camera(600.0, 600.0, 96.0, 96.0, 0.001)


@pytest.fixture
def sample_files(tmp_path: Path) -> SampleFiles:
    root = tmp_path / "sources"
    root.mkdir()
    for name in ("rgb.png", "xyz.tiff", "mask.png", "7_depth.png", "7_info_depth.yaml"):
        (root / name).write_bytes(f"content of {name}".encode())
    sources = {"rgb": root / "rgb.png", "xyz": root / "xyz.tiff", "depth": root / "7_depth.png"}
    return SampleFiles("test/dent/rgb", "test", "dent", sources, root / "mask.png")


def key_of(files: SampleFiles, *overrides: str, frame: Frame = FRAME, camera: Camera | None = CAMERA) -> str:
    key = sample_key(Pipeline(load_recipe("lite-residual", overrides), frame), camera, files)
    assert key is not None
    return key


@pytest.mark.parametrize("name", ["rgb.png", "xyz.tiff", "mask.png", "7_depth.png", "7_info_depth.yaml"])
def test_the_key_follows_the_content_of_every_file(sample_files: SampleFiles, name: str) -> None:
    before = key_of(sample_files)
    path = sample_files.sources["rgb"].with_name(name)
    facts, content = path.stat(), path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # same size, same time
    assert key_of(sample_files) != before
    path.write_bytes(content)
    assert key_of(sample_files) == before


@pytest.mark.parametrize(
    "override",
    [
        "modalities.normals.sigma=2.5",
        "modalities.normals.slope_gain=4.0",
        "modalities.depth={representation='depth_image'}",
        "frame.size=96",
        "frame.margin=0.2",
        "frame.part.source=xyz",
        "frame.part.clearance=0.002",
        "scoring.region=part",
    ],
)
def test_the_key_follows_what_the_recipe_says_of_preparation(sample_files: SampleFiles, override: str) -> None:
    assert key_of(sample_files, override) != key_of(sample_files)


def test_the_key_follows_frame_camera_and_label(sample_files: SampleFiles) -> None:
    keys = {
        key_of(sample_files),
        key_of(sample_files, frame=replace(FRAME, window=(10, 12, 150, 161))),
        key_of(sample_files, frame=replace(FRAME, region="part")),
        key_of(sample_files, frame=replace(FRAME, cloud_scale=0.001)),
        key_of(sample_files, frame=replace(FRAME, planes={"xyz": PLANE})),
        key_of(sample_files, camera=None),
        key_of(sample_files, camera=replace(CAMERA, fx=601.0)),
        key_of(replace(sample_files, id="test/dent/other")),
        key_of(replace(sample_files, defect="hole")),
        key_of(replace(sample_files, mask=None)),
        key_of(replace(sample_files, sources=dict(reversed(sample_files.sources.items())))),
    }
    assert len(keys) == 11
    other = (0.0, 0.6, -0.8, 0.4)  # of other training samples: of no effect where a sample has its own
    assert key_of(sample_files, frame=replace(FRAME, planes={"xyz": other})) in keys


@pytest.mark.parametrize("made_by", ["FORMAT", "_makers"])
def test_the_key_follows_format_and_versions(
    sample_files: SampleFiles, monkeypatch: pytest.MonkeyPatch, made_by: str
) -> None:
    before = key_of(sample_files)
    monkeypatch.setattr(module, made_by, 2 if made_by == "FORMAT" else lambda: ["another version"])
    assert key_of(sample_files) != before


@pytest.mark.parametrize("override", ["training.epochs=7", "scoring.sigma=3.0", "teacher.weights=random", "name=mine"])
def test_the_key_ignores_the_rest_of_the_recipe(sample_files: SampleFiles, override: str) -> None:
    assert key_of(sample_files, override) == key_of(sample_files)


def test_the_key_ignores_where_the_data_lies(sample_files: SampleFiles, tmp_path: Path) -> None:
    moved = shutil.copytree(tmp_path / "sources", tmp_path / "moved")
    sources = {source: moved / path.name for source, path in sample_files.sources.items()}
    assert key_of(replace(sample_files, sources=sources, mask=moved / "mask.png")) == key_of(sample_files)
