import dataclasses
import json
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from plyfile import PlyData, PlyElement
from pypcd4 import Encoding, PointCloud

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from damage import mutated, valid_files, write_beside

from trd.data.cameras import read_camera
from trd.data.clouds import depth_size, depth_to_cloud, read_cloud
from trd.data.images import read_image, read_mask
from trd.errors import DataError
from trd.types import Camera

CAMERA = Camera(fx=100, fy=110, cx=4.5, cy=3.5, depth_scale=0.001)


@pytest.fixture
def cloud() -> np.ndarray:
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0.1, 0.5, (8, 10, 3)).astype(np.float32)
    xyz[2, 3] = 0
    return xyz


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_png_of_both_depths(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    read = read_image(tmp_path / "a.png")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


def test_jpeg_and_dropped_alpha(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 120, np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(image))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - 120).max() < 3
    rgba = np.dstack([image, np.full((16, 16), 9, np.uint8)])
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(rgba))
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), image)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_xyz_tiff_with_any_compression(tmp_path: Path, cloud: np.ndarray, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="rgb", compression=compression)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.tiff"), cloud)


def test_xyz_npy(tmp_path: Path, cloud: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy"), cloud)


@pytest.mark.parametrize("suffix", ["png", "tiff", "npy"])
def test_depth_images_become_clouds(tmp_path: Path, suffix: str) -> None:
    depth = np.full((8, 10), 400, np.uint16)
    depth[0, 0] = 0
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(depth))
    elif suffix == "tiff":
        tifffile.imwrite(path, depth)
    else:
        np.save(path, depth)
    cloud = read_cloud(path, CAMERA)
    assert (cloud[0, 0] == 0).all()
    # the pinhole model by hand at pixel row 7, column 9: 0.4 m away
    np.testing.assert_allclose(cloud[7, 9], [(9 - 4.5) * 0.4 / 100, (7 - 3.5) * 0.4 / 110, 0.4], rtol=1e-6)


@pytest.mark.parametrize("text", [True, False])
def test_organised_ply(tmp_path: Path, cloud: np.ndarray, text: bool) -> None:
    points = cloud.reshape(-1, 3).copy()
    points[5] = np.nan  # not measured
    vertex = np.array([tuple(p) for p in points], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
    PlyData([PlyElement.describe(vertex, "vertex")], text=text).write(str(tmp_path / "a.ply"))
    read = read_cloud(tmp_path / "a.ply", shape=(8, 10))
    expected = cloud.copy()
    expected[0, 5] = 0
    np.testing.assert_allclose(read, expected, rtol=1e-6)
    with pytest.raises(DataError, match=r"holds 80 points, needs 7 x 10"):
        read_cloud(tmp_path / "a.ply", shape=(7, 10))


def test_pcd(tmp_path: Path, cloud: np.ndarray) -> None:
    PointCloud.from_xyz_points(cloud.reshape(-1, 3)).save(tmp_path / "a.pcd")
    np.testing.assert_allclose(read_cloud(tmp_path / "a.pcd", shape=(8, 10)), cloud, rtol=1e-6)
    with pytest.raises(DataError, match="needs an image beside it"):
        read_cloud(tmp_path / "a.pcd")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, cloud: np.ndarray, value: float) -> None:
    cloud[1, 1, 0] = value
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tiff: 1 points are NaN or infinite; write missing points as \(0, 0, 0\)"):
        read_cloud(tmp_path / "a.tiff")


def test_all_depth_invalid(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", np.zeros((8, 10, 3), np.float32), photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tiff: no valid depth"):
        read_cloud(tmp_path / "a.tiff")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damaged_images(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    encode = imagecodecs.png_encode if name.endswith("png") else imagecodecs.jpeg_encode
    whole = encode(image)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if name.endswith("png") else whole[:200])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_image(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / f"not-{name}")


@pytest.mark.parametrize("name", ["a.tiff", "a.npy", "a.ply", "a.pcd"])
def test_damaged_clouds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a cloud")
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_cloud(tmp_path / name, shape=(2, 2))


def test_truncated_tiff(tmp_path: Path, cloud: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", np.tile(cloud, (20, 20, 1)), photometric="rgb", compression="zlib")
    whole = (tmp_path / "a.tiff").read_bytes()
    (tmp_path / "a.tiff").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tiff cannot be read"):
        read_cloud(tmp_path / "a.tiff")


def test_depth_needs_a_camera(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match=r"put camera\.json"):
        read_cloud(tmp_path / "a.npy")


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown kind of 3D file"):
        read_cloud(tmp_path / "a.stl")


def test_camera_files(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"fx": 100, "fy": 110, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001}))
    assert read_camera(path) == CAMERA
    path.write_text(json.dumps({"focus": 0.02, "sx": 1e-5, "sy": 2e-5, "cx": 1, "cy": 2}))
    assert dataclasses.astuple(read_camera(path))[:5] == pytest.approx((2000, 1000, 1, 2, 1))
    path.write_text(json.dumps({"fx": 1, "cx": 2}))
    with pytest.raises(DataError, match="lacks fy, cy"):
        read_camera(path)
    path.write_text(json.dumps({"fx": 0, "fy": 1, "cx": 2, "cy": 2}))
    with pytest.raises(DataError, match="fx is 0; expected a number above 0"):
        read_camera(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(path)


def test_masks_are_any_non_zero_value(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 1], mask[2, 2] = 253, 1
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(mask))
    assert read_mask(tmp_path / "a.png").sum() == 2


def test_depth_to_cloud_is_the_inverse_of_projection() -> None:
    z = np.random.default_rng(0).uniform(1, 2, (8, 10))
    cloud = depth_to_cloud(z, Camera(50, 60, 4, 3))
    columns = cloud[..., 0] / cloud[..., 2] * 50 + 4
    np.testing.assert_allclose(columns, np.indices(z.shape)[1], atol=1e-4)


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


DAMAGED = valid_files()


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """Seven seeds for each of about thirty formats: a DataError that names the file, or a plausible result."""
    data, read = DAMAGED[name]
    write_beside(tmp_path)
    (tmp_path / name).write_bytes(data)
    read(tmp_path / name)
    for seed in range(7):
        (tmp_path / name).write_bytes(mutated(data, seed))
        refusal = ""
        try:
            read(tmp_path / name)
        except DataError as error:
            refusal = str(error)
        assert not refusal or name in refusal
        assert len(refusal) < 1500


def test_damage_is_repeatable() -> None:
    data = DAMAGED["xyz.tiff"][0]
    assert [mutated(data, seed) for seed in range(20)] == [mutated(data, seed) for seed in range(20)]
    assert len({mutated(data, seed) for seed in range(20)}) > 15


def test_a_deeply_nested_camera_file(tmp_path: Path) -> None:
    (tmp_path / "camera.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(tmp_path / "camera.json")
    (tmp_path / "camera.json").write_text(" " * 2_000_000)
    with pytest.raises(DataError, match="2000000 bytes where some hundred"):
        read_camera(tmp_path / "camera.json")


def test_a_picture_for_printing_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 200, 200, 40)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg has 4 channels \(CMYK.*convert it to RGB"):
        read_image(tmp_path / "a.jpg")


def test_a_truncated_jpeg_is_not_filled_up_with_grey(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = bytes(imagecodecs.jpeg_encode(picture))
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(DataError, match=r"a\.jpg cannot be read: it ends in the middle"):
        read_image(tmp_path / "a.jpg")


def test_palettes(tmp_path: Path) -> None:
    """A mask's numbers count, not their colours; a colour picture's colours do."""
    (tmp_path / "a.png").write_bytes(DAMAGED["palette.png"][0])  # 0 light grey, 1 red, 2 black
    with Image.open(tmp_path / "a.png") as stored:
        numbers, colours = np.asarray(stored), np.asarray(stored.convert("RGB"))
    assert set(np.unique(numbers)) == {0, 1, 2}
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), numbers != 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours)
    with pytest.raises(DataError, match="colour picture, not a depth image"):
        read_cloud(tmp_path / "a.png", CAMERA)


@pytest.mark.parametrize(
    ("shape", "remedy"), [((8, 10, 4), r"keep the first three channels"), ((3, 8, 10), "np.moveaxis"), ((8, 10, 2), "")]
)
@pytest.mark.parametrize("suffix", ["npy", "tiff"])
def test_clouds_of_other_channels(tmp_path: Path, shape: tuple[int, ...], remedy: str, suffix: str) -> None:
    array = np.ones(shape, np.float32)
    if suffix == "npy":
        np.save(tmp_path / "a.npy", array)
    else:
        tifffile.imwrite(tmp_path / "a.tiff", array, photometric="minisblack")
    with pytest.raises(DataError, match=rf"a\.{suffix}: .*shape \({shape[0]}, {shape[1]}, {shape[2]}\).*{remedy}"):
        read_cloud(tmp_path / f"a.{suffix}", CAMERA)


def test_xyz_tiff_as_tifffile_writes_it_unless_it_is_told(tmp_path: Path, cloud: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="minisblack")  # a page for each row
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.tiff"), cloud)


@pytest.mark.parametrize("encoding", list(Encoding)[:3])
def test_pcd_in_every_encoding_with_other_fields(tmp_path: Path, cloud: np.ndarray, encoding: Encoding) -> None:
    x, y, z = cloud.reshape(-1, 3).round(1).T
    fields, types = ("x", "intensity", "y", "z"), (np.float32, np.uint16, np.float32, np.float64)
    points = PointCloud.from_points((x, np.arange(80, dtype=np.uint16), y, z.astype(np.float64)), fields, types)
    points.save(tmp_path / "a.pcd", encoding)
    np.testing.assert_allclose(read_cloud(tmp_path / "a.pcd", shape=(8, 10)), cloud.round(1), rtol=1e-6)


@pytest.mark.parametrize(("text", "order"), [(True, "="), (False, "<"), (False, ">")])
def test_ply_with_colours_before_and_faces_after(tmp_path: Path, cloud: np.ndarray, text: bool, order: str) -> None:
    kinds = [("red", "u1"), ("x", "f8"), ("y", "f4"), ("z", "f4")]
    vertex = np.array([(7, *p) for p in cloud.reshape(-1, 3)], dtype=kinds)
    face = np.array([([0, 1, 2],)], dtype=[("vertex_indices", "i4", (3,))])
    scanner = np.array([(1.5, 2)], dtype=[("gain", "f4"), ("number", "i4")])
    elements = [
        PlyElement.describe(scanner, "scanner"),
        PlyElement.describe(vertex, "vertex"),
        PlyElement.describe(face, "face"),
    ]
    PlyData(elements, text=text, byte_order=order, comments=["drawn"]).write(str(tmp_path / "a.ply"))
    np.testing.assert_allclose(read_cloud(tmp_path / "a.ply", shape=(8, 10)), cloud, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2], "expected an object"),
        ("fx", "expected an object"),
        ({"fx": -100, "fy": 1, "cx": 2, "cy": 2}, "fx is -100; expected a number above 0"),
        ({"fx": True, "fy": 1, "cx": 2, "cy": 2}, "fx is True"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": None}, "cy is None; expected a finite number"),
        ({"fx": 10**400, "fy": 1, "cx": 2, "cy": 2}, "fx is 1000"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "depth_scale": 0}, "depth_scale is 0"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "width": 10}, "width and height are 10 and None"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "width": 10, "height": 0.5}, "width and height are 10 and 0.5"),
    ],
)
def test_cameras_that_cannot_be(tmp_path: Path, values: object, said: str) -> None:
    (tmp_path / "camera.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=rf"camera\.json: .*{said}"):
        read_camera(tmp_path / "camera.json")


@pytest.mark.parametrize("prefix", ["", "image_"])
def test_depth_images_of_another_resolution_show_the_same_points(tmp_path: Path, prefix: str) -> None:
    values = {"fx": 100, "fy": 110, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001}
    (tmp_path / "camera.json").write_text(json.dumps(values | {f"{prefix}width": 10, f"{prefix}height": 8}))
    camera = read_camera(tmp_path / "camera.json")
    assert camera == dataclasses.replace(CAMERA, size=(8, 10))
    np.save(tmp_path / "small.npy", np.full((8, 10), 400, np.uint16))
    np.save(tmp_path / "large.npy", np.full((16, 20), 400, np.uint16))
    np.save(tmp_path / "other.npy", np.full((16, 16), 400, np.uint16))
    small, large = (read_cloud(tmp_path / f"{name}.npy", camera) for name in ("small", "large"))
    means = large.reshape(8, 2, 10, 2, 3).mean(axis=(1, 3))  # four small pixels lie on a large one
    np.testing.assert_allclose(means, small, atol=1e-7)
    with pytest.raises(DataError, match=r"other\.npy is 16 x 16 pixels, the camera is meant for 8 x 10"):
        read_cloud(tmp_path / "other.npy", camera)
    assert read_cloud(tmp_path / "other.npy", CAMERA).shape == (16, 16, 3)  # no size is stated: as ever


def test_cameras_from_json_and_from_before_sizes() -> None:
    stored = json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(CAMERA, size=(8, 10)))))
    assert Camera(**stored) == dataclasses.replace(CAMERA, size=(8, 10))
    del stored["size"]
    assert Camera(**stored) == CAMERA


def test_the_size_of_a_depth_image_comes_from_its_header(tmp_path: Path, cloud: np.ndarray) -> None:
    depth = np.full((8, 10), 400, np.uint16)
    (tmp_path / "a.png").write_bytes(bytes(imagecodecs.png_encode(depth))[:40])
    np.save(tmp_path / "a.npy", depth)
    tifffile.imwrite(tmp_path / "a.tiff", depth)
    assert {depth_size(tmp_path / f"a.{suffix}") for suffix in ("png", "npy", "tiff")} == {(8, 10)}
    np.save(tmp_path / "b.npy", cloud)
    tifffile.imwrite(tmp_path / "b.tiff", cloud, photometric="rgb")
    assert {depth_size(tmp_path / f"b.{suffix}") for suffix in ("npy", "tiff", "ply")} == {None}


@pytest.mark.parametrize("damage", ["flipped", "cut", "no end"])
def test_a_damaged_png_does_not_reach_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """It would keep memory for good each time; what is not needed to decode may be damaged."""
    data = bytearray(imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)))
    comment = b"\x00\x00\x00\x02tEXtab\x00\x00\x00\x00"  # its checksum is wrong
    (tmp_path / "good.png").write_bytes(data[:33] + comment + data[33:])
    assert read_image(tmp_path / "good.png").shape == (20, 30, 3)
    monkeypatch.setattr(imagecodecs, "png_decode", lambda *_: pytest.fail("it was decoded"))
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[len(data) // 2 if damage == "cut" else -12 :]
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(DataError, match="bad.png cannot be read: (the checksum of its part|it ends too early)"):
        read_image(tmp_path / "bad.png")
