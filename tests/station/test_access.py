"""Who may call what: every route, with every role."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from stations import client_of

from trd.errors import DataError, OutputError, RecipeError
from trd_station.api.app import MODULES, create_app
from trd_station.serve import check_address, listening
from trd_station.station import Station
from trd_station.tokens import ROLES, Tokens

PUBLIC = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v1/session"), ("POST", "/v1/session")}
PUBLIC |= {("HEAD", "/healthz"), ("HEAD", "/readyz")}
OPERATOR = {
    ("POST", "/v1/classes/{class_name}/inspections"),
    ("POST", "/v1/inspections/{number}/verdicts"),
    ("POST", "/v1/events/{number}/acknowledge"),
    ("GET", "/v1/inspections/{number}/under"),
    ("POST", "/v1/teaching/{class_name}/parts"),
    ("POST", "/v1/teaching/{class_name}/parts/from-history"),
    ("DELETE", "/v1/teaching/{class_name}/parts/{name}"),
}
ENGINEER = {
    ("PUT", "/v1/classes/{class_name}/threshold"),
    ("POST", "/v1/classes/{class_name}/threshold/versions/{number}/activate"),
    ("POST", "/v1/classes/{class_name}/recalibration"),
    ("POST", "/v1/classes/{class_name}/models"),
    ("POST", "/v1/classes/{class_name}/models/package"),
    ("POST", "/v1/models/{number}/self-test"),
    ("POST", "/v1/models/{number}/switch"),
    ("POST", "/v1/classes/{class_name}/models/roll-back"),
    ("POST", "/v1/classes/{class_name}/watch/restart"),
    ("GET", "/v1/classes/{class_name}/export.zip"),
    ("PUT", "/v1/classes/{class_name}/alarm-rules"),
    ("PUT", "/v1/alarm-rules"),
    ("POST", "/v1/teaching"),
    ("GET", "/v1/teaching/{class_name}/camera.jpg"),
    ("POST", "/v1/teaching/{class_name}/parts/from-camera"),
    ("PUT", "/v1/teaching/{class_name}/region"),
    ("PUT", "/v1/teaching/{class_name}/camera"),
    ("POST", "/v1/teaching/{class_name}/jobs"),
    ("POST", "/v1/teaching/{class_name}/trials"),
    ("POST", "/v1/teaching/{class_name}/packages"),
    ("POST", "/v1/jobs/{number}/cancel"),
    ("GET", "/v1/jobs/{number}/package"),
    ("PUT", "/v1/classes/{class_name}/shadow"),
    ("DELETE", "/v1/classes/{class_name}/shadow"),
    ("POST", "/v1/classes/{class_name}/lessons"),
    ("POST", "/v1/lessons/{number}/gain"),
    ("POST", "/v1/lessons/{number}/take-back"),
}


ADMIN = {
    ("GET", "/v1/backup.zip"),
    ("GET", "/v1/administration"),
    ("PUT", "/v1/administration/settings"),
    ("POST", "/v1/administration/{kind}/{number}/test"),
    ("GET", "/v1/tokens"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens"),
}


def needed(method: str, path: str) -> str | None:
    """The role that docs/station-api.md asks for; None: no token."""
    if (method, path) in PUBLIC:
        return None
    if (method, path) in ADMIN:
        return "admin"
    if (method, path) in ENGINEER:
        return "engineer"
    if (method, path) in OPERATOR:
        return "operator"
    assert method == "GET" or (method, path) == ("DELETE", "/v1/session"), f"{method} {path}: who may?"
    return "viewer"


ROUTES = sorted(
    (method, route.path)
    for module in MODULES
    for route in module.routes.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "data").mkdir()
    known = Tokens(tmp_path / "data")
    return {role: known.add(f"a {role}", role) for role in ROLES}


@pytest.fixture
def guarded(tokens: dict[str, str], station: Station) -> Iterator[TestClient]:
    with client_of(station) as client:
        yield client


def called(path: str) -> str:
    names = {"{class_name}": "biscuit", "{number}": "1", "{name}": "fused", "{source}": "rgb", "{kind}": "inputs"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def test_all_routes_of_the_application_are_walked(station: Station) -> None:
    paths = {route.path for route in create_app(station).routes if hasattr(route, "methods")}
    assert paths <= {path for _, path in ROUTES}
    assert len(ROUTES) > 40


@pytest.mark.timeout(600)
def test_without_token_or_with_the_wrong_role(guarded: TestClient, tokens: dict[str, str]) -> None:
    for method, path in ROUTES:
        role, url = needed(method, path), called(path)
        endless = path == "/v1/live"  # for those who may
        for asked in [None, "nonsense", *(() if endless else ROLES)]:
            headers = {"Authorization": f"Bearer {tokens.get(asked, 'trd_nonsense')}"} if asked else {}
            answer = guarded.request(method, url, headers=headers)
            where = f"{method} {path} as {asked}"
            if role is None:
                assert answer.status_code not in (403, 500), where
            elif asked is None:
                assert (answer.status_code, answer.json()["code"]) == (401, "no_token"), where
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            elif asked == "nonsense":
                assert (answer.status_code, answer.json()["code"]) == (401, "unknown_token"), where
            elif ROLES.index(asked) < ROLES.index(role):
                assert (answer.status_code, answer.json()["code"]) == (403, "role"), where
            else:
                assert answer.status_code not in (401, 403), where
                assert answer.status_code < 500 or path == "/readyz", where


def test_a_body_is_not_read_before_the_token(guarded: TestClient) -> None:
    kind = {"content-type": "multipart/form-data; boundary=b", "content-length": "1000"}
    answer = guarded.post("/v1/classes/biscuit/inspections", headers=kind, content=b"x" * 1000)
    assert answer.status_code == 401
    broken = guarded.put("/v1/classes/biscuit/threshold", content=b"{no json")
    assert broken.status_code == 401


def test_signing_in_on_a_page(guarded: TestClient, tokens: dict[str, str]) -> None:
    assert guarded.get("/v1/session").json()["role"] is None
    assert guarded.post("/v1/session", json={"token": "trd_nonsense"}).status_code == 401
    answer = guarded.post("/v1/session", json={"token": tokens["operator"]})
    assert (answer.json()["name"], answer.json()["role"]) == ("a operator", "operator")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/v1/classes").status_code == 200  # by the cookie
    assert guarded.get("/v1/session").headers["set-cookie"].lower() == cookie  # again, from now on
    by_header = guarded.get("/v1/session", headers={"Authorization": f"Bearer {tokens['viewer']}"})
    assert (by_header.json()["role"], "set-cookie" in by_header.headers) == ("viewer", False)
    assert guarded.delete("/v1/session").status_code == 204
    assert guarded.get("/v1/classes").status_code == 401


def test_requests_of_other_sites_are_refused(client: TestClient) -> None:
    url = "/v1/session"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.request("DELETE", url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin"), headers
    own = client.request("DELETE", url, headers={"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 204
    foreign = client.get("/v1/classes", headers={"Host": "evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "host")


def test_what_a_browser_is_told(client: TestClient) -> None:
    for path in ("/healthz", "/v1/classes", "/v1/nothing"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_paths_of_clients_are_not_opened(client: TestClient, send, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    send("good")
    for path in (
        "/v1/inspections/1/inputs/..%2f..%2fstation.db",
        "/v1/inspections/1/images/..%2f..%2fsecret.png",
        "/v1/inspections/1/maps/%2e%2e%2fsecret.png",
        "/..%2f..%2fsecret.png",
        "/%2e%2e/%2e%2e/secret.png",
    ):
        answer = client.get(path)
        assert answer.status_code in (404, 422), path
        assert b"secret" not in answer.content
    loaded = client.post("/v1/classes/biscuit/models", json={"name": str(tmp_path)})
    assert (loaded.status_code, loaded.json()["code"]) == (404, "no_model")


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        check_address(host, has_tokens=False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "station.example"):
        with pytest.raises(RecipeError, match="there is no token"):
            check_address(host, has_tokens=False)
        check_address(host, has_tokens=True)


def test_a_running_station_takes_new_and_removed_tokens(
    guarded: TestClient, tokens: dict[str, str], station: Station
) -> None:
    def status(token: str) -> int:
        return guarded.get("/v1/classes", headers={"Authorization": f"Bearer {token}"}).status_code

    beside = Tokens(station.settings.data)  # as `trd station token` in another process
    assert status(tokens["viewer"]) == 200
    beside.remove("a viewer")
    assert status(tokens["viewer"]) == 401
    assert status(beside.add("line 2", "viewer")) == 200
    for name in ("line 2", "a operator", "a engineer"):
        beside.remove(name)
    assert guarded.get("/v1/classes").status_code == 401  # without any token it does not lie open
    file = station.settings.data / "tokens.json"
    token = beside.add("anna", "viewer")
    assert status(token) == 200
    file.write_text("{}")
    assert status(token) == 200
    file.unlink()
    assert status(token) == 401


def test_tokens_are_kept_as_digests(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    assert not tokens
    token = tokens.add("anna", "engineer")
    assert token not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    again = Tokens(tmp_path)
    assert again.caller(token).name == "anna"
    new = again.add("anna", "viewer")
    assert again.caller(token) is None
    assert again.caller(new).role == "viewer"
    again.remove("anna")
    assert not Tokens(tmp_path)
    with pytest.raises(DataError, match="no token of 'anna'"):
        again.remove("anna")
    with pytest.raises(DataError, match="unknown role 'boss'"):
        again.add("anna", "boss")
    (tmp_path / "tokens.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        Tokens(tmp_path)


def test_a_port_is_one_stations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows gives a port in use to whoever sets SO_REUSEADDR."""
    chosen: list[int] = []

    class Noted(socket.socket):
        def setsockopt(self, _level: int, option: int, _value: int) -> None:
            chosen.append(option)

    with listening("127.0.0.1", 0) as bound:
        bound.listen()
        with pytest.raises(OutputError, match="choose another --port"):
            listening("127.0.0.1", bound.getsockname()[1])
    monkeypatch.setattr(socket, "socket", Noted)
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    listening("127.0.0.1", 0).close()
    assert chosen == [-5]
