"""Each inspection as a POST of JSON to an address of the user's."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
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


def webhook(url: str, tls: Tls | None = None) -> Callable[[dict[str, Any]], None]:
    """A `deliver` for an outbox. tls: for https. Raises RecipeError for what is no address, and for files of `tls`."""
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

    def deliver(inspection: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"inspection-{inspection['id']}"}
        with opener.open(
            urllib.request.Request(url, body_of(inspection), headers, method="POST"), timeout=TIMEOUT
        ) as answer:
            answer.read(1 << 16)

    return deliver
