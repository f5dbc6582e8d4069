"""Results over MQTT 5 (the extra `mqtt`): PREFIX/CLASS/inspection, PREFIX/CLASS/alarm (of the whole station
PREFIX/alarm), and PREFIX/state with a last will.

In CLASS the characters / + # % and control characters are percent-encoded: "gear#2" is the level "gear%232".
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote

from trd.errors import OutputError, RecipeError
from trd.extras import explained
from trd_station.addresses import shown, split_address
from trd_station.outputs.outbox import UndeliverableError, body_of
from trd_station.outputs.secret import secret
from trd_station.outputs.tls import Tls

ACKNOWLEDGED = 10.0  # seconds that the broker gets
KEEPALIVE = 5
PORTS = {"mqtt": 1883, "mqtts": 8883}
USER, PASSWORD = "TRD_MQTT_USER", "TRD_MQTT_PASSWORD"


class Mqtt:
    """`deliver` returns when the broker has acknowledged (QoS 1). `PREFIX/state` says "online", and "offline" when the
    connection is lost or the station stops: a PLC that reads it knows that no answer will come.

    url: mqtt://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX], or mqtts:// for TLS. What it does not name, the environment may,
    which no list of processes shows: TRD_MQTT_USER, and TRD_MQTT_PASSWORD or TRD_MQTT_PASSWORD_FILE. Raises
    RecipeError.
    """

    def __init__(self, url: str, station: str, tls: Tls | None = None) -> None:
        with explained("the output MQTT"):
            from paho.mqtt.client import Client, MQTTv5
            from paho.mqtt.enums import CallbackAPIVersion
        parts = split_address(url)
        if parts is None or parts.scheme not in PORTS or not parts.hostname:
            raise RecipeError(f"the broker {shown(url)} is no address: expected mqtt(s)://HOST[:PORT][/PREFIX]")
        self._prefix = parts.path.strip("/") or f"trd/{_level(station)}"
        if "+" in self._prefix or parts.query or parts.fragment:
            raise RecipeError(f"the broker {shown(url)}: choose a prefix without + # and ?, which topics cannot hold")
        self._no_entry = ""  # why the broker refused the last connection
        self._refused: dict[int, str] = {}  # message -> why
        self._client: Any = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        user = unquote(parts.username) if parts.username else os.environ.get(USER)
        password = unquote(parts.password) if parts.password is not None else secret(PASSWORD)
        if user is not None:
            self._client.username_pw_set(user, password or "")
        elif password is not None:
            raise RecipeError(f"there is a password for the broker and no user: set {USER} too")
        if parts.scheme == "mqtts":
            self._client.tls_set_context((tls or Tls()).context())
        self._client.will_set(f"{self._prefix}/state", "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_publish = self._acknowledged
        self._client.reconnect_delay_set(1, 5)
        self._client.connect_async(parts.hostname, parts.port or PORTS[parts.scheme], KEEPALIVE)
        self._client.loop_start()

    def _connected(self, client: Any, _data: object, _flags: object, reason: Any, *_: object) -> None:
        self._no_entry = str(reason) if reason.is_failure else ""
        if not reason.is_failure:  # else it would wait, one for each try
            client.publish(f"{self._prefix}/state", "online", qos=1, retain=True)

    def _acknowledged(self, _client: Any, _data: object, message: int, reason: Any, *_: object) -> None:
        """Called before paho takes the message for published, which it does whatever the broker says of it."""
        if reason.is_failure:
            self._refused[message] = str(reason)
        else:
            self._refused.pop(message, None)  # of an earlier one: the numbers come again

    def deliver(self, inspection: dict[str, Any]) -> None:
        """Raises OutputError where the broker is away, does not acknowledge or refuses, UndeliverableError for what
        MQTT cannot carry."""
        self._publish(f"{self._prefix}/{_level(inspection['class'])}/inspection", inspection)

    def deliver_alarm(self, alarm: dict[str, Any]) -> None:
        """Retained: who subscribes later sees the last one. Raises as `deliver`."""
        own = "" if alarm["class"] is None else f"/{_level(alarm['class'])}"
        self._publish(f"{self._prefix}{own}/alarm", alarm, retain=True)

    def test(self) -> str:
        """Publishes {"test": true} to PREFIX/test. Raises OutputError."""
        self._publish(f"{self._prefix}/test", {"test": True})
        return f"the broker has acknowledged a message to {self._prefix}/test"

    def _publish(self, topic: str, content: dict[str, Any], retain: bool = False) -> None:
        if not self._client.is_connected():
            raise OutputError(f"the broker is not connected{self._no_entry and f': {self._no_entry}'}")
        try:
            sent = self._client.publish(topic, body_of(content), qos=1, retain=retain)
        except ValueError as error:
            raise UndeliverableError(f"MQTT cannot carry it: {error}") from error
        try:
            sent.wait_for_publish(ACKNOWLEDGED)
        except (RuntimeError, ValueError) as error:
            raise OutputError(f"the broker does not take it: {error}") from error
        if not sent.is_published():
            raise OutputError("the broker does not acknowledge")
        if (why := self._refused.pop(sent.mid, None)) is not None:
            raise OutputError(f"the broker refuses {topic}: {why}; let its access list permit it")

    def close(self) -> None:
        if self._client.is_connected():
            last = self._client.publish(f"{self._prefix}/state", "offline", qos=1, retain=True)
            last.wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()


def _level(name: str) -> str:
    """One level of a topic, whatever the name holds; `urllib.parse.unquote` gives it back."""
    return re.sub(r"[%/+#\x00-\x1f\x7f]", lambda match: f"%{ord(match[0]):02X}", name)
