"""Pictures, maps and clouds of a stored part."""

import gzip
import io
import json
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from fastapi.testclient import TestClient

from trd.data.clouds import read_cloud
from trd.data.images import read_image
from trd.preprocess.frame import Frame
from trd_station.cloud import CloudFacts, encoded
from trd_station.station import Station


def picture(client: TestClient, url: str) -> np.ndarray:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    return imagecodecs.png_decode(answer.content)


def decoded(data: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """As docs/station-api.md tells a reader to."""
    assert data[:4] == b"TRDC"
    (size,) = struct.unpack("<I", data[4:8])
    header = json.loads(data[8 : 8 + size])
    assert size % 4 == 0
    found = {}
    count = header["count"]
    for name, place in header["sections"].items():
        assert place["at"] % 4 == 0
        raw = np.frombuffer(data, np.uint8, place["bytes"], place["at"])
        if name == "mask":
            found[name] = raw
        elif name in ("red", "green", "blue"):
            found[name] = np.cumsum(raw.astype(np.int64)) % 256
        else:
            u = raw[:count].astype(np.int64) | (raw[count:].astype(np.int64) << 8)
            found[name] = np.cumsum((u >> 1) ^ -(u & 1)) & 65535
    return header, found


def test_pictures_lie_on_one_grid(client: TestClient, send, test_parts: Path) -> None:
    (told,) = send("chip")
    base, window = f"/v1/inspections/{told['id']}", told["window"]
    place = np.s_[window["top"] : window["top"] + window["height"], window["left"] : window["left"] + window["width"]]
    colours = picture(client, f"{base}/images/rgb.png")
    np.testing.assert_array_equal(colours, read_image(test_parts / "chip/rgb/000.png"))
    np.testing.assert_array_equal(picture(client, f"{base}/images/rgb.png?crop=window"), colours[place])
    depth = picture(client, f"{base}/images/xyz.png")
    cloud = read_cloud(test_parts / "chip/xyz/000.tiff")
    np.testing.assert_array_equal(depth[..., 3] > 0, cloud[..., 2] != 0)
    normals = picture(client, f"{base}/images/normals.png")
    assert normals.shape == (192, 192, 4)
    assert (normals[place][..., 3] == 255).all()
    assert normals[..., 3].sum() == 255 * window["height"] * window["width"]
    assert picture(client, f"{base}/images/rgb.png?size=48").shape == (48, 48, 3)
    assert picture(client, f"{base}/images/rgb.png?size=2000").shape == (192, 192, 3)


def test_map_pictures_and_contours(client: TestClient, send) -> None:
    (told,) = send("chip")
    base = f"/v1/inspections/{told['id']}/maps/fused"
    values = np.load(io.BytesIO(client.get(f"{base}.npy").content))
    above = values > told["pixel_threshold"]
    assert above.any()
    assert picture(client, f"{base}.png").shape == (192, 192, 3)
    assert picture(client, f"{base}.png?style=overlay&size=64").shape == (64, 64, 3)
    alpha = picture(client, f"{base}.png?style=alpha")
    np.testing.assert_array_equal(alpha[..., 3] > 0, above)
    cold, hot = (picture(client, f"{base}.png?top={top}").astype(int).sum() for top in (1000, 1))
    assert hot > cold
    found = client.get(f"{base}/contours").json()
    assert found["level"] == told["pixel_threshold"]
    assert all(above[row, column] for outline in found["contours"] for row, column in outline)
    assert client.get(f"{base}/contours?level=1e6").json()["contours"] == []
    window = np.load(io.BytesIO(client.get(f"{base}.npy?crop=window").content))
    assert window.shape == (told["window"]["height"], told["window"]["width"])


def test_the_cloud_is_that_of_the_part(client: TestClient, send, test_parts: Path) -> None:
    (told,) = send("dent")
    answer = client.get(f"/v1/inspections/{told['id']}/cloud.bin")
    assert answer.headers["content-encoding"] == "gzip"
    header, found = decoded(answer.content)
    window = header["window"]
    assert window == told["window"]
    bits = np.unpackbits(found["mask"])[: window["height"] * window["width"]]
    measured = bits.reshape(window["height"], window["width"]).astype(bool)
    rows, columns = np.nonzero(measured)
    rows, columns = rows + window["top"], columns + window["left"]
    cloud = read_cloud(test_parts / "dent/xyz/000.tiff")
    assert header["count"] == len(rows)
    scale, offset = header["position"]["scale"], header["position"]["offset"]
    for axis, name in enumerate("xyz"):
        np.testing.assert_allclose(found[name] * scale + offset[axis], cloud[rows, columns, axis], atol=scale)
    values = np.load(io.BytesIO(client.get(f"/v1/inspections/{told['id']}/maps/fused.npy").content))
    scores = found["score"] * header["score"]["scale"] + header["score"]["offset"]
    np.testing.assert_allclose(scores, values[rows, columns], atol=header["score"]["scale"])
    colours = read_image(test_parts / "dent/rgb/000.png")
    for channel, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(found[name], colours[rows, columns, channel])
    a, b, c, d = header["plane"]
    table = (cloud[rows, columns] @ np.array([a, b, c]) + d)[:50]
    assert abs(np.median(table)) < 0.002
    coarse, few = decoded(client.get(f"/v1/inspections/{told['id']}/cloud.bin?step=3").content)
    assert coarse["step"] == 3
    grid = -(-window["height"] // 3), -(-window["width"] // 3)
    some = np.unpackbits(few["mask"])[: grid[0] * grid[1]].reshape(grid).astype(bool)
    np.testing.assert_array_equal(some, measured[::3, ::3])


def test_a_cloud_of_640_000_noisy_points_stays_below_4_mb() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:800, :800].astype(np.float32)
    z = 0.45 - 0.02 * np.exp(-((rows - 400) ** 2 + (columns - 400) ** 2) / 3e4) + rng.normal(0, 8e-5, (800, 800))
    cloud = np.stack([(columns - 400) * z / 1800, (rows - 400) * z / 1800, z], axis=-1).astype(np.float32)
    colour = np.clip(120 + 40 * np.sin(rows / 30)[..., None] + rng.normal(0, 2, (800, 800, 3)), 0, 255)
    scores = rng.normal(size=(800, 800)).astype(np.float32).cumsum(axis=0) / 30
    frame = Frame((800, 800), (0, 0, 800, 800), (320, 320))
    data = encoded(cloud, scores, colour.astype(np.uint8), frame, CloudFacts(1, 1.0, 2.0, 1.5, None))
    assert len(data) <= 4_000_000
    header, _ = decoded(gzip.decompress(data))
    assert header["count"] == 640_000


def test_an_empty_cloud() -> None:
    frame = Frame((4, 4), (0, 0, 4, 4), (32, 32))
    empty = np.zeros((4, 4, 3), np.float32)
    header, found = decoded(
        gzip.decompress(encoded(empty, empty[..., 0], None, frame, CloudFacts(1, 1.0, 2.0, 1.5, None)))
    )
    assert (header["count"], header["has_colour"], len(found["x"])) == (0, False, 0)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("images/nothing.png", "no_image"),
        ("maps/nothing.npy", "no_map"),
        ("maps/nothing.png", "no_map"),
        ("inputs/nothing", "no_image"),
    ],
)
def test_what_is_not_there(client: TestClient, send, path: str, code: str) -> None:
    (told,) = send()
    answer = client.get(f"/v1/inspections/{told['id']}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert client.get("/v1/inspections/99/maps/fused.npy").json()["code"] == "no_inspection"


def test_parts_whose_files_are_not_kept(opened, test_parts: Path) -> None:
    from stations import client_of, upload

    station: Station = opened(keep_inputs="none", audit_rate=0.0)
    with client_of(station) as client:
        files = upload(test_parts / "good", "000")
        (told,) = client.post("/v1/classes/biscuit/inspections", files=files).json()["inspections"]
        assert (told["inputs"], told["images"], told["has_cloud"]) == ({}, [], False)
        base = f"/v1/inspections/{told['id']}"
        assert client.get(f"{base}/maps/fused.npy").status_code == 200
        for path in ("images/rgb.png", "images/normals.png", "cloud.bin", "maps/fused.png?style=overlay"):
            assert client.get(f"{base}/{path}").json()["code"] == "no_image", path
