"""Prepared samples and what fitting needs of them on disk: decoding is done once, also over several runs.

A file's name is a digest of all that its content depends on: nothing in the folder is ever out of date, only unused.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import math
import os
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trd.config import Recipe
from trd.data.clouds import depth_range_file
from trd.data.images import mask_files
from trd.errors import OutputError, RecipeError
from trd.files import ABANDONED, write_whole
from trd.preprocess.facts import SampleFacts
from trd.preprocess.view_pipeline import AnyPipeline, ViewPipeline
from trd.types import Camera, PreparedSample, SampleFiles

FORMAT = 1  # raise it when the files' layout changes
DEFAULT_GB = 4.0
KEPT_SHARE = 0.9  # of the limit, after deleting
LISTING_SHARE = 0.05  # of the limit written between two listings: other processes write here too
HEADER = 4096  # bytes of a file beside its arrays, at most
SUFFIXES = (".safetensors", ".json")  # of prepared samples, of facts
MAKERS = ("trd-anomaly", "numpy", "opencv-python-headless", "pillow", "imagecodecs", "tifffile")


class PreparedCache:
    """A folder of prepared samples, least recently used ones deleted beyond `limit` bytes.

    Threads may share this object and processes the folder. A failed write is no error: it is logged once, and this
    object writes nothing more.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._writable = True
        self._written: set[str] = set()
        self._total: int | None = None  # bytes in the folder, as far as this process knows
        self._unlisted = 0  # of these, written since the folder was listed
        self._lock = Lock()  # over these numbers and the deleting

    def get(self, key: str | None, prepare: Callable[[], PreparedSample]) -> PreparedSample:
        """The sample kept under `key` (`sample_key`), else what `prepare` returns, which is kept; None is no key.

        One with notes is not kept: they and the plane that it may have borrowed depend on all training samples, and
        keys that did so would make every change of one sample a change of all.
        """
        if key is None:
            return prepare()
        path = self.folder / f"{key}.safetensors"
        sample = _read(path)
        if sample is None:
            sample = prepare()
            # What this process wrote and others displaced would displace them in turn, in every epoch.
            if not sample.notes and (key not in self._written or path.exists()):
                self._write(path, sample)
                self._written.add(key)
        return sample

    def get_facts(self, key: str | None, measure: Callable[[], SampleFacts]) -> SampleFacts:
        """The same for a training sample's facts (`facts_key`)."""
        if key is None:
            return measure()
        path = self.folder / f"{key}.json"
        facts = _read_facts(path)
        if facts is None:
            facts = measure()
            text = json.dumps(facts.to_json())
            content = json.dumps([text, zlib.crc32(text.encode())]).encode()
            self._store(path, len(content), lambda temporary: temporary.write_bytes(content))
        return facts

    def _write(self, path: Path, sample: PreparedSample) -> None:
        arrays, facts = _packed(sample)
        size = sum(array.nbytes for array in arrays.values()) + HEADER
        self._store(path, size, lambda temporary: save_file(arrays, temporary, facts))

    def _store(self, path: Path, size: int, write: Callable[[Path], object]) -> None:
        if not self._writable or size > KEPT_SHARE * self.limit:
            return
        try:
            write_whole(path, write, durable=False)
            with contextlib.suppress(FileNotFoundError):  # another run may have made room already
                _touch(path)
            with self._lock:
                self._count(size)
        except (OutputError, OSError) as error:
            with self._lock:  # several threads may meet the same full disk
                first_failure, self._writable = not self._writable, False
            if first_failure:
                return
            logging.getLogger("trd").warning(
                "prepared samples are no longer stored in %s (%s); the run goes on without. Free some space, name "
                "another folder in TRD_CACHE_DIR, or switch this off with TRD_CACHE_GB=0",
                self.folder,
                error.__cause__ or error,
            )

    def _count(self, size: int) -> None:
        self._unlisted += size
        if self._total is not None:
            self._total += size
        if self._total is None or self._total > self.limit or self._unlisted > LISTING_SHARE * self.limit:
            self._total, self._unlisted = self._delete_oldest(), 0

    def _delete_oldest(self) -> int:
        """Bytes in the folder, after deleting where they were more than the limit."""
        entries, now = [], time.time()
        for path in self.folder.iterdir():  # also temporary files, `.KEY...`
            if path.suffix not in SUFFIXES:
                continue
            with contextlib.suppress(OSError):  # deleted by another process meanwhile
                facts = path.stat()
                if not path.name.startswith("."):
                    entries.append((facts.st_mtime_ns, facts.st_size, path))
                elif now - facts.st_mtime > ABANDONED:
                    path.unlink()
        total = sum(size for _, size, _ in entries)
        if total > self.limit:
            for _, size, path in sorted(entries):
                if total <= KEPT_SHARE * self.limit:
                    break
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                    total -= size
        return total


Contents = list[list[str]]
"""Name and digests of each file that a sample is read from, masks last."""


def file_contents(files: SampleFiles) -> Contents | None:
    """None when a file cannot be read."""
    read = [*files.sources.values(), *(file for mask in files.masks for file in mask_files(mask))]
    try:
        return [[path.name, *(_digest(part) for part in (path, depth_range_file(path)) if part)] for path in read]
    except OSError:
        return None


def sample_key(
    pipeline: AnyPipeline, camera: Camera | None, files: SampleFiles, contents: Contents | None = None
) -> str | None:
    """Digest of all that a prepared sample without notes depends on; None when a file cannot be read.

    contents: `file_contents`, read when not given.
    """
    contents, recipe = contents or file_contents(files), pipeline.recipe
    if contents is None:
        return None
    modalities = {name: config.model_dump(mode="json") for name, config in recipe.modalities.items()}
    recipe_parts = [modalities, recipe.frame.model_dump(mode="json"), pipeline.region]
    frames = pipeline.pipelines.values() if isinstance(pipeline, ViewPipeline) else [pipeline]
    frame = [{**p.frame.to_json(), "planes": sorted(p.frame.planes)} for p in frames]  # only who has notes takes one
    return _key([recipe_parts, frame, camera and asdict(camera), files.id, files.defect, list(files.sources), contents])


def facts_key(
    recipe: Recipe, camera: Camera | None, files: SampleFiles, contents: Contents | None = None
) -> str | None:
    """The same for a training sample's facts, which leave more of the recipe open."""
    contents = contents or file_contents(files)
    if contents is None:
        return None
    inputs = [[config.representation, config.source] for config in recipe.modalities.values()]
    looks = [recipe.looks_for_part, recipe.point_cloud_sources, recipe.plane_sources]
    part, clouds = recipe.frame.part.model_dump(mode="json"), [recipe.frame.cloud_scale, recipe.frame.missing]
    settings = [inputs, looks, part, clouds]
    return _key(["facts", settings, camera and asdict(camera), files.id, list(files.sources), contents])


def _key(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps([FORMAT, _makers(), parts]).encode()).hexdigest()[:40]


def user_cache() -> PreparedCache | None:
    """The cache that the environment asks for, one object per process; None where it is switched off.

    TRD_CACHE_DIR: the folder, else one in the user's cache folder. TRD_CACHE_GB: its limit in GiB, 4 by default, 0
    switches it off. Raises RecipeError for a limit that is not a number of 0 or more.
    """
    text = os.environ.get("TRD_CACHE_GB", "").strip() or str(DEFAULT_GB)
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise RecipeError(
            f"the environment variable TRD_CACHE_GB is '{text}'; expected the GiB of disk for prepared samples, such "
            "as 4, or 0 for none"
        )
    try:
        folder = _user_folder()
    except RuntimeError:  # a user without a home folder, as in some containers
        return None
    return _shared(folder, int(limit * 2**30)) if limit else None


_shared = functools.cache(PreparedCache)


def _user_folder() -> Path:
    if chosen := os.environ.get("TRD_CACHE_DIR"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", ""))
        base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "trd" / "prepared"


def _touch(path: Path) -> None:
    """Used now, to the nanosecond: the system's own clock for files ticks every few milliseconds, which makes ties."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _makers() -> list[Any]:
    """Versions of the packages that make a sample, and our code: in a working tree it changes without the version."""
    root = Path(__file__).parents[1]
    code = [_digest(path) for room in ("data", "preprocess") for path in sorted((root / room).rglob("*.py"))]
    return [{name: metadata.version(name) for name in MAKERS}, code]


def _packed(sample: PreparedSample) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of the file; the checksum finds what a crash left zeroed.

    One entry of metadata: the library writes several in random order, and equal samples shall be equal files.
    """
    arrays: dict[str, NDArray[Any]] = {f"image.{name}": np.ascontiguousarray(a) for name, a in sample.images.items()}
    for name, flags in (("region", sample.region), ("mask", sample.mask)):
        if flags is not None:
            arrays[name] = np.ascontiguousarray(flags, np.uint8)
    if sample.named is not None:
        arrays["named"] = np.ascontiguousarray(sample.named)
    facts = [sample.id, sample.defect, list(sample.shape), list(sample.images)]
    return arrays, {"sample": json.dumps([facts, _checksum(facts, arrays)])}


def _read(path: Path) -> PreparedSample | None:
    """The sample of a file, which counts as used now; None for a missing or damaged one."""
    try:
        with safe_open(path, framework="np") as file:
            facts, checksum = json.loads((file.metadata() or {})["sample"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if checksum != _checksum(facts, arrays):
            return None
        sample_id, defect, (height, width), names = facts
        images = {name: arrays[f"image.{name}"] for name in names}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    with contextlib.suppress(OSError):
        _touch(path)
    region, mask = (arrays[name].astype(bool) if name in arrays else None for name in ("region", "mask"))
    return PreparedSample(sample_id, defect, images, region, mask, (height, width), named=arrays.get("named"))


def _read_facts(path: Path) -> SampleFacts | None:
    """The same for facts."""
    try:
        text, checksum = json.loads(path.read_bytes())
        if checksum != zlib.crc32(text.encode()):
            return None
        facts = SampleFacts.from_json(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):
        _touch(path)
    return facts


def _checksum(facts: list[Any], arrays: dict[str, NDArray[Any]]) -> int:
    value = zlib.crc32(json.dumps(facts).encode())
    for name in sorted(arrays):
        value = zlib.crc32(arrays[name].data, value)
    return value
