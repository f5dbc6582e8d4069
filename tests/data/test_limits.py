"""What a header declares is refused before it is decoded, where it is too much or not in the file."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from pinhole import CAMERA

from trd.data.clouds import read_cloud
from trd.data.images import read_image
from trd.errors import DataError


def png_that_declares(height: int, width: int) -> bytes:
    """A small file: its header, and as much data as zlib makes of nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def npy_that_declares(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def tiff_that_declares(height: int) -> bytes:
    """A valid file of 8 x 10 points whose ImageLength says otherwise."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.ones((8, 10, 3), np.float32), photometric="rgb", compression="zlib", metadata=None)
    with tifffile.TiffFile(BytesIO(buffer.getvalue())) as tiff:
        tag = tiff.pages.first.tags["ImageLength"]
        place, code = tag.valueoffset, "<H" if tag.dtype == 3 else "<I"
    data = bytearray(buffer.getvalue())
    data[place : place + struct.calcsize(code)] = struct.pack(code, height)
    return bytes(data)


PLY = "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
PCD = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {0}\nHEIGHT 1\nPOINTS {0}\nDATA {1}\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png_that_declares(20000, 20000)),
        ("a.npy", npy_that_declares((100000, 50000, 3))),
        ("a.tiff", tiff_that_declares(2_000_000)),
        ("a.ply", (PLY + "end_header\n").format(5_000_000_000).encode()),
        ("a.pcd", PCD.format(5_000_000_000, "binary").encode()),
        ("b.pcd", PCD.format(5_000_000_000, "binary_compressed").encode() + struct.pack("<II", 4, 2**32 - 1) + b"abcd"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_declares_too_much_is_refused_before_it_is_decoded(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name} declares .* more than the limit of .*TRD_MAX_PIXELS"):
        read_cloud(tmp_path / name, CAMERA, (10, 10))
    if name.endswith("png"):
        with pytest.raises(DataError, match="declares 20000 x 20000 pixels, more than the limit of 64000000"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.npy", npy_that_declares((1000, 1000, 3)), "takes 12000000 bytes, but 0 are there"),
        ("a.ply", (PLY + "end_header\n").format(1_000_000).encode(), "12000000 bytes of data, but 0 are there"),
        ("a.pcd", PCD.format(1_000_000, "binary").encode(), "12000000 bytes of data, but 0 are there"),
        (
            "a.pcd",
            PCD.format(9, "binary_compressed").encode() + struct.pack("<II", 4, 2**31) + b"abcd",
            "take 108 bytes",
        ),
        ("a.pcd", PCD.replace("COUNT 1 1 1", "COUNT 1 1 999999999").format(2, "binary").encode(), "must have COUNT 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_declares_more_than_the_file_holds(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name} cannot be read: .*{said}"):
        read_cloud(tmp_path / name, CAMERA, (1000, 1000))


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.ones((6, 5), np.uint8)))
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(np.ones((6, 5, 3), np.uint8)))
    monkeypatch.setenv("TRD_MAX_PIXELS", "29")
    for name in ("a.png", "a.jpg"):
        with pytest.raises(DataError, match=f"{name} declares 6 x 5 pixels, more than the limit of 29"):
            read_image(tmp_path / name)
    monkeypatch.setenv("TRD_MAX_PIXELS", "30")
    assert read_image(tmp_path / "a.png").shape == (6, 5)
    with pytest.raises(DataError, match="6 x 5 points, more than the limit of 7"):  # a quarter for depth
        read_cloud(tmp_path / "a.png", CAMERA)
    monkeypatch.setenv("TRD_MAX_PIXELS", "many")
    with pytest.raises(DataError, match="TRD_MAX_PIXELS is 'many'; expected"):
        read_image(tmp_path / "a.png")


def test_a_strip_that_unpacks_to_more_than_the_picture(tmp_path: Path) -> None:
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.ones((64, 64, 3), np.float32), photometric="rgb", compression="zlib", tile=(64, 64))
    data = buffer.getvalue()
    with tifffile.TiffFile(BytesIO(buffer.getvalue())) as tiff:
        for name in ("TileWidth", "TileLength"):
            tag = tiff.pages.first.tags[name]
            code = "<H" if tag.dtype == 3 else "<I"
            packed = struct.pack(code, 65520)
            data = data[: tag.valueoffset] + packed + data[tag.valueoffset + len(packed) :]
    (tmp_path / "a.tiff").write_bytes(data)
    with pytest.raises(DataError, match="declares a strip or tile of .* more than the limit"):
        read_cloud(tmp_path / "a.tiff")
