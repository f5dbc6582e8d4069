"""Small valid files of every format that is read, and the same bytes damaged in repeatable ways."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
import tifffile
import yaml
from PIL import Image
from plyfile import PlyData, PlyElement
from pypcd4 import Encoding, PointCloud
from writing import write_coloured_pcd, write_ply, write_stl

from trd.data.cameras import read_camera
from trd.data.clouds import read_cloud
from trd.data.images import read_image, read_mask
from trd.data.loading import read_colours
from trd.types import Camera, ColourCamera, HeightMap

SHAPE = (12, 10)
CAMERA = Camera(100, 100, 4.5, 5.5, 0.001)
TELLING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)  # bytes at the ends of their ranges
TOKEN = re.compile(rb'"[^"\n]*"|[^\s,\[\]{}:"=]+')
VALUES = (
    *(
        b"null",
        b"true",
        b"-1",
        b"0",
        b"0.5",
        b"1e400",
        b"-3e38",
        b"1e-310",
        b"NaN",
        b"Infinity",
        b"9" * 30,
        b"9" * 5000,
    ),
    *(b"[]", b"{}", b"[[1, 2], 3]", b"[" * 3000, b'""', b'"."', b'"x"', b'"\xff"', b'"\\u0000"', b'"\\ud800"'),
    *(b'"../../.."', b'"/etc/hostname"', b'"' + b"a" * 300 + b'"', b'"' + b"b/" * 3000 + b'"', b'"\xc3\xa4"'),
)


def mutated(data: bytes, seed: int) -> bytes:
    """`data` damaged once to four times: bits flipped, bytes replaced, inserted, deleted, repeated, or the end cut.

    The same seed damages the same bytes in the same way. Half of the damage is in the first 200 bytes: headers.
    """
    rng = np.random.default_rng(seed)
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        reach = min(len(damaged), 200) if rng.random() < 0.5 else len(damaged)
        place = int(rng.integers(max(reach, 1)))
        length = int(rng.integers(1, 9))
        match rng.integers(7):
            case 0:
                damaged[place : place + 1] = bytes(b ^ (1 << int(rng.integers(8))) for b in damaged[place : place + 1])
            case 1:
                damaged[place : place + 1] = bytes([int(rng.choice(TELLING))])
            case 2:
                damaged[place : place + length] = bytes([int(rng.choice(TELLING))]) * length
            case 3:
                damaged[place:place] = rng.bytes(length)
            case 4:
                del damaged[place : place + length]
            case 5:
                damaged[place:place] = damaged[place : place + 8 * length]
            case _:
                del damaged[place:]
    return bytes(damaged)


def mutated_text(data: bytes, seed: int) -> bytes:
    """A text whose words and numbers are replaced by others, swapped, repeated or left out, one to three times: what
    still can be parsed, and says something else. The same seed changes it in the same way."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 4)):
        tokens = list(TOKEN.finditer(data))
        if not tokens:
            break
        first, second = sorted(
            (tokens[int(rng.integers(len(tokens)))] for _ in range(2)), key=lambda token: token.start()
        )
        new = VALUES[int(rng.integers(len(VALUES)))]
        match rng.integers(5):
            case 0 | 1:
                data = data[: first.start()] + new + data[first.end() :]
            case 2:
                data = data[: first.start()] + second[0] + data[first.end() :]
            case 3:
                data = data[: second.end()] + data[first.start() : second.end()] + data[second.end() :]
            case _:
                data = data[: first.start()] + data[first.end() :]
    return data


def valid_files() -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """File name -> its bytes and the reader that takes them; every name is of another format or encoding."""
    rng = np.random.default_rng(0)
    files: dict[str, tuple[bytes, Callable[[Path], object]]] = {}
    for bits, dtype in ((8, np.uint8), (16, np.uint16)):
        for kind, channels in (("grey", ()), ("rgb", (3,)), ("rgba", (4,))):
            image = rng.integers(0, 2**bits, (*SHAPE, *channels)).astype(dtype)
            files[f"{kind}{bits}.png"] = bytes(imagecodecs.png_encode(image)), read_image
    palette = _palette(rng.integers(0, 3, SHAPE).astype(np.uint8))
    files |= {"palette.png": (palette, read_image), "mask.png": (palette, read_mask)}
    picture = rng.integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    files["rgb.jpg"] = bytes(imagecodecs.jpeg_encode(picture)), read_image
    files["grey.jpg"] = bytes(imagecodecs.jpeg_encode(picture[..., 0].copy())), read_image
    for name, mode in (("colour", "RGB"), ("four", "RGBA"), ("grey", "L"), ("palette", "P"), ("bits", "1")):
        bitmap = BytesIO()
        Image.fromarray(picture).convert(mode).save(bitmap, "BMP")
        files[f"{name}.bmp"] = bitmap.getvalue(), read_image
    progressive = BytesIO()
    Image.fromarray(picture).save(progressive, "JPEG", progressive=True)
    files["progressive.jpg"] = progressive.getvalue(), read_image
    cloud = rng.uniform(0.1, 0.5, (*SHAPE, 3)).astype(np.float32)
    depth = rng.integers(300, 500, SHAPE).astype(np.uint16)

    def read(path: Path) -> object:
        return read_cloud(path, CAMERA, SHAPE)

    for name, options in {
        "xyz": {},
        "zlib": {"compression": "zlib"},
        "lzw": {"compression": "lzw"},
        "predictor": {"compression": "zlib", "predictor": True},
        "tiles": {"compression": "zlib", "tile": (16, 16)},
    }.items():
        files[f"{name}.tiff"] = _tiff(cloud, photometric="rgb", **options), read
    files["planes.tiff"] = _tiff(cloud, photometric="minisblack"), read  # what tifffile writes unless it is told
    files["depth.tiff"] = _tiff(depth), read
    files["depth_.png"] = bytes(imagecodecs.png_encode(depth)), read
    for name, array in (("xyz", cloud), ("depth", depth)):
        buffer = BytesIO()
        np.save(buffer, array)
        files[f"{name}.npy"] = buffer.getvalue(), read
    points = cloud.reshape(-1, 3)
    vertex = np.array([(*p, 7) for p in points], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1")])
    for name, text, order in (("ascii", True, "="), ("little", False, "<"), ("big", False, ">")):
        buffer = BytesIO()
        PlyData([PlyElement.describe(vertex, "vertex")], text=text, byte_order=order).write(buffer)
        files[f"{name}.ply"] = buffer.getvalue(), read
    for encoding in (Encoding.ASCII, Encoding.BINARY, Encoding.BINARY_COMPRESSED):
        buffer = BytesIO()
        PointCloud.from_xyz_points(np.round(points, 1)).save(buffer, encoding)
        files[f"{encoding.value}.pcd"] = buffer.getvalue(), read
    files |= _of_other_sensors(points)
    camera = {"fx": 100, "fy": 110.5, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001, "width": 10, "height": 12}
    files["camera.json"] = json.dumps(camera).encode(), read_camera
    limits = yaml.safe_dump({"normalization": {"min": 0.7, "max": 1.5}}).encode()
    files["00_info_depth.yaml"] = limits, lambda path: read(path.with_name("00_depth.png"))
    return files


def _of_other_sensors(points: np.ndarray) -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """Points that form no grid, height maps, and a camera file with a colour camera."""
    points = (points * np.array([0.05, 0.05, 1])).astype(np.float32)  # within the view
    beside = ColourCamera(100, 100, 4.5, 5.5, SHAPE, (0.1, -0.1, 0, 0), translation=(0.01, 0, 0))

    def read(path: Path) -> object:
        return read_cloud(path, replace(CAMERA, colour=beside), SHAPE)

    def read_heights(path: Path) -> object:
        return read_cloud(path, Camera(0, 0, 0, 0, height_map=HeightMap(0.1, 0.1, 0.001)))

    files: dict[str, tuple[bytes, Callable[[Path], object]]] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for name, text in (("text.stl", True), ("binary.stl", False)):
            write_stl(path, points.reshape(-1, 3, 3), text)
            files[name] = path.read_bytes(), read
        write_ply(path, points)
        files["loose.ply"] = path.read_bytes(), read
        for fields in ("float", "ascii"):
            write_coloured_pcd(path, points.reshape(*SHAPE, 3), np.full((*SHAPE, 3), 7, np.uint8), fields)
            files[f"{fields}_colours.pcd"] = path.read_bytes(), read_colours
    lines = [" ".join(f"{number:.4f}" for number in point) for point in points]
    files["loose.xyz"] = "\n".join(["x y z", *lines]).encode(), read
    files["loose.obj"] = "\n".join(f"v {line}" for line in lines).encode(), read
    rows = [",".join(f"{number:.3f}" for number in row) for row in points[:, 0].reshape(SHAPE)]
    files["heights.csv"] = "\n".join(["Gain,3", "", *rows, "", "end"]).encode(), read_heights
    colour = {"fx": 100, "fy": 110.5, "cx": 4.5, "cy": 3.5, "width": 10, "height": 12, "distortion": [0.1, 0, 0, 0]}
    both = {"units": 0.001, "z": "away", "colour": colour, "pose": np.eye(4).tolist()}
    files["two.json"] = json.dumps(both).encode(), read_camera
    return files


def write_beside(folder: Path) -> None:
    """What the YAML file of `valid_files` says something about."""
    (folder / "00_depth.png").write_bytes(bytes(imagecodecs.png_encode(np.full(SHAPE, 900, np.uint16))))


def _tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def _palette(numbers: np.ndarray) -> bytes:
    image = Image.new("P", numbers.shape[::-1])
    image.putdata(numbers.ravel().tolist())
    image.putpalette([200, 200, 200, 255, 0, 0, 0, 0, 0])  # the background is light, a class is black
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
