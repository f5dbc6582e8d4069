"""What data sets and users say about their files: lists, tables, camera files, polygons; each in a class that fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import tifffile

Read = Callable[[Path], object]

POLYGONS = """[frame]
inspect = [[[10, 10], [300, 10], [300, 200]], [[5, 5], [60, 5], [60, 60], [5, 60]]]
ignore = [[[20.5, 20], [40, 20], [40, 44.25]]]
missing = [-9999, 65535]
"""


def list_readers(folder: Path) -> dict[str, tuple[bytes, Read]]:
    """Path of a drawn file -> its bytes, and what lists its class and reads every part of it."""
    from data_sets import mulsen, real_iad, visa

    from trd.config import load_recipe
    from trd.preprocess.frame import Frame
    from trd.preprocess.regions import Regions

    frame = Frame((480, 640), (0, 0, 480, 640), (320, 320))
    readers: dict[Path, Read] = {}
    for layout in ("visa", "iad", "d3", "mulsen"):
        (folder / layout).mkdir(parents=True)
    readers[visa(folder / "visa")] = _class_reader(folder / "visa/candle", ("rgb",))
    readers[real_iad(folder / "iad", "realiad_jsons")] = _class_reader(folder / "iad/raw/toy", ("rgb",))
    lists = real_iad(folder / "d3", "realiad_d3_jsons", ps_path="_ps.jpg")
    readers[lists] = _class_reader(folder / "d3/raw/toy", ("rgb", "ps"))
    readers[mulsen(folder / "mulsen")] = _class_reader(folder / "mulsen/cube", ("rgb",))
    for kind in ("depth", "organised", "loose", "alone", "profiler"):
        readers[_class_of_a_sensor(folder / kind, kind)] = _class_reader(
            folder / kind, ("xyz",) if kind in ("alone", "profiler") else ("rgb", "xyz")
        )
    shipped = resources.files("trd.recipes").joinpath("lite-rgb-normals.toml").read_text("utf-8")
    recipe = folder / "regions.toml"
    recipe.write_text(shipped.replace("[frame]\n", POLYGONS, 1))
    readers[recipe] = lambda path: Regions(load_recipe(str(path)).frame, frame)
    return {str(path): (path.read_bytes(), read) for path, read in readers.items()}


def _class_reader(folder: Path, sources: Sequence[str]) -> Read:
    from trd.data.listing import list_class
    from trd.data.loading import load_sample

    clouds = tuple(source for source in sources if source == "xyz")

    def read(_: Path) -> object:
        files = list_class(folder, "", sources, clouds)
        return [load_sample(part, clouds, files.camera) for part in (*files.train, *files.validation, *files.test)]

    return read


def _class_of_a_sensor(folder: Path, kind: str) -> Path:
    """Two parts of 24 x 32 pixels and the camera file that they need."""
    from data_sets import draw
    from from_above import table
    from writing import write_ply

    rows, columns = np.indices((24, 32))
    z = 400 + 3 * np.sin(rows / 4) + 2 * np.cos(columns / 5)
    cloud = np.stack([(columns - 15.5) * z / 40, (rows - 11.5) * z / 40, z], axis=-1)
    colour = {"fx": 40, "fy": 40, "cx": 15.5, "cy": 11.5, "width": 32, "height": 24, "distortion": [0.1, 0, 0, 0.01]}
    pose = np.eye(4)
    pose[:3, 3] = 0.01, 0, 0.002
    values: dict[str, object] = {"units": 0.001, "z": "away", "missing": [65535]}
    place = folder / "train/good"
    (place / "xyz").mkdir(parents=True)
    for name in ("a", "b"):
        if kind == "depth":
            np.save(place / f"xyz/{name}.npy", z.astype(np.float32))
            values = {"fx": 40, "fy": 40.5, "cx": 15.5, "cy": 11.5, "width": 32, "height": 24, "depth_scale": 0.001}
        elif kind == "organised":
            tifffile.imwrite(place / f"xyz/{name}.tiff", cloud.astype(np.float32), photometric="rgb")
        elif kind == "profiler":
            (place / f"xyz/{name}.csv").write_text(table(z - 395))
            values = {"kind": "height_map", "pitch_x": 1e-4, "pitch_y": 2e-4, "height_scale": 1e-3, "z": "towards"}
        else:
            write_ply(place / f"xyz/{name}.ply", cloud.reshape(-1, 3))
        if kind in ("depth", "organised", "loose"):
            values |= {"colour": colour, "pose": pose.tolist()}
            draw(place, f"rgb/{name}.png", image=np.full((24, 32, 3), 90, np.uint8))
    path = folder / "camera.json"
    path.write_text(json.dumps(values))
    return path
