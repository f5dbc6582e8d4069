"""Behind proxies: under a path, with another host's name, with TLS in front; and what clients send in their ways."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from pages import Served, serving
from stations import free_port, until, upload

from trd.errors import RecipeError
from trd_station.api.app import create_app
from trd_station.api.multipart import encoded_name
from trd_station.api.prefix import checked_prefix
from trd_station.station import Station
from trd_station.tokens import Tokens

PART = "/v1/classes/biscuit/inspections"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("filename=\"=?utf-8?B?R2Vow6R1c2UucG5n?=\"; filename*=utf-8''Geh%C3%A4use.png", "Gehäuse"),
        ("filename*=utf-8''Geh%C3%A4use.png", "Gehäuse"),
        ('filename="=?utf-8?B?R2Vow6R1c2UucG5n?="', "Gehäuse"),
        ("FileName*=UTF-8''Geh%C3%A4use.png; filename=other.png", "Gehäuse"),
        ('filename="Gehäuse.png"', "Gehäuse"),
        ('filename="a =?b.png"', "a =?b"),
        ("filename*=no-such''a.png", "a"),
    ],
)
def test_file_names_as_older_clients_send_them(client: TestClient, test_parts: Path, sent: str, name: str) -> None:
    pieces = [
        f'--b\r\nContent-Disposition: form-data; name="{source}"; {named}\r\n\r\n'.encode() + content + b"\r\n"
        for (source, (_, content)), named in zip(
            upload(test_parts / "good", "000"), (sent, 'filename="000.tiff"'), strict=True
        )
    ]
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(PART, content=b"".join(pieces) + b"--b--\r\n", headers=kind)
    assert answer.status_code == 201, answer.text
    (told,) = answer.json()["inspections"]
    assert (told["part"], told["decision"] != "invalid") == (name, True)


def test_a_name_in_an_unknown_encoding_is_none() -> None:
    assert encoded_name(b'form-data; filename="=?no-such?B?AAAA?="') is None
    assert encoded_name(b'form-data; name="a"; x="=?"') is None


def test_names_of_the_host_as_clients_write_them(station: Station) -> None:
    with TestClient(create_app(station, ["Station.example."]), base_url="http://station.example.:8765") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz", headers={"Host": "localhost."}).status_code == 200
        assert client.get("/healthz", headers={"Host": "evil.example."}).status_code == 403
        for path in ("/healthz", "/readyz"):
            answer = client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")


def test_the_browser_says_that_a_request_is_of_the_same_site(client: TestClient) -> None:
    """Where a proxy has put another name into Host, Origin says nothing."""
    own = {"Host": "127.0.0.1:8765", "Origin": "https://station.example"}
    for site, status in (("same-origin", 204), ("none", 204), ("same-site", 403), ("cross-site", 403), (None, 403)):
        headers = own if site is None else {**own, "Sec-Fetch-Site": site}
        assert client.delete("/v1/session", headers=headers).status_code == status, site


def test_stations_of_one_host_keep_their_own_cookies(opened, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    token = Tokens(tmp_path / "data").add("anna", "viewer")
    station: Station = opened()
    addresses = ["http://localhost:1001", "http://localhost:1002", "https://localhost:1001", "http://localhost"]
    jar = httpx.Cookies()
    for address in addresses:
        with TestClient(create_app(station), base_url=address, cookies=jar) as client:
            signed = client.post("/v1/session", json={"token": token}).headers["set-cookie"]
            assert ("Secure" in signed) is address.startswith("https")
            jar.update(client.cookies)
    assert len(jar) == len(addresses)
    with TestClient(create_app(station, prefix="/a"), base_url=addresses[0]) as client:
        signed = client.post("/a/v1/session", json={"token": token}).headers["set-cookie"]
        assert "Path=/a;" in signed
        assert "Path=/a;" in client.delete("/a/v1/session").headers["set-cookie"]


def test_under_a_path_that_the_proxy_passes_on_or_leaves_out(station: Station) -> None:
    with TestClient(create_app(station, prefix="/factory/trd"), base_url="http://127.0.0.1") as client:
        for path in ("/factory/trd/v1/classes", "/v1/classes"):
            assert client.get(path).json()["classes"][0]["name"] == "biscuit"
        for path in ("/factory/trd/", "/", "/factory/trd/js/main.js"):
            assert client.get(path).status_code == 200
        to_page = client.get("/factory/trd", follow_redirects=False)
        assert (to_page.status_code, to_page.headers["location"]) == (308, "/factory/trd/")
        missing = client.get("/factory/trd/v1/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "no_route")
    assert checked_prefix("/factory/trd/") == "/factory/trd"
    assert checked_prefix("/") == ""
    for wrong in ("trd", "https://x/trd", "/a?b", "/a b"):
        with pytest.raises(RecipeError, match="expected a path such as /trd"):
            checked_prefix(wrong)


def test_a_client_without_host(run_folder: Path, tmp_path: Path) -> None:
    """As health checks by HTTP/1.0 are."""
    with (
        serving(run_folder, data=tmp_path / "data") as served,
        socket.create_connection(("127.0.0.1", int(served.address.rpartition(":")[2]))) as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with cert.pem and key.pem of localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/cert.pem")
    subprocess.run(["openssl", *new, "-subj", "/CN=localhost", *files], check=True, capture_output=True)
    return tmp_path


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A proxy, from when it listens on."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port))
        yield
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def answers(address: str) -> bool:
    try:
        return httpx.get(address, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def assert_works(served: Served, own: str, test_parts: Path) -> None:
    """own: the proxy's scheme, name and port."""
    headers = {"Origin": own, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=f"{own}/trd", verify=False, headers=headers) as client:
        assert client.get(f"{own}/trd").headers["location"].endswith("/trd/")
        assert "<title>TRD" in client.get("/").text
        answer = client.post("/v1/session", json={"token": served.tokens["operator"]})
        assert answer.status_code == 200, answer.text
        assert "Secure" in answer.headers["set-cookie"]
        told = client.post(PART, files=upload(test_parts / "good", "000"))  # by the cookie
        assert told.status_code == 201, told.text
        with client.stream("GET", "/v1/live") as live:
            assert next(live.iter_lines()) == "event: hello"  # at once, not when a buffer is full
        assert client.delete("/v1/session").status_code == 204
        assert client.get("/v1/classes").status_code == 401


def test_behind_nginx_with_tls_under_a_path(run_folder: Path, test_parts: Path, certificate: Path) -> None:
    """As docs/station.md has it, on two ports: with nginx's own Host, and with the browser's."""
    command = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(command).exists():
        pytest.skip("nginx is not installed")
    with serving(run_folder, data=certificate / "data", roles=("operator",), prefix="/trd") as served:
        backend = served.address.removesuffix("/trd")
        ports = free_port(), free_port()
        hosts = "", "proxy_set_header Host $http_host;"
        servers = "".join(
            f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;"
            f" client_max_body_size 2g; location /trd/ {{ proxy_pass {backend}; {host}"
            " proxy_set_header X-Forwarded-Proto $scheme; }} }}\n".replace("}}", "}")
            for port, host in zip(ports, hosts, strict=True)
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        kept = "".join(f"{kind}_temp_path {certificate}/{kind};" for kind in kinds)
        (certificate / "nginx.conf").write_text(
            f"user root; daemon off; pid {certificate}/pid; error_log {certificate}/log; events {{}}\n"
            f"http {{ access_log off; {kept}\n{servers} }}\n"
        )
        with running([command, "-p", str(certificate), "-c", "nginx.conf"], ports[1]):
            for port in ports:
                assert_works(served, f"https://localhost:{port}", test_parts)


def test_behind_traefik_with_tls_under_a_path(run_folder: Path, test_parts: Path, certificate: Path) -> None:
    """As docs/station.md has it."""
    command = shutil.which("traefik")
    if command is None:
        pytest.skip("traefik is not installed")
    with serving(run_folder, data=certificate / "data", roles=("operator",), prefix="/trd") as served:
        port, backend = free_port(), served.address.removesuffix("/trd")
        (certificate / "dynamic.yml").write_text(f"""
http:
  routers:
    trd: {{rule: "Host(`localhost`) && PathPrefix(`/trd`)", service: trd, tls: {{}}}}
  services:
    trd: {{loadBalancer: {{servers: [{{url: "{backend}"}}]}}}}
tls:
  certificates: [{{certFile: {certificate}/cert.pem, keyFile: {certificate}/key.pem}}]
""")
        options = f"--entryPoints.line.address=127.0.0.1:{port}", f"--providers.file.filename={certificate}/dynamic.yml"
        with running([command, *options], port):
            own = f"https://localhost:{port}"
            until(lambda: answers(f"{own}/trd/"))  # it listens before it knows where to
            assert_works(served, own, test_parts)
