"""The disk cache of prepared samples: never wrong, never too large, never in the way."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from trd.config import Recipe, load_recipe
from trd.data.loading import load_sample
from trd.errors import DataError, RecipeError
from trd.preprocess import cache as module
from trd.preprocess.cache import PreparedCache, sample_key, user_cache
from trd.preprocess.frame import Frame
from trd.preprocess.pipeline import Pipeline
from trd.training.prepare import PreparedClass, list_parts, prepare_class
from trd.types import Camera, ClassFolder, PreparedSample, Sample, SampleFiles

FRAME = Frame((192, 192), (10, 12, 150, 160), (64, 64))
PLANE = (0.0, 0.0, -1.0, 0.4)
CAMERA = Camera(600.0, 600.0, 96.0, 96.0, 0.001)
BYTES = 2 * 3 * 64 * 64 * 4 + 2 * 64 * 64  # of the arrays of `some_sample`


def some_sample(number: int = 0) -> PreparedSample:
    rng = np.random.default_rng(number)
    normals, rgb = (rng.random((3, 64, 64), np.float32) for _ in range(2))
    rgb[0, 0, :3] = np.float32([-0.0, 1e-42, np.nan])
    flags = rng.random((2, 64, 64)) < 0.5
    return PreparedSample(
        f"train/good/{number}", "good", {"rgb": rgb, "normals": normals}, flags[0], flags[1], (50, 60)
    )


def assert_same(found: PreparedSample, expected: PreparedSample) -> None:
    assert (found.id, found.defect, found.shape) == (expected.id, expected.defect, expected.shape)
    assert isinstance(found.shape, tuple)
    assert list(found.images) == list(expected.images)
    pairs = [(found.images[name], image) for name, image in expected.images.items()]
    for array, wanted in [*pairs, (found.region, expected.region), (found.mask, expected.mask)]:
        if wanted is None:
            assert array is None
        else:
            assert array is not None
            assert (array.dtype, array.shape, array.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


def never() -> PreparedSample:
    raise AssertionError("prepared although it is in the cache")


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRD_CACHE_DIR", str(tmp_path / "prepared"))
    return tmp_path / "prepared"


@pytest.fixture
def prepared_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the samples that went through a pipeline, in order."""
    ids: list[str] = []
    original = Pipeline.__call__

    def counted(self: Pipeline, sample: Sample) -> PreparedSample:
        ids.append(sample.id)
        return original(self, sample)

    monkeypatch.setattr(Pipeline, "__call__", counted)
    return ids


def prepare_biscuits(root: Path, recipe: Recipe) -> PreparedClass:
    files, record = list_parts(ClassFolder("biscuit", root / "biscuit"), recipe, Console(quiet=True))
    return prepare_class(files, recipe, record)


def both_parts(parts: PreparedClass) -> Iterator[PreparedSample]:
    yield from parts.training
    yield from parts.validation


@pytest.mark.parametrize("region", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path: Path, region: bool, mask: bool) -> None:
    sample = some_sample()
    sample = replace(sample, region=sample.region if region else None, mask=sample.mask if mask else None)
    assert PreparedCache(tmp_path, 10**9).get("key", lambda: sample) is sample
    assert_same(PreparedCache(tmp_path, 10**9).get("key", never), sample)


def test_layout_in_memory_does_not_matter(tmp_path: Path) -> None:
    """Views with strides and read-only images, as the representations return them."""
    channels_last = np.random.default_rng(0).random((40, 48, 3), np.float32)
    repeated = np.broadcast_to(channels_last[..., 0], (3, 40, 48))
    images = {"zebra": np.moveaxis(channels_last, -1, 0), "mask": repeated}
    sample = PreparedSample("ä/\udcff", "dent", images, np.eye(48, dtype=bool)[:40].T[::-1], None, (1, 2))
    PreparedCache(tmp_path, 10**9).get("key", lambda: sample)
    assert_same(PreparedCache(tmp_path, 10**9).get("key", never), sample)


def test_a_second_run_prepares_nothing(drawn: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    first = list(both_parts(prepare_biscuits(drawn, recipe)))
    assert len(prepared_ids) == len(first) == len(list(folder.glob("*.safetensors"))) == 10
    assert len(list(folder.glob("*.json"))) == 6
    second = list(both_parts(prepare_biscuits(drawn, recipe)))
    assert len(prepared_ids) == 10
    for found, expected in zip(second, first, strict=True):
        assert_same(found, expected)
    assert any(sample.region is not None for sample in second)


@pytest.fixture
def decoded_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the samples whose files were read."""
    ids: list[str] = []

    def counted(files: SampleFiles, *arguments: object) -> Sample:
        ids.append(files.id)
        return load_sample(files, *arguments)

    monkeypatch.setattr("trd.training.prepare.load_sample", counted)
    return ids


@pytest.mark.parametrize("name", ["lite-rgb-normals", "mvtec3d-rgb-depth", "lite-rgb"])
def test_a_second_run_decodes_nothing(drawn: Path, name: str, folder: Path, decoded_ids: list[str]) -> None:
    recipe = load_recipe(name, ["frame.size=64"])
    first = prepare_biscuits(drawn, recipe)
    assert len(decoded_ids) == 6 + 10
    decoded_ids.clear()
    again = prepare_biscuits(drawn, recipe)
    assert decoded_ids == []
    assert again.pipeline.frame == first.pipeline.frame
    assert again.pipeline.ranges == first.pipeline.ranges
    assert again.record["frame"] == first.record["frame"]


def test_facts_follow_what_they_depend_on_alone(drawn: Path, folder: Path, decoded_ids: list[str]) -> None:
    overrides = ["frame.size=64"]
    prepare_biscuits(drawn, load_recipe("lite-rgb-normals", overrides))
    decoded_ids.clear()
    for override, count in (("frame.margin=0.2", 10), ("frame.part.clearance=0.002", 16), ("frame.cloud_scale=1", 16)):
        prepare_biscuits(drawn, load_recipe("lite-rgb-normals", [*overrides, override]))
        assert len(decoded_ids) == count, override
        decoded_ids.clear()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"null",
        lambda content: b"[1, 2]",
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
        lambda content: content.replace(b"train/good", b"train/gone"),
        lambda content: b"\xff" * len(content),
    ],
)
def test_damaged_facts_are_replaced(
    drawn: Path, recipe: Recipe, folder: Path, decoded_ids: list[str], damage: Callable[[bytes], bytes]
) -> None:
    frame = prepare_biscuits(drawn, recipe).pipeline.frame
    whole = {path: path.read_bytes() for path in folder.glob("*.json")}
    decoded_ids.clear()
    first = min(whole)
    first.write_bytes(damage(whole[first]))
    assert prepare_biscuits(drawn, recipe).pipeline.frame == frame
    assert len(decoded_ids) == 1
    assert first.read_bytes() == whole[first]


def test_facts_count_towards_the_limit(tmp_path: Path) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(3))
    for number in range(50):
        (tmp_path / f"{number:02d}.json").write_text("x" * 100)
        os.utime(tmp_path / f"{number:02d}.json", (1e8, 1e8))  # the oldest
    limit = 4 * (BYTES + module.HEADER)
    fill(PreparedCache(tmp_path, limit), range(10, 12))
    assert not list(tmp_path.glob("*.json"))
    assert size_of(tmp_path) <= limit


def test_a_sample_with_notes_is_not_kept(tmp_path: Path) -> None:
    sample = replace(some_sample(), notes=("no support plane found",))
    assert PreparedCache(tmp_path, 10**9).get("key", lambda: sample) is sample
    assert files_in(tmp_path) == set()


def test_the_first_level_is_still_memory(drawn: Path, recipe: Recipe, folder: Path) -> None:
    parts = prepare_biscuits(drawn, recipe)
    shutil.rmtree(folder)
    assert parts.training[0] is parts.training[0]


def test_one_changed_file_is_prepared_anew(data: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    recipe = recipe.model_copy(update={"frame": recipe.frame.model_copy(update={"crop": "none"})})
    prepare_biscuits(data, recipe)
    prepared_ids.clear()
    source, target = (data / f"biscuit/train/good/rgb/{name}.png" for name in ("001", "003"))
    shutil.copyfile(source, target)
    changed = prepare_biscuits(data, recipe)
    assert prepared_ids == ["train/good/003"]
    np.testing.assert_array_equal(changed.training[3].images["rgb"], changed.training[1].images["rgb"])


@pytest.fixture
def sample_files(tmp_path: Path) -> SampleFiles:
    root = tmp_path / "sources"
    root.mkdir()
    for name in ("rgb.png", "xyz.tiff", "mask.png", "7_depth.png", "7_info_depth.yaml"):
        (root / name).write_bytes(f"content of {name}".encode())
    sources = {"rgb": root / "rgb.png", "xyz": root / "xyz.tiff", "depth": root / "7_depth.png"}
    return SampleFiles("test/dent/rgb", "test", "dent", sources, root / "mask.png")


def key_of(files: SampleFiles, *overrides: str, frame: Frame = FRAME, camera: Camera | None = CAMERA) -> str:
    key = sample_key(Pipeline(load_recipe("lite-rgb-normals", overrides), frame), camera, files)
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
        "frame.part_source=xyz",
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


def test_a_missing_file_is_reported_by_its_reader(data: Path, recipe: Recipe, folder: Path) -> None:
    files, record = list_parts(ClassFolder("biscuit", data / "biscuit"), recipe, Console(quiet=True))
    missing = files.validation[0].sources["rgb"]
    missing.unlink()
    with pytest.raises(DataError, match=str(missing)):
        prepare_class(files, recipe, record)


def flip_last_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
        lambda content: b"\xff" * len(content),
        lambda content: content.replace(b"train/good/0", b"train/good/1"),
        lambda content: content.replace(b"sample", b"simple"),
        flip_last_byte,
    ],
)
@pytest.mark.parametrize("same_process", [True, False])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: Callable[[bytes], bytes], same_process: bool) -> None:
    sample, cache = some_sample(), PreparedCache(tmp_path, 10**9)
    cache.get("key", lambda: sample)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    cache = cache if same_process else PreparedCache(tmp_path, 10**9)
    assert cache.get("key", lambda: sample) is sample
    assert path.read_bytes() == whole
    assert_same(cache.get("key", never), sample)


def fill(cache: PreparedCache, numbers: range, begin: float = 1e9) -> None:
    """Samples under their number, each a second younger than the one before it: file times may be coarse."""
    for number in numbers:
        cache.get(str(number), lambda n=number: some_sample(n))
        path = cache.folder / f"{number}.safetensors"
        if path.exists():
            os.utime(path, (begin + number, begin + number))


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_oldest_go_when_the_limit_is_reached(tmp_path: Path) -> None:
    limit = 10 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    fill(cache, range(10))
    assert len(files_in(tmp_path)) == 10
    for used in (0, 4):
        cache.get(str(used), never)  # now the youngest
    before = files_in(tmp_path)
    fill(cache, range(10, 11))
    gone = {int(name.partition(".")[0]) for name in before - files_in(tmp_path)}
    assert gone
    assert gone <= {1, 2, 3}
    assert size_of(tmp_path) <= module.KEPT_SHARE * limit
    for kept in (0, 4, 9, 10):
        assert_same(cache.get(str(kept), never), some_sample(kept))


def test_the_limit_holds_all_the_time_and_in_a_folder_that_was_full_before(tmp_path: Path) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(20))
    limit = 6 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    for number in range(20, 40):
        fill(cache, range(number, number + 1))
        assert size_of(tmp_path) <= limit
        assert f"{number}.safetensors" in files_in(tmp_path)


def test_the_limit_holds_for_two_processes_together(tmp_path: Path) -> None:
    limit = 40 * (BYTES + module.HEADER)
    caches = [PreparedCache(tmp_path, limit) for _ in range(2)]
    for number in range(200):
        fill(caches[number % 2], range(number, number + 1))
        assert size_of(tmp_path) <= (1 + 2 * module.LISTING_SHARE) * limit


def test_the_folder_is_listed_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings: list[int] = []
    original = PreparedCache._delete_oldest

    def counted(self: PreparedCache) -> int:
        listings.append(1)
        return original(self)

    monkeypatch.setattr(PreparedCache, "_delete_oldest", counted)
    fill(PreparedCache(tmp_path, 1000 * BYTES), range(200))
    assert 1 < len(listings) <= 6


def test_what_was_displaced_is_not_written_again_by_the_same_process(tmp_path: Path) -> None:
    limit = 6 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    fill(cache, range(12))
    kept = files_in(tmp_path)
    for number in range(12):
        assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))
    assert files_in(tmp_path) == kept
    PreparedCache(tmp_path, limit).get("0", lambda: some_sample(0))
    assert "0.safetensors" in files_in(tmp_path)


def test_a_sample_larger_than_the_limit_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(3))
    sample, cache = some_sample(7), PreparedCache(tmp_path, BYTES)
    for _ in range(2):
        assert cache.get("7", lambda: sample) is sample
    assert files_in(tmp_path) == {f"{number}.safetensors" for number in range(3)}
    assert not caplog.records


def test_only_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    limit = 4 * (BYTES + module.HEADER)
    fill(PreparedCache(tmp_path, 10**9), range(3))
    abandoned, under_way = tmp_path / ".8.abc.safetensors", tmp_path / ".9.abc.safetensors"
    for path, seconds in ((abandoned, 0), (under_way, 4e9)):
        path.write_bytes(b"half a sample")
        os.utime(path, (seconds, seconds))
    fill(PreparedCache(tmp_path, limit), range(10, 12))
    assert not abandoned.exists()
    assert under_way.exists()


def test_two_processes_fill_one_folder(drawn: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    files, record = list_parts(ClassFolder("biscuit", drawn / "biscuit"), recipe, Console(quiet=True))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=prepare_class, args=(files, recipe, record)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    assert len(files_in(folder)) == 10 + 6  # samples, and facts of the training samples
    assert not [name for name in files_in(folder) if name.startswith(".")]
    parts = prepare_class(files, recipe, record)
    found = list(both_parts(parts))
    assert prepared_ids == []
    for sample, listed in zip(found, [*files.train, *files.validation], strict=True):
        assert_same(sample, parts.pipeline(load_sample(listed, recipe.point_cloud_sources)))


def test_equal_samples_are_equal_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        PreparedCache(tmp_path / folder, 10**9).get("key", some_sample)
    assert len({path.read_bytes() for path in tmp_path.glob("*/*")}) == 1


def test_writers_and_deleters_do_not_disturb_each_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Four runs share a folder that holds a third of their samples: every answer is right, none gives up."""

    def run(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 15, 40).tolist():
            cache = PreparedCache(tmp_path, 5 * (BYTES + module.HEADER))
            assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert not caplog.records
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]
    assert size_of(tmp_path) <= 9 * (BYTES + module.HEADER)


def test_a_folder_that_cannot_be_made_does_not_stop_the_run(
    drawn: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TRD_CACHE_DIR", str(tmp_path / "file" / "prepared"))
    for _ in range(2):  # two classes of one run
        assert len(list(both_parts(prepare_biscuits(drawn, recipe)))) == 10
    (warning,) = caplog.records
    assert (warning.name, warning.levelno) == ("trd", logging.WARNING)
    assert "TRD_CACHE_DIR" in warning.getMessage()
    assert str(tmp_path / "file" / "prepared") in warning.getMessage()


def test_a_full_disk_ends_the_writing_and_not_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = PreparedCache(tmp_path, 10**9)
    fill(cache, range(2))
    attempts: list[int] = []

    def full(arrays: object, path: Path, facts: object) -> None:
        attempts.append(1)
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    for number in range(5):
        assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))
    assert len(attempts) == 1
    (warning,) = caplog.records
    assert "No space left on device" in warning.getMessage()
    assert files_in(tmp_path) == {"0.safetensors", "1.safetensors"}


def test_zero_switches_it_off(
    drawn: Path, recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch, prepared_ids: list[str]
) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", "0")
    assert user_cache() is None
    for count in (10, 20):
        prepare_biscuits(drawn, recipe)
        assert len(prepared_ids) == count
    assert not folder.exists()


@pytest.mark.parametrize("value", ["four", "-1", "nan", "inf", "-inf", "4 GB", "1e400"])
def test_a_bad_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", value)
    with pytest.raises(RecipeError, match=rf"TRD_CACHE_GB is '{value}'.*0 for none"):
        user_cache()


@pytest.mark.parametrize(("value", "limit"), [("", 4 * 2**30), ("1.5", 3 * 2**29), (" 2 ", 2**31)])
def test_limits(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str, limit: int) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", value)
    cache = user_cache()
    assert cache is not None
    assert (cache.folder, cache.limit) == (folder, limit)
    assert user_cache() is cache


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache"),
        ("linux", {"XDG_CACHE_HOME": "ROOT/xdg"}, "xdg"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache"),
        ("darwin", {"XDG_CACHE_HOME": "ROOT/xdg"}, "home/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "ROOT/local"}, "local"),
    ],
)
def test_the_folder_without_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("TRD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("ROOT", str(tmp_path)))
    monkeypatch.setattr(module.sys, "platform", platform)
    monkeypatch.setattr(module.Path, "home", lambda: tmp_path / "home")
    cache = user_cache()
    assert cache is not None
    assert cache.folder == tmp_path / expected / "trd" / "prepared"
    assert not cache.folder.exists()
