"""OPC UA with and without security, asked by a real client."""

import asyncio
import re
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trd.errors import OutputError, RecipeError
from trd_station.outputs import opcua
from trd_station.outputs.opcua import OpcUa
from trd_station.outputs.opcua_security import PASSWORD, USER, OpcUaSecurity

asyncua = pytest.importorskip("asyncua")
ua = asyncua.ua
POLICY = pytest.importorskip("asyncua.crypto.security_policies").SecurityPolicyBasic256Sha256
CertProperties = pytest.importorskip("asyncua.crypto.uacrypto").CertProperties

DOCS = Path(__file__).parents[2] / "docs" / "station.md"
TOLD = {"id": 7, "class": "biscuit", "part": "a", "decision": "ok", "score": 1.5, "reject_above": 6.0, "model": 1}
TOLD["at"] = "2026-11-25T21:30:01.123Z"
MODES = ua.MessageSecurityMode
REFUSED = (ua.UaError, ConnectionError, asyncio.TimeoutError)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """opcua.pem and opcua.key by the command in the docs, and other.pem and other.key."""
    folder = tmp_path_factory.mktemp("opcua")
    (command,) = re.findall(r"^openssl req .*?[^\\]\n", DOCS.read_text("utf-8"), re.M | re.S)
    for name in ("opcua", "other"):
        here = command.replace("opcua.", f"{name}.")
        subprocess.run(["bash", "-c", here], cwd=folder, check=True, capture_output=True)
    return folder


def free_endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"opc.tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def secured(made: Path) -> Iterator[str]:
    endpoint = free_endpoint()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(USER, "plc")
        patch.setenv(PASSWORD, "right")
        server = OpcUa(endpoint, ["biscuit"], OpcUaSecurity(made / "opcua.pem", made / "opcua.key"))
    server.deliver(TOLD)
    yield endpoint
    server.close()


async def client_of(endpoint: str, made: Path, mode: Any, user: str | None, password: str | None) -> Any:
    client = asyncua.Client(endpoint, timeout=20)
    if user is not None:
        client.set_user(user)
        client.set_password(password)
    if mode != MODES.None_:
        client.application_uri = "urn:factory:station-1"
        own, key, server = (CertProperties(made / name, "pem") for name in ("other.pem", "other.key", "opcua.pem"))
        await client.set_security(POLICY, own, key, server_certificate=server, mode=mode)
    return client


async def score_node(client: Any, class_name: str = "biscuit") -> Any:
    place = await client.get_namespace_index("urn:trd:station")
    return await client.nodes.objects.get_child([f"{place}:{name}" for name in ("TRD", class_name, "Score")])


async def score(endpoint: str, made: Path, mode: Any, user: str | None = "plc", password: str | None = "right") -> Any:
    async with await client_of(endpoint, made, mode, user, password) as client:
        return await (await score_node(client)).read_value()


def test_only_the_user_reads_and_only_secured(secured: str, made: Path) -> None:
    for mode in (MODES.SignAndEncrypt, MODES.Sign):
        assert asyncio.run(score(secured, made, mode)) == 1.5
    for mode, user, password in (
        (MODES.SignAndEncrypt, "plc", "wrong"),
        (MODES.Sign, "plc", "wrong"),
        (MODES.SignAndEncrypt, "plc", ""),
        (MODES.SignAndEncrypt, "admin", "right"),
        (MODES.SignAndEncrypt, None, None),
        (MODES.None_, "plc", "right"),
        (MODES.None_, None, None),
    ):
        with pytest.raises(REFUSED):
            asyncio.run(score(secured, made, mode, user, password))


def test_nothing_is_written(secured: str, made: Path) -> None:
    async def written() -> None:
        async with await client_of(secured, made, MODES.SignAndEncrypt, "plc", "right") as client:
            await (await score_node(client)).write_value(9.0)

    with pytest.raises(ua.UaStatusCodeError):
        asyncio.run(written())


def test_a_client_that_keeps_to_no_rules_reads_nothing(
    secured: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It signs in where no security was offered, does not sign in, and takes another's session."""

    async def tried() -> Any:
        async with await client_of(secured, made, MODES.SignAndEncrypt, "plc", "right") as signed_in:
            node = (await score_node(signed_in)).nodeid
            token = signed_in.uaclient.protocol.authentication_token
            monkeypatch.setattr(asyncua.Client, "find_endpoint", lambda endpoints, *_: endpoints[0])
            for mode, password in ((MODES.None_, "right"), (MODES.None_, None), (MODES.SignAndEncrypt, None)):
                client = await begun(secured, made, mode)
                await client.create_session()
                if password:
                    await client.activate_session("plc", password)
                await refused(client, node)
            client = await begun(secured, made, MODES.SignAndEncrypt)
            client.uaclient.protocol.authentication_token = token
            client._policy_ids = signed_in._policy_ids
            with pytest.raises(REFUSED):
                await client.activate_session("plc", "wrong")
            await refused(client, node)

    asyncio.run(tried())


async def begun(endpoint: str, made: Path, mode: Any) -> Any:
    client = await client_of(endpoint, made, mode, "plc", "right")
    await client.connect_socket()
    await client.send_hello()
    await client.open_secure_channel()
    return client


async def refused(client: Any, node: Any) -> None:
    with pytest.raises(REFUSED):
        await client.get_node(node).read_value()
    client.disconnect_socket()


def test_without_security_nobody_writes_either_and_a_class_may_come_later(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = free_endpoint()
    server = OpcUa(endpoint, ["biscuit"])

    async def written() -> None:
        async with await client_of(endpoint, made, MODES.None_, "admin", "") as client:
            await (await score_node(client, "gear")).write_value(9.0)

    async def read() -> Any:
        async with await client_of(endpoint, made, MODES.None_, None, None) as client:
            return await (await score_node(client, "gear")).read_value()

    try:
        server.deliver({**TOLD, "class": "gear"})  # no model of it could serve at the beginning
        assert asyncio.run(read()) == 1.5
        with pytest.raises(ua.UaStatusCodeError):
            asyncio.run(written())
        assert server.test().startswith(f"the server answers at {endpoint} with ")
        monkeypatch.setattr(opcua, "ANSWER", 0.01)
        monkeypatch.setattr(server, "_root", SimpleNamespace(get_children=lambda: asyncio.sleep(0.2)))
        with pytest.raises(OutputError, match=r"has not answered within 0\.01 s"):
            server.test()
    finally:
        server.close()
    with pytest.raises(OutputError, match="has stopped"):
        server.test()


def test_what_is_not_begun_with(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem, key = made / "opcua.pem", made / "opcua.key"

    def said(host: str, *given: Any, words: str) -> None:
        with pytest.raises(RecipeError, match=words):
            OpcUaSecurity(*given).protection(host)

    assert OpcUaSecurity().protection("localhost") is None
    assert OpcUaSecurity(anyone=True).protection("0.0.0.0") is None
    for host in ("0.0.0.0", "station.factory.example"):
        said(host, words="from other machines.*--opcua-cert.*--opcua-open")
    said("localhost", pem, None, words="belong together")
    said("0.0.0.0", pem, key, words=f"needs a user: set {USER}")
    monkeypatch.setenv(USER, "plc")
    said("localhost", words="would take the password unencrypted")
    monkeypatch.setenv(PASSWORD, "right")
    said("0.0.0.0", pem, key, True, words="leave one of them out")
    said("0.0.0.0", pem, made / "other.key", words="not that of the certificate")
    said("0.0.0.0", tmp_path / "none.pem", key, words="No such file")
    openssl = ("openssl", "req", "-x509", "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "k", "-out", tmp_path / "c")
    for more, words in (
        (("-newkey", "rsa:2048"), "URI in its subjectAltName"),
        (("-newkey", "rsa:1024"), "an RSA key of 2048 to 4096 bits"),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), "an RSA key"),
    ):
        subprocess.run([*openssl, *more], check=True, capture_output=True)
        said("0.0.0.0", tmp_path / "c", tmp_path / "k", words=words)
    later = SimpleNamespace(now=lambda zone: datetime(2100, 1, 1, tzinfo=zone))
    monkeypatch.setattr("trd_station.outputs.opcua_security.datetime", later)
    said("0.0.0.0", pem, key, words="the certificate ended on 20")
