"""Each inspection as a POST of JSON to an address of the user's."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from trd.errors import RecipeError

TIMEOUT = 10  # seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address is the user's choice, not the receiver's."""

    def redirect_request(self, *_: Any) -> None:
        return None


def webhook(url: str) -> Callable[[dict[str, Any]], None]:
    """A `deliver` for an outbox. Raises RecipeError for what is no address."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise RecipeError(f"the webhook {url} is no address: expected http://HOST/PATH or https://HOST/PATH")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    def deliver(told: dict[str, Any]) -> None:
        body = json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"inspection-{told['id']}"}
        with opener.open(urllib.request.Request(url, body, headers, method="POST"), timeout=TIMEOUT) as answer:
            answer.read(1 << 16)

    return deliver
