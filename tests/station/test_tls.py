"""Outputs over TLS, with an authority of the factory's own."""

import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from stations import free_port

from trd.errors import OutputError, RecipeError
from trd_station.addresses import shown
from trd_station.outputs.mqtt import Mqtt
from trd_station.outputs.secret import secret
from trd_station.outputs.tls import Tls
from trd_station.outputs.webhook import webhook

TOLD = {"id": 7, "class": "biscuit", "score": 1.5}


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, other.pem (another authority), and server and client with .pem and .key, signed by the first."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2)
    for name in ("ca", "other"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
    for name in ("server", "client"):
        signed = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl(*new, "-subj", f"/CN={name}", *signed, "-addext", "basicConstraints=critical,CA:FALSE", *files)
    return folder


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver(made: Path) -> Iterator[http.server.HTTPServer]:
    """It asks for a certificate of the same authority."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made / "ca.pem")
    context.load_cert_chain(made / "server.pem", made / "server.key")
    context.verify_mode = ssl.VerifyMode.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.received = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_over_tls(made: Path, receiver: http.server.HTTPServer) -> None:
    url = f"https://127.0.0.1:{receiver.server_address[1]}/results"
    known = Tls(made / "ca.pem", made / "client.pem", made / "client.key")
    webhook(url, known)(TOLD)
    assert receiver.received == [TOLD]
    nobody, stranger = Tls(made / "ca.pem"), Tls(made / "other.pem", known.certificate, known.key)
    for tls in (nobody, stranger, None):
        with pytest.raises((urllib.error.URLError, OSError)):
            webhook(url, tls)(TOLD)
    assert receiver.received == [TOLD]


@pytest.fixture
def broker(made: Path, tmp_path: Path) -> Iterator[int]:
    """A mosquitto that asks for a certificate and a password; its port."""
    command = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    known = shutil.which("mosquitto_passwd")
    if not Path(command).exists() or known is None:
        pytest.skip("mosquitto is not installed")
    port, passwords, configuration = free_port(), tmp_path / "passwords", tmp_path / "mosquitto.conf"
    subprocess.run([known, "-b", "-c", str(passwords), "line", "sec:ret"], check=True, capture_output=True)
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nrequire_certificate true\n"
        f"cafile {made}/ca.pem\ncertfile {made}/server.pem\nkeyfile {made}/server.key\nuser root\n"
    )
    process = subprocess.Popen([command, "-c", str(configuration)], stderr=subprocess.DEVNULL)
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        threading.Event().wait(0.05)
    yield port
    process.kill()
    process.wait()


def delivered(broker: Mqtt, tries: int) -> bool:
    try:
        for _ in range(tries):
            with suppress(OutputError):
                broker.deliver(TOLD)
                return True
            threading.Event().wait(0.1)
        return False
    finally:
        broker.close()


def test_mqtt_over_tls(made: Path, broker: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client")
    tls = Tls(made / "ca.pem", made / "client.pem", made / "client.key")
    address = f"127.0.0.1:{broker}/line"
    assert delivered(Mqtt(f"mqtts://line:sec%3Aret@{address}", "one", tls), 100)
    with monkeypatch.context() as patch:
        queued: list[object] = []
        patch.setattr("paho.mqtt.client.Client.publish", lambda *given, **_: queued.append(given))
        nobody = Mqtt(f"mqtts://{address}", "one", tls)  # no password
        for _ in range(100):
            with pytest.raises(OutputError) as told:
                nobody.deliver(TOLD)
            if "not connected: Not authorized" in str(told.value):
                break
            threading.Event().wait(0.1)
        else:
            pytest.fail(str(told.value))
        nobody.close()
        assert not queued
    monkeypatch.setenv("TRD_MQTT_USER", "line")
    monkeypatch.setenv("TRD_MQTT_PASSWORD", "sec:ret")
    assert delivered(Mqtt(f"mqtts://{address}", "one", tls), 100)
    monkeypatch.delenv("TRD_MQTT_PASSWORD")
    monkeypatch.setenv("TRD_MQTT_PASSWORD_FILE", str(tmp_path / "password"))
    (tmp_path / "password").write_text("sec:ret\n")
    assert delivered(Mqtt(f"mqtts://{address}", "one", tls), 100)
    assert not delivered(Mqtt(f"mqtts://{address}", "one", Tls(made / "ca.pem")), 10)
    assert not delivered(Mqtt(f"mqtts://{address}", "one", Tls(made / "other.pem", tls.certificate, tls.key)), 10)


def test_files_that_cannot_be_used_are_told(made: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    openssl("ec", "-in", made / "client.key", "-aes256", "-passout", "pass:secret", "-out", locked)
    (tmp_path / "empty.pem").write_text("")
    for tls, said in (
        (Tls(tmp_path / "none.pem"), "--output-ca .*none.pem"),
        (Tls(tmp_path / "empty.pem"), "--output-ca .*empty.pem"),
        (Tls(made / "ca.pem", made / "client.pem", made / "other.key"), "--output-cert .*other.key"),
        (Tls(made / "ca.pem", made / "client.pem", locked), "the key unencrypted"),
        (Tls(made / "ca.pem", key=locked), "--output-key needs --output-cert"),
    ):
        with pytest.raises(RecipeError, match=said):
            webhook("https://127.0.0.1/", tls)


def test_a_password_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name, file = "TRD_MQTT_PASSWORD", tmp_path / "password"
    assert secret(name) is None
    monkeypatch.setenv(f"{name}_FILE", str(file))
    for data, said in (
        (None, "No such file"),
        (b"\xff", "cannot be read"),
        (b"\n", "is empty"),
        (bytes(20_000), "longer"),
    ):
        if data is not None:
            file.write_bytes(data)
        with pytest.raises(RecipeError, match=f"{name}_FILE names .*password.*{said}"):
            secret(name)
    file.write_bytes(b" a b \r\n")
    assert secret(name) == " a b "
    with pytest.raises(RecipeError, match="no user: set TRD_MQTT_USER too"):
        Mqtt("mqtt://127.0.0.1:1", "one")
    monkeypatch.setenv(name, "x")
    with pytest.raises(RecipeError, match="both set"):
        Mqtt("mqtt://anna@127.0.0.1:1", "one")


def test_messages_show_no_password() -> None:
    assert shown("mqtt://anna:secret@host/x") == "mqtt://host/x"
    for url in ("ftp://anna:secret@host", "https://anna:secret@[host", "https://anna:secret@host:port/"):
        with pytest.raises(RecipeError) as told:
            webhook(url)
        assert "secret" not in str(told.value)
        with pytest.raises(RecipeError) as told:
            Mqtt(url, "one")
        assert "secret" not in str(told.value)
    for url in ("http://anna:secret@host/x", "https://secret@host:443/x"):
        with pytest.raises(RecipeError, match=r"://host(:443)?/x has a user or a password before its @") as told:
            webhook(url)
        assert "secret@" not in str(told.value)
