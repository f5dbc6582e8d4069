"""A station with its inputs and outputs, answering until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trd.errors import RecipeError
from trd_station.addresses import shown
from trd_station.api.prefix import checked_prefix
from trd_station.attachments import Attachment
from trd_station.inputs.camera import CameraInput, VideoCamera
from trd_station.inputs.folder import WatchedFolder
from trd_station.inputs.replay import Replay
from trd_station.inputs.taking import Running, sources_of
from trd_station.local import reachable
from trd_station.outputs.feeds import ALARMS
from trd_station.outputs.mqtt import Mqtt
from trd_station.outputs.opcua import OpcUa
from trd_station.outputs.opcua_security import OpcUaSecurity
from trd_station.outputs.outbox import Outbox
from trd_station.outputs.tls import Tls
from trd_station.outputs.webhook import alarm_key, webhook
from trd_station.serve import check_address, listening, serve
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.tokens import Tokens


@dataclass(frozen=True)
class Place:
    """Where it answers. hosts: names under which other machines call it. prefix: the path that a proxy has it under."""

    host: str = "127.0.0.1"
    port: int = 8765
    hosts: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Attached:
    """folders, replays, cameras: "CLASS=WHERE". settle: seconds that files in folders rest, None for what fits their
    drive. every: seconds between parts of a replay. webhooks: addresses. mqtt,
    opcua: addresses, "" for none. tls: of webhooks and MQTT. security: of OPC UA."""

    folders: tuple[str, ...] = ()
    settle: float | None = None
    replays: tuple[str, ...] = ()
    every: float = 2.0
    cameras: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    mqtt: str = ""
    opcua: str = ""
    tls: Tls = field(default_factory=Tls)
    security: OpcUaSecurity = field(default_factory=OpcUaSecurity)


def run(
    settings: Settings, runs: Sequence[str], place: Place, attached: Attached, on_ready: Callable[[str], None]
) -> None:
    """on_ready: called with the address when it answers. Raises TRDError for what it cannot begin with."""
    prefix = checked_prefix(place.prefix)
    check_address(place.host, bool(Tokens(settings.data)))
    with ExitStack() as stack:
        bound = stack.enter_context(listening(place.host, place.port))
        station = Station.open(settings, runs)
        stack.callback(station.close)
        attach(station, attached, stack)
        host = f"[{place.host}]" if ":" in place.host else place.host
        url = f"http://{host}:{bound.getsockname()[1]}{prefix}"
        stack.enter_context(reachable(settings.data, station.tokens, *bound.getsockname()[:2]))
        serve(station, bound, place.hosts, prefix, lambda: on_ready(url))


def attach(station: Station, attached: Attached, stack: ExitStack) -> None:
    """Begin inputs and outputs; `stack` ends them, inputs first. Raises TRDError for what cannot be used."""

    def output(
        name: str,
        where: str,
        deliver: tuple[Callable[[dict[str, Any]], None], Callable[[dict[str, Any]], None]],
        test: Callable[[], str],
    ) -> None:
        """deliver: inspections, and alarms."""
        box, alarms = Outbox(station, name, deliver[0]), Outbox(station, f"{name}-alarms", deliver[1], ALARMS)
        stack.callback(box.stop)
        stack.callback(alarms.stop)
        station.attachments.outputs.append(
            Attachment(name, shown(where), lambda: box.state().with_alarms(alarms.state()), test)
        )

    for number, address in enumerate(attached.webhooks):
        receiver, alarms = webhook(address, attached.tls), webhook(address, attached.tls, alarm_key)
        output(f"webhook-{number}" if number else "webhook", address, (receiver, alarms), receiver.test)
    if attached.mqtt:
        broker = Mqtt(attached.mqtt, station.settings.name, attached.tls)
        stack.callback(broker.close)
        output("mqtt", attached.mqtt, (broker.deliver, broker.deliver_alarm), broker.test)
    if attached.opcua:
        server = OpcUa(attached.opcua, station.shelf.classes, attached.security)
        stack.callback(server.close)
        for alarm in station.open_alarms():  # it begins empty, and the outbox tells only what is new
            server.deliver_alarm(alarm)
        output("opcua", attached.opcua, (server.deliver, server.deliver_alarm), server.test)
    inputs: list[tuple[WatchedFolder | Replay | CameraInput, str]] = []
    for text in attached.folders:
        name, where = _of_class(station, text, "--watch-folder")
        inputs.append((WatchedFolder(station, name, Path(where), attached.settle), where))
    for text in attached.replays:
        name, where = _of_class(station, text, "--replay")
        inputs.append((Replay(station, name, Path(where), attached.every), where))
    for text in attached.cameras:
        name, where = _of_class(station, text, "--camera")
        camera = VideoCamera(where, sources_of(station, name)[0][0])
        stack.callback(camera.close)
        inputs.append((CameraInput(station, name, camera), where))
    for source, where in inputs:
        running = Running(station, source)
        stack.callback(running.stop)
        station.attachments.inputs.append(Attachment(source.name, shown(where), running.state, source.test))


def _of_class(station: Station, text: str, option: str) -> tuple[str, str]:
    """Raises RecipeError, and DataError for a class that is not served; of an empty station it may be taught later."""
    name, equals, where = text.partition("=")
    if not equals or not where:
        raise RecipeError(
            f"{option} {text}: expected CLASS=WHERE; there are the classes {', '.join(station.shelf.classes)}"
        )
    if station.shelf.classes:
        sources_of(station, name)
    return name, where
