"""A package: a ZIP file, read whole and checked before anything in it is used; no pickle.

manifest.json         what is inside, with a hash of every member; its own hash is the archive's comment
recipe.toml           every number of the recipe
detector.json         class, frame, camera, calibration of this runtime and precision
graphs/               the networks, of one runtime
golden/               parts with the maps that the exporting machine made of them
equivalence.json      how far this differs from the trained detector, on the user's parts
calibrations/ID.json  what was the calibration before `trd calibrate`
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trd.errors import CheckpointError
from trd.files import write_whole
from trd.packages import packing
from trd.packages.manifest import FORMAT_VERSION, Manifest, Member
from trd.packages.packing import Packed
from trd.stored import FACTS, RECIPE, DetectorFacts, facts_content, facts_from

SUFFIX = ".trdm"
MANIFEST, EQUIVALENCE = "manifest.json", "equivalence.json"
MOST_MANIFEST = 4 * 2**20  # bytes
PIECE = 2**14  # bytes; LZMA unpacks as many compressed ones at once, to 7,000 times as many at the worst
DATE = (1980, 1, 1, 0, 0, 0)  # of every member, so that a package repeats to the bit


@dataclass(frozen=True)
class Package:
    """contents: of every member but the manifest, by name. path: where it was read, for messages."""

    manifest: Manifest
    facts: DetectorFacts
    contents: Mapping[str, bytes]
    path: Path

    @property
    def equivalence(self) -> dict[str, Any]:
        """The report of the export; empty where there is none."""
        report = self.contents.get(EQUIVALENCE)
        return {} if report is None else dict(json.loads(report))

    def calibrated(self, facts: DetectorFacts) -> Package:
        """With the facts' calibration; the one before is kept inside."""
        before = self.facts.calibration
        earlier = {f"calibrations/{before.id}.json": _json(before.to_json())}
        return replace(self, facts=facts, contents={**self.contents, **earlier, **facts_members(facts)})


def is_package(path: Path) -> bool:
    """By its name, or by its content where it is called otherwise."""
    return path.suffix == SUFFIX or (path.is_file() and zipfile.is_zipfile(path))


def facts_members(facts: DetectorFacts) -> dict[str, bytes]:
    text = facts.recipe.to_toml()
    return {RECIPE: text.encode(), FACTS: _json(facts_content(facts, text))}


def write_package(path: Path, package: Package, pack: Callable[[bytes], Packed] = packing.packed) -> Package:
    """Whole or not at all; comes back with its manifest brought up to its contents. Raises OutputError.

    Packed member by member, since networks of the paper's size are gigabytes.
    """
    members: dict[str, Member] = {}

    def manifest() -> Manifest:
        return package.manifest.model_copy(update={"members": dict(members)})

    def add(archive: zipfile.ZipFile, name: str, packed: Packed) -> None:
        entry = zipfile.ZipInfo(name, DATE)
        entry.compress_type, entry.external_attr = packed.method, 0o644 << 16
        archive.writestr(entry, packed.data, compresslevel=packed.level)

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, data in package.contents.items():
                packed = pack(data)
                members[name] = Member(sha256=_digest(data), bytes=len(data), word=packed.word)
                add(archive, name, packed)
            left_out = None if package.manifest.on_demand else {"on_demand"}  # as packages without had it
            text = _json(manifest().model_dump(mode="json", exclude=left_out))
            archive.comment = _digest(text).encode()
            add(archive, MANIFEST, packing.as_it_is(text))

    write_whole(path, write)
    return replace(package, manifest=manifest(), path=path)


def read_package(path: Path) -> Package:
    """Raises CheckpointError, in one line, for whatever is not as `write_package` left it."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            contents = {name: _member(archive, name, member, path) for name, member in manifest.members.items()}
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; give the file that `trd export --out` wrote") from error
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, *packing.ERRORS, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is no package, truncated or damaged ({error}): copy or export it anew"
        ) from error
    try:
        text, content = contents[RECIPE].decode("utf-8"), json.loads(contents[FACTS])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} lacks {RECIPE} or {FACTS}: export it anew") from error
    return Package(manifest, facts_from(content, text, path), contents, path)


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    if MANIFEST not in archive.namelist():
        raise CheckpointError(f"{path} is no package of `trd export`: it holds no {MANIFEST}")
    if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST:
        raise CheckpointError(f"{path}: its {MANIFEST} is over {MOST_MANIFEST >> 20} MB; export it anew")
    text = _read(archive, MANIFEST, MOST_MANIFEST)
    if archive.comment != _digest(text).encode():
        raise CheckpointError(f"{path} was edited or damaged: its {MANIFEST} is not what was written; export it anew")
    values = json.loads(text)
    version = values.get("format_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by a newer version (format {version}, this one reads up to {FORMAT_VERSION}): upgrade "
            "trd-anomaly"
        )
    if isinstance(version, int) and version < FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by an earlier version (format {version}, this one reads {FORMAT_VERSION}): export "
            "it anew"
        )
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path}: {MANIFEST}, {place}: {first['msg']}; export it anew") from error


def _member(archive: zipfile.ZipFile, name: str, member: Member, path: Path) -> bytes:
    if name not in archive.namelist() or archive.getinfo(name).file_size != member.bytes:
        raise CheckpointError(f"{path} was edited or damaged: {name} is missing or of another size; export it anew")
    data = packing.unpacked(_read(archive, name, member.bytes), member.word)
    if _digest(data) != member.sha256:
        raise CheckpointError(f"{path} was edited or damaged: {name} is not what was written; export it anew")
    return data


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """In pieces, so that what unpacks to more than it says takes no memory."""
    with archive.open(name) as file:
        pieces, count = list[bytes](), 0
        while count <= most and (piece := file.read(PIECE)):
            pieces.append(piece)
            count += len(piece)
    return b"".join(pieces)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()
