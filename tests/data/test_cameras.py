"""Camera files, and depth images of another size than the camera's."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from pinhole import CAMERA

from trd.data.cameras import camera_values, read_camera
from trd.data.clouds import read_cloud
from trd.errors import DataError
from trd.types import UNTURNED, Camera, SupportGrid


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


def test_a_deeply_nested_camera_file(tmp_path: Path) -> None:
    (tmp_path / "camera.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(tmp_path / "camera.json")
    (tmp_path / "camera.json").write_text(" " * 2_000_000)
    with pytest.raises(DataError, match="2000000 bytes where some hundred"):
        read_camera(tmp_path / "camera.json")


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


BOTH = {
    **{"fx": 500, "fy": 510, "cx": 320, "cy": 240, "distortion": [0.1, -0.05, 0.001, 0.002], "units": 0.001},
    "colour": {
        "fx": 800,
        "fy": 810,
        "cx": 640,
        "cy": 480,
        "width": 1280,
        "height": 960,
        "distortion": [0.1, 0, 0, 0, 1],
    },
    "pose": [[0, -1, 0, 0.1], [1, 0, 0, 0.2], [0, 0, 1, 0.3], [0, 0, 0, 1]],
}


def written(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


def test_the_cameras_of_the_documentation_are_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/data.md").read_text("utf-8")
    cameras = []
    for number, block in enumerate(re.findall(r"```json\n(.*?)```", text, re.DOTALL)):
        (tmp_path / f"{number}.json").write_text(block)
        cameras.append(read_camera(tmp_path / f"{number}.json"))
    depth_and_colour, scanner_and_colour, scanner, profiler, depth, millimetres = cameras
    assert depth.fx
    assert depth.colour is None
    assert (millimetres.units, millimetres.fx) == (0.001, 0)
    assert depth_and_colour.colour == scanner_and_colour.colour is not None
    assert (scanner.units, scanner.z) == (0.001, "towards")
    assert profiler.height_map is not None


def test_two_cameras(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path / "camera.json", BOTH))
    assert (camera.fx, camera.units, camera.distortion) == (500, 0.001, (0.1, -0.05, 0.001, 0.002))
    assert camera.colour is not None
    assert camera.colour.size == (960, 1280)
    assert camera.colour.distortion == (0.1, 0, 0, 0, 1)
    np.testing.assert_allclose(camera.colour.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    assert camera.colour.translation == (0.1, 0.2, 0.3)
    rotation, translation = [row[:3] for row in BOTH["pose"][:3]], [0.1, 0.2, 0.3]
    apart = BOTH | {"pose": {"rotation": rotation, "translation": translation}}
    assert read_camera(written(tmp_path / "apart.json", apart)) == camera
    colour_only = read_camera(written(tmp_path / "c.json", {"colour": BOTH["colour"]}))
    assert (colour_only.fx, colour_only.colour) == (
        0,
        dataclasses.replace(camera.colour, rotation=UNTURNED, translation=(0.0, 0.0, 0.0)),
    )


def test_mvtec_division_model(tmp_path: Path) -> None:
    """kappa is per square metre on the sensor: times the squared focal length for directions."""
    values = {"focus": 0.02, "sx": 1e-5, "sy": 1e-5, "cx": 1, "cy": 2, "kappa": -300}
    assert read_camera(written(tmp_path / "a.json", values)).kappa == pytest.approx(-300 * 0.02**2)
    with pytest.raises(DataError, match="kappa needs focus, sx and sy"):
        read_camera(written(tmp_path / "a.json", {"fx": 1, "fy": 1, "cx": 1, "cy": 2, "kappa": -300}))


@pytest.mark.parametrize(
    "values",
    [
        BOTH,
        {"colour": BOTH["colour"]},
        {"kind": "height_map", "pitch_x": 1e-4, "pitch_y": 2e-4, "height_scale": 1e-6, "z": "away"},
        {"units": 0.001, "z": "towards", "width": 10, "height": 8},
        {"focus": 0.02, "sx": 1e-5, "sy": 1e-5, "cx": 1, "cy": 2, "kappa": -300, "depth_scale": 0.001},
    ],
)
def test_cameras_are_stored_and_written_again(tmp_path: Path, values: dict[str, object]) -> None:
    camera = read_camera(written(tmp_path / "camera.json", values))
    assert Camera(**json.loads(json.dumps(dataclasses.asdict(camera)))) == camera
    assert hash(camera) == hash(dataclasses.replace(camera))
    again = read_camera(written(tmp_path / "again.json", camera_values(camera)))
    assert dataclasses.replace(again, kappa=0, colour=None) == dataclasses.replace(camera, kappa=0, colour=None)
    assert again.kappa == pytest.approx(camera.kappa)
    if camera.colour is not None and again.colour is not None:
        np.testing.assert_allclose(again.colour.rotation, camera.colour.rotation, atol=1e-12)
        assert dataclasses.replace(again.colour, rotation=UNTURNED) == dataclasses.replace(
            camera.colour, rotation=UNTURNED
        )
    grid = SupportGrid(((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0.1, 0.2, 0.3), 1e-3, (20, 30))
    looked = dataclasses.replace(camera, grid=grid)
    assert Camera(**json.loads(json.dumps(dataclasses.asdict(looked)))) == looked


COLOUR = BOTH["colour"]
ODD = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]
MIRROR = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distortion": [0.1, 0.2]}, r"distortion is \[0.1, 0.2\]; expected OpenCV's numbers"),
        ({"distortion": "none"}, "distortion is 'none'"),
        ({"distortion": [0.1, 0.2, None, 0]}, "distortion is"),
        ({"kappa": "x"}, "kappa is 'x'"),
        ({"units": 0}, "units is 0; expected a number above 0"),
        ({"z": "up"}, """z is 'up'; expected "away" """),
        ({"kind": "scanner"}, "kind is 'scanner'; expected \"height_map\""),
        ({"colour": [1]}, r"colour is \[1\]; put \"colour\""),
        ({"colour": {**COLOUR, "fx": -1}}, r"colour\.fx is -1; expected a number above 0"),
        ({"colour": {**COLOUR, "distortion": [1]}}, r"colour\.distortion is \[1\]"),
        ({"colour": {key: value for key, value in COLOUR.items() if key != "cy"}}, r"lacks colour\.cy"),
        (
            {"colour": {key: value for key, value in COLOUR.items() if key != "width"}},
            "colour.width and height are No",
        ),
        ({"colour": {key: COLOUR[key] for key in ("fx", "fy", "cx", "cy")}}, r"lacks colour\.width and colour\.height"),
        ({"colour": None}, "pose is there without the colour camera; put"),
        ({"pose": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "pose is .*; expected a 4 x 4 matrix"),
        ({"pose": {"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}}, "translation None; expected a 4 x 4 matrix"),
        ({"pose": ODD}, "the rotation of pose is none"),
        ({"pose": MIRROR}, "the rotation of pose is none: .*without a mirror"),
        ({"pose": [[10**400, 0, 0, 0], *MIRROR[1:]]}, "pose is"),
        ({"kind": "height_map", "pitch_x": 1}, "lacks pitch_y; a height map needs pitch_x and pitch_y, metres"),
        ({"kind": "height_map", "pitch_x": 1, "pitch_y": 1, "height_scale": -1}, "height_scale is -1"),
    ],
)
def test_values_that_cannot_be_of_two_cameras(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=rf"camera\.json: .*{said}"):
        read_camera(written(tmp_path / "camera.json", BOTH | change))


@pytest.mark.parametrize(
    ("values", "slip"),
    [
        ({"color": {}}, "'color' is no key; if it means 'colour'"),
        ({"unit": 0.001}, "'unit' is no key; if it means 'units'"),
        ({"Fx": 1}, "'Fx' is no key; if it means 'fx'"),
        ({"colour": {"hight": 3}}, r"colour\.'hight' is no key; if it means 'height'"),
    ],
)
def test_slips_of_keys_are_named(tmp_path: Path, values: dict[str, object], slip: str) -> None:
    """Left out in silence they would change what is read."""
    (tmp_path / "camera.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=slip):
        read_camera(tmp_path / "camera.json")


def test_keys_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    more = {"focal_length_px": 9, "convention": "pinhole", "serial": "A", "image_depth": 16}
    (tmp_path / "camera.json").write_text(json.dumps({"fx": 1, "fy": 1, "cx": 0, "cy": 0, **more}))
    assert read_camera(tmp_path / "camera.json").fx == 1
