"""A package is read whole and checked; whatever is not as it was written is refused in one line."""

from __future__ import annotations

import gc
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pytest
from numpy.typing import NDArray

from trd.detector import Detector
from trd.engines.base import Placement
from trd.errors import CheckpointError, RecipeError, TRDError
from trd.packages import packing
from trd.packages.engine import package_engine
from trd.packages.facts import digests_of_parts, facts_at, keep_calibration
from trd.packages.golden import Golden, deviation
from trd.packages.package import MANIFEST, Package, is_package, read_package, write_package

GRAPH = "graphs/patch_statistics_0.onnx"


@pytest.fixture
def package(quick_package: Path, tmp_path: Path) -> Path:
    """A copy to damage, of statistics: small, and as any other."""
    return Path(shutil.copy(quick_package, tmp_path / "part.trdm"))


def changed(path: Path, name: str, content: bytes, comment: bytes | None = None) -> None:
    """Another content of one member, as somebody with a ZIP program would write it."""
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
        kept = archive.comment
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = kept if comment is None else comment
        for one, data in (members | {name: content}).items():
            archive.writestr(one, data)


def test_it_repeats_to_the_bit(package: Path, tmp_path: Path) -> None:
    read = read_package(package)
    write_package(tmp_path / "again.trdm", read)
    assert (tmp_path / "again.trdm").read_bytes() == package.read_bytes()


def test_a_sample_of_a_large_member_decides_how_it_is_packed(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whatever it decides, the content comes back."""
    weights = np.random.default_rng(0).normal(0, 0.02, packing.SMALL // 4 + 7).astype(np.float32).tobytes() + b"end"
    text = "".join(f"<layer id='{index}' type='Convolution'/>" for index in range(packing.SMALL // 30)).encode()
    plain = read_package(package)
    with_both = replace(plain, contents={**plain.contents, "weights": weights, "text": text})
    sizes = []
    for large in (packing.LARGE, packing.SMALL):
        monkeypatch.setattr(packing, "LARGE", large)
        written = write_package(tmp_path / "large.trdm", with_both)
        assert written.manifest.members["weights"].word == 4
        assert read_package(written.path).contents == with_both.contents
        sizes.append(written.path.stat().st_size)
    assert sizes[0] < sizes[1] < 1.03 * sizes[0]  # quicker, and hardly larger
    unpacked = write_package(tmp_path / "scratch.trdm", with_both, packing.not_at_all)
    assert read_package(unpacked.path).contents == with_both.contents


def test_it_is_known_by_its_name_or_its_content(package: Path, quick_run: Path, tmp_path: Path) -> None:
    assert is_package(package)
    assert is_package(Path("missing.trdm"))
    other = Path(shutil.copy(package, tmp_path / "part.bin"))
    assert is_package(other)
    assert Detector.load(other).class_name == "biscuit"
    assert not is_package(quick_run)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(package: Path, share: float) -> None:
    data = package.read_bytes()
    package.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="no package, truncated or damaged"):
        read_package(package)


@pytest.mark.parametrize("name", [GRAPH, "recipe.toml", "detector.json", "golden/0.safetensors"])
def test_edited_member(package: Path, name: str) -> None:
    with zipfile.ZipFile(package) as archive:
        content = bytearray(archive.read(name))
    content[len(content) // 2] ^= 1
    changed(package, name, bytes(content))
    with pytest.raises(CheckpointError, match=f"edited or damaged: {name} is not what was written"):
        read_package(package)


def test_edited_manifest(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        values = json.loads(archive.read(MANIFEST))
    values["tolerance"] = 1e9
    changed(package, MANIFEST, json.dumps(values).encode())
    with pytest.raises(CheckpointError, match=r"edited or damaged: its manifest.json"):
        read_package(package)


@pytest.mark.parametrize(
    ("method", "hidden"), [(zipfile.ZIP_DEFLATED, False), (zipfile.ZIP_DEFLATED, True), (zipfile.ZIP_LZMA, True)]
)
def test_what_unpacks_to_more_than_it_says_takes_no_memory(package: Path, method: int, hidden: bool) -> None:
    """hidden: the ZIP file's directory gives the size that the manifest gives."""
    name, size = (
        GRAPH,
        read_package(package).manifest.members[GRAPH].bytes,
    )
    with zipfile.ZipFile(package) as archive:
        members, comment = {one: archive.read(one) for one in archive.namelist()}, archive.comment
    with zipfile.ZipFile(package, "w") as archive:
        archive.comment = comment
        for one, data in members.items():
            content = bytes(320 * 2**20) if one == name else data
            archive.writestr(one, content, method if one == name else None, compresslevel=1)
        if hidden:
            archive.getinfo(name).file_size = size
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="damaged"):
            read_package(package)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 * 2**20  # a piece of 16 KB may become 115 MB at once, twice while it is cut to size


def test_newer_version(package: Path) -> None:
    from trd.packages.package import _digest

    with zipfile.ZipFile(package) as archive:
        values = json.loads(archive.read(MANIFEST))
    values["format_version"] = 99
    text = json.dumps(values).encode()
    changed(package, MANIFEST, text, _digest(text).encode())
    with pytest.raises(CheckpointError, match=r"newer version \(format 99, this one reads up to 3\)"):
        read_package(package)


def test_graphs_of_another_runtime(package: Path) -> None:
    read = read_package(package)
    graphs = {name: files.model_copy(update={"weights": ""}) for name, files in read.manifest.graphs.items()}
    manifest = read.manifest.model_copy(update={"runtime": "openvino", "graphs": graphs})
    contents = {**read.contents, GRAPH: b"<net/>"}
    with pytest.raises(CheckpointError, match=f"{GRAPH}: OpenVINO cannot use it"):
        package_engine(Package(manifest, read.facts, contents, package), Placement("cpu"))


def test_another_zip_file(tmp_path: Path) -> None:
    path = tmp_path / "x.trdm"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(CheckpointError, match=r"no package of `trd export`: it holds no manifest.json"):
        read_package(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; give the file that `trd export --out` wrote"):
        Detector.load(tmp_path / "x.trdm")


def refused_or(before: Mapping[str, bytes], path: Path) -> bool:
    """Whether it is refused in one line, or the change was in what a ZIP file does not use."""
    try:
        return read_package(path).contents == before
    except TRDError as error:
        return "\n" not in str(error)


@pytest.mark.parametrize("seed", range(10))
def test_mutated_packages_are_refused(package: Path, seed: int) -> None:
    """Bytes changed, cut out and put in; benchmarks/packages.py does so a thousand times."""
    random = np.random.default_rng(seed)
    data = bytearray(package.read_bytes())
    before = read_package(package).contents
    for _ in range(5):
        data = bytearray(package.read_bytes())
        place, kind = int(random.integers(len(data))), int(random.integers(3))
        if kind == 0:
            data[place] ^= int(random.integers(1, 256))
        elif kind == 1:
            del data[place : place + int(random.integers(1, 1000))]
        else:
            data[place:place] = random.bytes(int(random.integers(1, 1000)))
        other = package.with_name("mutated.trdm")
        other.write_bytes(data)
        assert refused_or(before, other)


def with_graph(package: Package, name: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Package:
    """As somebody would make it who also writes the hashes: the weights of one graph changed."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    files = package.manifest.graphs[name]
    model = onnx.load_from_string(package.contents[files.model])
    for tensor in model.graph.initializer:
        if (weights := numpy_helper.to_array(tensor)).dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(change(weights), tensor.name))
    return replace(package, contents={**package.contents, files.model: model.SerializeToString()})


def larger(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return weights * np.float32(1.01)


def as_bf16(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """As where a runtime takes it by itself."""
    return (weights.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).copy()


def test_classes_share_the_graphs_that_are_equal(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trd.packages import engine

    made, plain = [], engine.OnnxGraph

    class Counted(plain):
        def __init__(self, *rest: object) -> None:
            made.append(rest)
            super().__init__(*rest)

    monkeypatch.setattr(engine, "OnnxGraph", Counted)
    monkeypatch.setattr(engine, "_in_use", WeakValueDictionary())
    first = read_package(package)
    graphs, images = (
        len(first.manifest.graphs),
        {n: np.full((1, 3, 96, 96), 0.4, np.float32) for n in ("rgb", "normals")},
    )
    one = package_engine(first, Placement("cpu"))
    before = one.raw_maps(images)
    assert len(made) == graphs
    another_class = with_graph(first, "patch_statistics_0", lambda weights: weights * np.float32(1.5))
    two = package_engine(another_class, Placement("cpu"))
    assert len(made) == graphs + 1
    after = two.raw_maps(images)
    colour, surface = before
    assert (after[colour] != before[colour]).any()
    np.testing.assert_array_equal(after[surface], before[surface])
    del one, two
    gc.collect()
    package_engine(first, Placement("cpu"))  # what nobody uses any more is not kept
    assert len(made) == 2 * graphs + 1


@pytest.mark.parametrize(("name", "change"), [("teacher", as_bf16), ("reverse_distillation_student_1", larger)])
def test_other_weights_are_seen_by_the_self_test(
    name: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]], onnx_package: Path, tmp_path: Path
) -> None:
    changed_weights = with_graph(read_package(onnx_package), name, change)
    write_package(tmp_path / "x.trdm", changed_weights, packing.not_at_all)
    with pytest.raises(CheckpointError, match="maps of the golden part differ by"):
        Detector.load(tmp_path / "x.trdm")


def test_another_resize_filter_is_seen_by_the_self_test(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    plain = Image.Image.resize

    def other(image: Image.Image, size: tuple[int, int], resample: object = None, **options: object) -> Image.Image:
        return plain(image, size, Image.Resampling.LANCZOS, **options)

    monkeypatch.setattr(Image.Image, "resize", other)
    with pytest.raises(CheckpointError, match="prepares the golden part otherwise"):
        Detector.load(package)


def test_the_golden_part_is_the_same_here(package: Path) -> None:
    read = read_package(package)
    detector = Detector.load(package)
    golden = Golden.from_bytes(read.contents[read.manifest.golden[0]], "golden")
    found = deviation(golden, detector.pipeline, detector.engine, read.facts.calibration)
    assert found.images == found.maps == found.region == 0
    assert max(golden.sources["rgb"].shape[:2]) <= 200


def test_another_precision_is_refused(package: Path) -> None:
    with pytest.raises(RecipeError, match="computes in fp32 and was calibrated in it"):
        Detector.load(package, precision="bf16")


def test_calibration_is_kept_inside(package: Path) -> None:
    facts = facts_at(package)
    other = replace(facts, calibration=facts.calibration.for_rate(0.5))
    keep_calibration(package, other)
    read = read_package(package)
    assert read.facts.calibration == other.calibration
    assert f"calibrations/{facts.calibration.id}.json" in read.contents
    assert Detector.load(package).calibration.image_threshold.requested_rate == 0.5


def test_it_knows_the_parts_that_it_was_trained_on(package: Path, quick_run: Path) -> None:
    assert digests_of_parts(package) == digests_of_parts(quick_run)
    assert len(digests_of_parts(package)) == 10
