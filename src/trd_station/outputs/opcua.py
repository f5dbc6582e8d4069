"""Results as an OPC UA server (the extra `opcua`), for a PLC that reads or subscribes.

Objects/TRD has State ("Running", "Stopped"), Heartbeat (counts up every second), and an object per class with the last
result: Sequence, Id, Part, Decision, Score, RejectAbove, Model and Time; Sequence is written last, so that a reader who
waits for it to change sees the result whole. TRD itself and each class have AlarmsOpen, and of the last alarm AlarmId,
AlarmKind, AlarmText and AlarmAcknowledgedBy. These names are ours: nothing here is of OPC 40100-1 (machine vision).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from trd.errors import OutputError, RecipeError
from trd.extras import require
from trd_station.addresses import split_address
from trd_station.outputs.opcua_security import OpcUaSecurity

NAMESPACE = "urn:trd:station"
FIELDS: dict[str, Any] = {
    "Id": 0,
    "Part": "",
    "Decision": "",
    "Score": 0.0,
    "RejectAbove": 0.0,
    "Model": 0,
    "Time": "",
    "Sequence": 0,
}
ALARM_FIELDS: dict[str, Any] = {
    "AlarmsOpen": 0,
    "AlarmId": 0,
    "AlarmKind": "",
    "AlarmText": "",
    "AlarmAcknowledgedBy": "",
}
BEAT = 1.0  # seconds
ANSWER = 10.0
STARTING = 60.0  # asyncua builds its standard nodes first: seconds of computing, more on a busy machine

Result = TypeVar("Result")


class OpcUa:
    """Runs in a thread of its own. endpoint: opc.tcp://HOST:PORT. classes: those whose objects are there from the
    beginning; another's comes with its first result. Clients read; nobody writes. Raises RecipeError, OutputError."""

    def __init__(self, endpoint: str, classes: Sequence[str], security: OpcUaSecurity | None = None) -> None:
        require("the output OPC UA", "opcua")
        parts = split_address(endpoint)
        if parts is None or parts.scheme != "opc.tcp" or not parts.hostname:
            raise RecipeError(f"the OPC UA endpoint {endpoint} is none: expected opc.tcp://HOST:PORT")
        self._protection = (security or OpcUaSecurity()).protection(parts.hostname)
        self._endpoint, self._classes = endpoint, tuple(classes)
        self._root: Any = None  # Objects/TRD
        self._nodes: dict[str, dict[str, Any]] = {}
        self._alarm_nodes: dict[str | None, dict[str, Any]] = {}  # class, None for the station -> its nodes
        self._open: defaultdict[str | None, set[int]] = defaultdict(set)
        self._sequence: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="station-opcua", daemon=True)
        self._thread.start()
        try:
            self._begun.result(STARTING)
        except Exception as error:
            raise OutputError(f"the OPC UA server cannot listen at {endpoint}: {error}") from error

    def deliver(self, inspection: dict[str, Any]) -> None:
        """Raises OutputError when it was closed."""
        self._run_in_loop(self._write(inspection))

    def deliver_alarm(self, alarm: dict[str, Any]) -> None:
        """Raised or acknowledged. Raises OutputError when it was closed."""
        self._run_in_loop(self._write_alarm(alarm))

    def _run_in_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Raises OutputError."""
        if self._loop.is_closed():
            work.close()
            raise OutputError("the OPC UA server has stopped")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER)
        except FutureTimeoutError as error:
            raise OutputError(f"the OPC UA server has not answered within {ANSWER:g} s") from error

    def test(self) -> str:
        """Reads the state as a client does, but for the network. Raises OutputError."""
        children: list[Any] = self._run_in_loop(self._root.get_children())
        return f"the server answers at {self._endpoint} with {len(children)} objects and variables"

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        from asyncua import Server

        protection = self._protection
        server = Server() if protection is None else protection.server()
        try:
            await server.init()
            server.allow_remote_admin(False)  # else whoever gives the name admin writes
            server.set_endpoint(self._endpoint)
            if protection is not None:
                await protection.apply(server)
            server.set_server_name("TRD inspection station")
            place = await server.register_namespace(NAMESPACE)
            self._root = await server.nodes.objects.add_object(place, "TRD")
            state = await self._root.add_variable(place, "State", "Running")
            heartbeat = await self._root.add_variable(place, "Heartbeat", 0)
            self._alarm_nodes[None] = await _variables(self._root, place, ALARM_FIELDS)
            for name in self._classes:
                await self._add(name)
            await server.start()
        except Exception as error:
            self._begun.set_exception(error)
            return
        self._begun.set_result(None)
        beats = 0
        while not self._ending.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), BEAT)
            beats += 1
            await heartbeat.write_value(beats)
        await state.write_value("Stopped")
        await server.stop()

    async def _add(self, name: str) -> None:
        place = self._root.nodeid.NamespaceIndex
        own = await self._root.add_object(place, name)
        self._nodes[name] = await _variables(own, place, FIELDS)
        self._alarm_nodes[name] = await _variables(own, place, ALARM_FIELDS)

    async def _write_alarm(self, alarm: dict[str, Any]) -> None:
        name = alarm["class"]
        if name not in self._alarm_nodes:
            await self._add(name)
        ids = self._open[name]
        (ids.discard if alarm["acknowledged_at"] else ids.add)(alarm["id"])
        values = {
            "AlarmId": alarm["id"],
            "AlarmKind": alarm["kind"],
            "AlarmText": alarm["text"],
            "AlarmAcknowledgedBy": alarm["acknowledged_by"] or "",
            "AlarmsOpen": len(ids),  # last, for who waits for it to change
        }
        for key, value in values.items():
            await self._alarm_nodes[name][key].write_value(value)

    async def _write(self, inspection: dict[str, Any]) -> None:
        name = inspection["class"]
        if name not in self._nodes:  # no model of it could serve when the station began
            await self._add(name)
        nodes = self._nodes[name]
        self._sequence[name] += 1
        values = {
            "Id": inspection["id"],
            "Part": inspection["part"],
            "Decision": inspection["decision"],
            "Score": inspection["score"] if inspection["score"] is not None else -1.0,
            "RejectAbove": inspection["reject_above"],
            "Model": inspection["model"],
            "Time": inspection["at"],
            "Sequence": self._sequence[name],
        }
        for key, value in values.items():
            await nodes[key].write_value(value)


async def _variables(parent: Any, place: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: await parent.add_variable(place, key, value) for key, value in fields.items()}
