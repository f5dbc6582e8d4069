"""A multipart form -> parts on disk. Nothing of the form chooses a path; sizes are limited while it is read."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from trd.errors import OutputError
from trd_station.api.multipart import NamedParts
from trd_station.api.problems import Problem
from trd_station.reading import suffixes
from trd_station.settings import Settings
from trd_station.shelf.shelf import Serving
from trd_station.station import Station
from trd_station.store.files import Files, new_uid
from trd_station.store.schema import ORIGINS
from trd_station.work.jobs import Job

CAMERA, PART = "camera", "part"
API = ORIGINS.index("api")
NAME = 200  # characters of a part's or a file's name
TEXT_FIELD = 4096  # bytes of a text field
CAMERA_BYTES = 1_000_000


@dataclass(frozen=True)
class Wanted:
    """What a class's forms hold. clouds: those of the sources that are 3D."""

    class_name: str
    sources: Sequence[str]
    clouds: Sequence[str]


def wanted_by(serving: Serving) -> Wanted:
    return Wanted(serving.class_name, serving.version.facts["sources"], serving.version.facts["clouds"])


@dataclass(frozen=True)
class PartFiles:
    """What a form holds of one part. files: source -> file."""

    name: str
    files: dict[str, UploadFile]


def _too_large(settings: Settings) -> Problem:
    return Problem(413, "too_large", f"the request is larger than the limit of {settings.max_body_bytes} bytes")


def limited(request: Request, settings: Settings) -> Request:
    """The same request; reading beyond the limit raises Problem."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_body_bytes:
        raise _too_large(settings)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > settings.max_body_bytes:
            raise _too_large(settings)
        return message

    return Request(request.scope, receive)


@contextlib.asynccontextmanager
async def form_of(request: Request, settings: Settings, sources: Sequence[str]) -> AsyncIterator[FormData]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem(415, "format", f"expected multipart/form-data with a file for each of {', '.join(sources)}")
    limits = limited(request, settings)
    # one more of each than may be, so that the message can say what is wrong
    files = settings.max_parts * len(sources) + 2

    async def read() -> FormData:
        most = {"max_files": files, "max_fields": settings.max_parts + 2, "max_part_size": TEXT_FIELD}
        try:
            return await NamedParts(limits.headers, limits.stream(), **most).parse()
        except MultiPartException as error:
            raise Problem(400, "bad_request", error.message) from error

    try:
        form = await asyncio.wait_for(read(), settings.upload_seconds)  # it holds a place in the queue meanwhile
    except asyncio.TimeoutError as error:
        message = f"the form did not come within {settings.upload_seconds:g} seconds"
        raise Problem(408, "too_slow", message) from error
    try:
        yield form
    finally:
        await form.close()


def parts_in(form: FormData, wanted: Wanted, settings: Settings) -> tuple[list[PartFiles], UploadFile | None]:
    """The parts of a form, and the camera's file. Raises Problem."""
    sources = wanted.sources
    needs = f"class '{wanted.class_name}' needs {', '.join(sources)}"
    for name, value in form.multi_items():
        is_file = isinstance(value, UploadFile)
        if name not in (*sources, CAMERA, PART) or is_file == (name == PART):
            what = "file" if is_file else "text field"
            raise Problem(422, "unknown_source", f"the form has a {what} '{name[:60]}'; {needs}")
    files = {source: [value for value in form.getlist(source) if isinstance(value, UploadFile)] for source in sources}
    for source, uploads in files.items():
        if not uploads:
            raise Problem(422, "missing_source", f"the form has no file '{source}'; {needs}")
        endings = suffixes(source in wanted.clouds)
        for file in uploads:
            if suffix_of(file) not in endings:
                sent = sent_name(file)
                raise Problem(415, "format", f"'{source}' is '{sent}'; known endings: {', '.join(endings)}")
    counts = {source: len(uploads) for source, uploads in files.items()}
    names = [str(value) for value in form.getlist(PART)]
    if len(set(counts.values())) > 1 or (names and len(names) != counts[sources[0]]):
        listed = ", ".join(f"{count} of '{source}'" for source, count in counts.items())
        raise Problem(422, "uneven_parts", f"the form has {listed} and {len(names)} of 'part': they must be as many")
    most = min(settings.max_parts, settings.capacity)
    if counts[sources[0]] > most:
        raise Problem(413, "too_large", f"{counts[sources[0]]} parts; at most {most} in one request")
    cameras = [value for value in form.getlist(CAMERA) if isinstance(value, UploadFile)]
    if len(cameras) > 1 or (cameras and (cameras[0].size or 0) > CAMERA_BYTES):
        raise Problem(422, "parameter", f"'{CAMERA}' must be one small file, camera.json")
    parts = []
    for place in range(counts[sources[0]]):
        own = {source: uploads[place] for source, uploads in files.items()}
        name = names[place] if names else sent_name(own[sources[0]]).rpartition(".")[0]
        parts.append(PartFiles(_printable(name) or "part", own))
    return parts, cameras[0] if cameras else None


def suffix_of(file: UploadFile) -> str:
    return Path(sent_name(file)).suffix.lower()


def sent_name(file: UploadFile) -> str:
    """The last component of the name that a client gave: it is shown, never opened."""
    return _printable((file.filename or "").replace("\\", "/").rpartition("/")[2]) or "file"


def _printable(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable())[:NAME]


async def jobs_of(
    parts: Sequence[PartFiles], camera: UploadFile | None, serving: Serving, station: Station, begun: float
) -> tuple[list[Job], str]:
    """Files written below `incoming`, and the digest of all that was sent."""
    jobs: list[Job] = []
    try:
        return jobs, await run_in_threadpool(_written, parts, camera, serving, station, begun, jobs)
    except OSError as error:
        forget(jobs, station.files)
        raise OutputError(f"the upload could not be kept: {error.strerror or error}") from error


def _written(
    parts: Sequence[PartFiles],
    camera: UploadFile | None,
    serving: Serving,
    station: Station,
    begun: float,
    jobs: list[Job],
) -> str:
    """The digest; `jobs` gets one after another, each before its files are written."""
    digest = hashlib.sha256()
    camera_bytes = camera.file.read() if camera else b""
    digest.update(camera_bytes)
    for part in parts:
        uid = new_uid()
        folder = station.files.incoming / uid
        folder.mkdir()
        digest.update(part.name.encode("utf-8", "surrogatepass") + b"\0")
        # nothing of a client's name but its ending, which is one of the readers' own
        paths = {source: folder / f"{n}{suffix_of(file)}" for n, (source, file) in enumerate(part.files.items())}
        camera_path = folder / "camera.json" if camera else None
        sent = {source: sent_name(file) for source, file in part.files.items()}
        sampled = station.sampled()
        jobs.append(Job(uid, serving.class_name, part.name, API, folder, paths, sent, sampled, camera_path, begun))
        for source, file in part.files.items():
            digest.update(source.encode() + b"\0")
            _copied(file, paths[source], digest)
        if camera_path:
            camera_path.write_bytes(camera_bytes)
    return digest.hexdigest()


def _copied(file: UploadFile, path: Path, digest: hashlib._Hash) -> None:
    file.file.seek(0)
    with path.open("wb") as place:
        while block := file.file.read(1 << 20):
            digest.update(block)
            place.write(block)


def forget(jobs: Sequence[Job], files: Files) -> None:
    for job in jobs:
        shutil.rmtree(files.incoming / job.uid, ignore_errors=True)
