"""How the commands of this machine reach a running station: its address and a token, for who may read its folder."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from trd.errors import OutputError
from trd_station.tokens import Tokens

FILE = "running.json"
NAME = "trd station"
TIMEOUT = 30.0  # seconds; a test of an output waits for its receiver


@contextmanager
def reachable(data: Path, tokens: Tokens, host: str, port: int) -> Iterator[None]:
    """While the station answers at this IP address and port. Raises OutputError."""
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    path = data / FILE
    temporary = data / f".{FILE}.trd-{secrets.token_hex(4)}.json"
    content = {"url": url, "token": tokens.for_this_machine(NAME)}
    try:
        # not by `write_whole`, whose files others may read
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def ask(data: Path, method: str, path: str, body: object = None) -> Any:
    """The running station's answer. Raises OutputError where none runs, and for a problem that it tells."""
    try:
        known = json.loads((data / FILE).read_text("utf-8"))
        url, token = str(known["url"]), str(known["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"no station runs in {data}: start it with `trd serve --data {data}`") from error
    sent = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, sent, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise OutputError(f"the station says: {_detail(error)}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise OutputError(f"the station in {data} does not answer at {url}: {error}") from error


def _detail(error: urllib.error.HTTPError) -> str:
    """Of a problem; of an answer that is none, as of another program at this port, what HTTP calls it."""
    try:
        with error:
            return str(json.loads(error.read())["detail"])
    except (OSError, ValueError, KeyError, TypeError, HTTPException):
        return str(error)
