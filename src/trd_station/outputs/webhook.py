"""Each inspection and each alarm as a POST of JSON to an address of the user's."""

from __future__ import annotations

import secrets
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from trd.errors import OutputError, RecipeError
from trd_station.addresses import shown, split_address
from trd_station.outputs.outbox import body_of
from trd_station.outputs.tls import Tls

TIMEOUT = 10  # seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address is the user's choice, not the receiver's."""

    def redirect_request(self, *_: Any) -> None:
        return None


def inspection_key(inspection: Mapping[str, Any]) -> str:
    return f"inspection-{inspection['id']}"


def alarm_key(alarm: Mapping[str, Any]) -> str:
    return f"alarm-{alarm['id']}{'-acknowledged' if alarm['acknowledged_at'] else ''}"


Key = Callable[[Mapping[str, Any]], str]


class Webhook:
    """Called, it delivers an inspection or an alarm, for an outbox."""

    def __init__(self, url: str, opener: urllib.request.OpenerDirector, key: Key) -> None:
        self._url, self._opener, self._key = url, opener, key

    def __call__(self, item: dict[str, Any]) -> None:
        self._post(item, self._key(item))

    def test(self) -> str:
        """Sends {"test": true}, which receivers that read `id` or `decision` leave. Raises OutputError."""
        try:
            status = self._post({"test": True}, f"test-{secrets.token_hex(8)}")
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError
            raise OutputError(f"{shown(self._url)} does not take it: {error}") from error
        return f"{shown(self._url)} took a test message ({status})"

    def _post(self, content: dict[str, Any], key: str) -> int:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        request = urllib.request.Request(self._url, body_of(content), headers, method="POST")
        with self._opener.open(request, timeout=TIMEOUT) as answer:
            answer.read(1 << 16)
            return int(answer.status)


def webhook(url: str, tls: Tls | None = None, key: Key = inspection_key) -> Webhook:
    """tls: for https. key: of what is sent, the same when it is sent again. Raises RecipeError for what is no address,
    and for files of `tls`."""
    parts = split_address(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecipeError(f"the webhook {shown(url)} is no address: expected http://HOST/PATH or https://HOST/PATH")
    if "@" in parts.netloc:  # http.client takes them for a part of the host, and repeats them when it fails
        raise RecipeError(
            f"the webhook {shown(url)} has a user or a password before its @, which is not sent: leave them out; a "
            "receiver knows the station by --output-cert, or by a secret in the path"
        )
    handlers: list[Any] = [_NoRedirect, urllib.request.ProxyHandler({})]
    if parts.scheme == "https":
        handlers.append(urllib.request.HTTPSHandler(context=(tls or Tls()).context()))
    return Webhook(url, urllib.request.build_opener(*handlers), key)
