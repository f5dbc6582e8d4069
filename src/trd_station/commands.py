"""The command serve, and the group `trd station`; `trd.cli` imports this by its entry point."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trd.cli.app import DeviceOption, app, console, shown, terminated_as_interrupted
from trd.extras import require
from trd_station.settings import Settings
from trd_station.station_commands import (
    AuditOption,
    DatabaseOption,
    KeepDaysOption,
    KeepGbOption,
    KeepInputsOption,
    given_settings,
    station_app,
)

app.add_typer(station_app, name="station")


@app.command()
def serve(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run folders, detectors or packages; NAME=PATH names the class. None: what served or was taught."
        ),
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder for database and files.")] = Path("trd-station"),
    host: Annotated[str, typer.Option("--host", help="Other than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8765,
    names: Annotated[list[str] | None, typer.Option("--name-of-host", help="As other machines call it.")] = None,
    root_path: Annotated[str, typer.Option("--root-path", help="Path under which a proxy has it: /trd.")] = "",
    database: DatabaseOption = "",
    capacity: Annotated[int, typer.Option("--capacity", min=1, help="Parts that may wait.")] = 64,
    audit: AuditOption = None,
    keep: KeepInputsOption = None,
    keep_days: KeepDaysOption = None,
    keep_gb: KeepGbOption = None,
    max_model_gb: Annotated[
        float, typer.Option("--max-model-gb", min=0.001, help="The largest package that can be sent to it.")
    ] = 2,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Parts computed together; 1: equal to `trd predict` to the bit.")
    ] = 1,
    station_name: Annotated[str, typer.Option("--name", help="Of this station, in answers and outputs.")] = "station",
    folders: Annotated[list[str] | None, typer.Option("--watch-folder", help="CLASS=DIR: inspect what comes.")] = None,
    settle: Annotated[
        float | None, typer.Option("--settle", min=0, help="Seconds that a watched file rests before it is read.")
    ] = None,
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
        **(given := given_settings(audit, keep, keep_days, keep_gb)),
        given=tuple(given),
    )
    attached = Attached(
        folders=tuple(folders or ()),
        settle=settle,
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
        run(settings, runs or (), Place(host, port, tuple(names or ()), root_path), attached, ready)


@contextmanager
def until_stopped() -> Iterator[None]:
    """The server passes on the signal that ended it: by then the station has finished what it had taken."""
    try:
        with terminated_as_interrupted():
            yield
    except KeyboardInterrupt:
        console.print("the station has stopped", highlight=False)
