"""Each inspection and each alarm as a POST of JSON to an address of the user's."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from trd.errors import RecipeError
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


def webhook(
    url: str, tls: Tls | None = None, key: Callable[[Mapping[str, Any]], str] = inspection_key
) -> Callable[[dict[str, Any]], None]:
    """A `deliver` for an outbox. tls: for https. key: of what is sent, the same when it is sent again. Raises
    RecipeError for what is no address, and for files of `tls`."""
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
    opener = urllib.request.build_opener(*handlers)

    def deliver(item: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key(item)}
        with opener.open(urllib.request.Request(url, body_of(item), headers, method="POST"), timeout=TIMEOUT) as answer:
            answer.read(1 << 16)

    return deliver
