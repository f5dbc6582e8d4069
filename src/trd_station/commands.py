"""The commands serve and `trd station ...`; `trd.cli` imports this by its entry point."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trd.cli.app import DeviceOption, app, console, errors, shown, terminated_as_interrupted
from trd.errors import RecipeError
from trd.extras import require
from trd.files import locked, write_bytes
from trd_station.settings import KeepInputs, Settings

station_app = typer.Typer(help="Look after a station's folder.", no_args_is_help=True)
app.add_typer(station_app, name="station")

FolderArgument = Annotated[Path, typer.Argument(help="The station's folder (`trd serve --data`).")]
DatabaseOption = Annotated[
    str,
    typer.Option("--database", envvar="TRD_DATABASE", help="SQLAlchemy URL; SQLite in the folder by default."),
]


@app.command()
def serve(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run folders, detectors or packages; NAME=PATH names the class. None: what was taught there."
        ),
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder for database and files.")] = Path("trd-station"),
    host: Annotated[str, typer.Option("--host", help="Other than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8765,
    names: Annotated[list[str] | None, typer.Option("--name-of-host", help="As other machines call it.")] = None,
    database: DatabaseOption = "",
    capacity: Annotated[int, typer.Option("--capacity", min=1, help="Parts that may wait.")] = 64,
    audit: Annotated[float, typer.Option("--audit", min=0, max=1, help="Share of parts drawn for audit.")] = 0.01,
    keep: Annotated[KeepInputs, typer.Option("--keep-inputs", help="Whose files stay.")] = "all",
    keep_days: Annotated[float, typer.Option("--keep-days", min=0, help="Files older than this go.")] = 90,
    keep_gb: Annotated[float, typer.Option("--keep-gb", min=0, help="Oldest files go beyond this.")] = 50,
    max_model_gb: Annotated[
        float, typer.Option("--max-model-gb", min=0.001, help="The largest package that can be sent to it.")
    ] = 2,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Parts computed together; 1: equal to `trd predict` to the bit.")
    ] = 1,
    station_name: Annotated[str, typer.Option("--name", help="Of this station, in answers and outputs.")] = "station",
    folders: Annotated[list[str] | None, typer.Option("--watch-folder", help="CLASS=DIR: inspect what comes.")] = None,
    replays: Annotated[list[str] | None, typer.Option("--replay", help="CLASS=DIR: its test parts, again.")] = None,
    every: Annotated[float, typer.Option("--every", min=0.0, help="Seconds between parts of a replay.")] = 2.0,
    cameras: Annotated[list[str] | None, typer.Option("--camera", help="CLASS=ADDRESS, colour only.")] = None,
    webhooks: Annotated[list[str] | None, typer.Option("--webhook", help="Address that results are posted to.")] = None,
    mqtt: Annotated[str, typer.Option("--mqtt", help="mqtt(s)://HOST\\[:PORT]\\[/PREFIX], extra 'mqtt'.")] = "",
    output_ca: Annotated[Path | None, typer.Option("--output-ca", help="PEM: whom webhooks and MQTT trust.")] = None,
    output_cert: Annotated[Path | None, typer.Option("--output-cert", help="PEM: their own certificate.")] = None,
    output_key: Annotated[Path | None, typer.Option("--output-key", help="PEM: its key, unencrypted.")] = None,
    opcua: Annotated[str, typer.Option("--opcua", help="opc.tcp://HOST:PORT, extra 'opcua'.")] = "",
    opcua_cert: Annotated[Path | None, typer.Option("--opcua-cert", help="PEM or DER: OPC UA, secured.")] = None,
    opcua_key: Annotated[Path | None, typer.Option("--opcua-key", help="PEM or DER: its key, unencrypted.")] = None,
    opcua_open: Annotated[
        bool, typer.Option("--opcua-open", help="Other machines may read OPC UA unencrypted, whoever they are.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page here.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="The log as JSON, an object a line.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Inspect parts over HTTP, with history, review and a page to work in."""
    require("trd serve", "serve", *(("mqtt",) if mqtt else ()), *(("opcua",) if opcua else ()))
    from trd_station.logs import log_as_json
    from trd_station.outputs.opcua_security import OpcUaSecurity
    from trd_station.outputs.tls import Tls
    from trd_station.running import Attached, Place, run

    if log_json:
        log_as_json()
    settings = Settings(
        data,
        station_name,
        database,
        device,
        capacity=capacity,
        max_model_bytes=round(max_model_gb * 1e9),
        batch=batch,
        audit_rate=audit,
        keep_inputs=keep,
        keep_days=keep_days,
        keep_bytes=round(keep_gb * 1e9),
    )
    attached = Attached(
        folders=tuple(folders or ()),
        replays=tuple(replays or ()),
        every=every,
        cameras=tuple(cameras or ()),
        webhooks=tuple(webhooks or ()),
        mqtt=mqtt,
        opcua=opcua,
        tls=Tls(output_ca, output_cert, output_key),
        security=OpcUaSecurity(opcua_cert, opcua_key, opcua_open),
    )

    def ready(url: str) -> None:
        console.print(f"the station answers at {url} (Ctrl-C stops it); its folder is {shown(data)}", highlight=False)
        if browser:
            webbrowser.open(url)

    with until_stopped():
        run(settings, runs or (), Place(host, port, tuple(names or ())), attached, ready)


@contextmanager
def until_stopped() -> Iterator[None]:
    """The server passes on the signal that ended it: by then the station has finished what it had taken."""
    try:
        with terminated_as_interrupted():
            yield
    except KeyboardInterrupt:
        console.print("the station has stopped", highlight=False)


@station_app.command()
def token(
    data: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="Whose it is; one of the same name is replaced.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator or engineer.")] = "operator",
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
) -> None:
    """Make a token for a person or a machine; it is shown once. A running station takes it at once."""
    from trd_station.tokens import Tokens

    data.mkdir(parents=True, exist_ok=True)
    tokens = Tokens(data)
    if remove:
        tokens.remove(name)
        console.print(f"the token of {name} is gone", markup=False)
    else:
        typer.echo(tokens.add(name, role))
        errors.print(f"the token of {name} ({role}); it is stored as a digest only, so keep it", markup=False)


@station_app.command()
def reconcile(
    data: FolderArgument,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare it with its name.")] = False,
    database: DatabaseOption = "",
) -> None:
    """Bring files and rows into agreement after a crash or a restored backup. The station must be stopped."""
    require("trd station", "serve")
    from trd_station.store import retention
    from trd_station.store.database import Database, check_kind, check_there
    from trd_station.store.files import Files

    url = Settings(data, database=database).url
    check_kind(data, url)
    check_there(url)
    with locked(data, "reconciling"):
        opened = Database(url)
        try:
            result = retention.reconcile(opened, Files(data), verify)
        finally:
            opened.close()
    console.print(
        f"{result.checked} files: {result.orphans} that no row names were deleted; {result.missing} inspections whose "
        f"files are missing were marked; {len(result.damaged)} files are damaged",
        highlight=False,
    )
    for name in result.damaged:
        errors.print(f"damaged: {name}", markup=False)
    if result.damaged:
        raise typer.Exit(1)


@station_app.command()
def export(
    data: FolderArgument,
    run: Annotated[list[str], typer.Argument(help="The detectors that it serves.")],
    class_name: Annotated[str, typer.Option("--class", help="Of which class.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    verdict: Annotated[str, typer.Option("--verdict", help="Comma-separated: good, defect, unsure.")] = "good,defect",
    database: DatabaseOption = "",
) -> None:
    """Judged parts as a data folder for `trd train`. The station must be stopped (its page exports too)."""
    require("trd station", "serve")
    from trd_station.export import entries
    from trd_station.station import Station
    from trd_station.store.database import check_kind, check_there

    if out.exists():
        raise RecipeError(f"{out} exists: choose a new folder")
    settings = Settings(data, database=database)
    check_kind(data, settings.url)
    check_there(settings.url)
    station = Station.open(settings, run)
    try:
        count = 0
        for entry in entries(station, class_name, tuple(verdict.split(","))):
            write_bytes(out / class_name / entry.place, entry.read(), durable=False)
            count += 1
    finally:
        station.close()
    console.print(f"{count} files in {shown(out)}", markup=False, highlight=False)
