"""Rendered parts once more: measured by a 3D sensor that stands beside the colour camera, whose lens distorts.

    python draw.py --generator DIR --rendered DATA --category bagel --seed 1 --out OUT

Runs where the generator of the rendered classes runs (Mitsuba 3, numpy, scipy, tifffile, Pillow), not where TRD does.
DATA/CATEGORY is what the generator drew with this seed. Every part's mesh is made again from its seed, checked against
the stored cloud, and seen by ray casting from both places, so that what one of them cannot see is really hidden. The
pictures are those of DATA, resampled once as the lens distorts. Writes classes with the same pictures and masks:

    OUT/registered    xyz on the pixels of the picture, as one sensor with both cameras would give
    OUT/again         the same with its noise drawn once more: what comparing two noises alone gives
    OUT/organised     xyz on the pixels of the displaced sensor (TIFF, metres), and camera.json
    OUT/loose         its points shuffled, missing ones left out (PLY, millimetres), and camera.json
    OUT/geometry      exact depth, what is part, what the sensor sees, for `geometry.py` (NPZ, test parts)
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SHIFT = np.array([0.060, 0.0, 0.0])  # metres, of the sensor in the colour camera's frame
TURN, AXIS = 8.0, np.array([0.15, 1.0, 0.1])  # degrees, about which axis: the sensor looks back at the part
SENSOR_SIZE = 352  # pixels, as fine as the picture's, a little more of the scene
ENLARGED = 1.035  # of the focal length, so that the distorted picture shows nothing that was not rendered
LENS = (-0.40, 0.10, 0.002, -0.001)  # OpenCV's k1 k2 p1 p2: 5 pixels in the corners
SPLITS = ("registered", "again", "organised", "loose")


def _turned(axis: Floats, degrees: float) -> Floats:
    """Rotation matrix about an axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _distorted(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    k1, k2, p1, p2 = LENS
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y


class Rig:
    """The generator's camera with a lens, and the sensor beside it with its projector."""

    def __init__(self, scene: ModuleType, size: int) -> None:
        self.rendered = scene.Camera(size)
        self.colour, self.sensor = scene.Camera(size), scene.Camera(SENSOR_SIZE)
        self.colour.f *= ENLARGED
        self._look(self.colour, *self._undistorted(size))
        self.sensor.f = self.rendered.f
        places = (np.arange(SENSOR_SIZE) - self.sensor.c) / self.sensor.f
        self.sensor.R = _turned(AXIS, TURN) @ self.rendered.R
        self.sensor.origin = self.rendered.origin + self.rendered.R.T @ SHIFT
        self._look(self.sensor, *np.meshgrid(places, places))
        self.projector = scene.PROJECTOR
        self.moved_projector = self.sensor.R.T @ self.rendered.to_camera(scene.PROJECTOR) + self.sensor.origin

    def _undistorted(self, size: int) -> tuple[Floats, Floats]:
        """Directions of the picture's pixels, by Newton's method with numeric derivatives."""
        places = (np.arange(size) - self.colour.c) / self.colour.f
        wanted_x, wanted_y = np.meshgrid(places, places)
        x, y, step = wanted_x.copy(), wanted_y.copy(), 1e-6
        for _ in range(10):
            at, right, down = _distorted(x, y), _distorted(x + step, y), _distorted(x, y + step)
            a, b = (right[0] - at[0]) / step, (down[0] - at[0]) / step
            c, d = (right[1] - at[1]) / step, (down[1] - at[1]) / step
            off_x, off_y = wanted_x - at[0], wanted_y - at[1]
            x, y = x + (d * off_x - b * off_y) / (a * d - b * c), y + (a * off_y - c * off_x) / (a * d - b * c)
        return x, y

    @staticmethod
    def _look(camera: Any, x: Floats, y: Floats) -> None:
        camera.rays_cam = np.stack([x, y, np.ones_like(x)], axis=-1)
        lengths = np.linalg.norm(camera.rays_cam, axis=-1, keepdims=True)
        camera.dirs = ((camera.rays_cam / lengths).reshape(-1, 3) @ camera.R).astype(np.float32)

    def camera_json(self, units: float) -> dict[str, Any]:
        """camera.json of the displaced sensor; units: metres per unit of its points."""
        turn = self.rendered.R @ self.sensor.R.T
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, SHIFT
        colour = {
            **{"fx": self.colour.f, "fy": self.colour.f, "cx": self.colour.c, "cy": self.colour.c},
            **{"width": self.colour.size, "height": self.colour.size, "distortion": list(LENS)},
        }
        return {"units": units, "colour": colour, "pose": pose.round(9).tolist()}

    def picture(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the distorting lens shows of a rendered picture."""
        from scipy.ndimage import map_coordinates

        rays = self.colour.rays_cam
        places = [rays[..., axis] * self.rendered.f + self.rendered.c for axis in (1, 0)]
        channels = [map_coordinates(rgb[..., i].astype(np.float32), places, order=3, mode="nearest") for i in range(3)]
        return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)


class Generator:
    """The generator's modules, and the parts of one category as it made them."""

    def __init__(self, folder: Path, category: str, seed: int, size: int) -> None:
        sys.path.insert(0, str(folder))
        import defects
        import generate
        import objects
        import scene
        import sensor

        self.defects, self.generate, self.objects = defects, generate, objects
        self.scene, self.sensor = scene, sensor
        self.category, self.seed = category, seed
        self.rig = Rig(scene, size)

    def severity(self, kind: str, index: int, count: int) -> float:
        """As the generator drew it: the file of samples holds it rounded."""
        return float(self.generate.severities(self.seed, self.category, kind, count)[index]) if kind != "good" else 0.0

    def part(self, sample: dict[str, Any], count: int) -> tuple[Any, dict[str, Any], np.random.Generator]:
        """Scene, mesh in metres, and the sensor's own random numbers."""
        key = (self.category, sample["split"], sample["kind"], sample["index"])
        key += (sample["attempt"],) if sample["attempt"] else ()
        rng = self.generate.sample_rng(self.seed, *key)
        body_rng, pose_rng, defect_rng, look_rng, sensor_rng = rng.spawn(5)
        body = self.objects.BUILDERS[self.category](body_rng)
        if sample["kind"] != "good":
            severity = self.severity(sample["kind"], sample["index"], count)
            self.defects.apply(body, self.category, sample["kind"], defect_rng, severity)
        mesh = body.mesh()
        angle = pose_rng.uniform(-1, 1) * self.generate.FREE_TURN[self.category]
        shift = pose_rng.uniform(-3.0, 3.0, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
        points = mesh["V"] @ turn.T
        points[:, :2] += shift.astype(np.float32)
        mesh["V"] = (points * np.float32(1e-3)).astype(np.float32)
        return self.scene.build(mesh, self.category, self.rig.rendered, look_rng, 1), mesh, sensor_rng

    def seen(self, scene: Any, mesh: dict[str, Any], camera: Any, projector: Floats) -> dict[str, Any]:
        """Exact geometry of every pixel of a camera."""
        self.scene.PROJECTOR = projector
        traced: dict[str, Any] = self.scene.trace(scene, mesh, camera)
        return traced


def _write_ply(path: Path, points: Floats) -> None:
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    head += "property float x\nproperty float y\nproperty float z\nend_header\n"
    path.write_bytes(head.encode() + points.astype("<f4").tobytes())


def _write_tiff(path: Path, cloud: Floats) -> None:
    import tifffile

    tifffile.imwrite(path, cloud, photometric="rgb", compression="zlib", metadata=None)


def _draw(generator: Generator, sample: dict[str, Any], count: int, data: Path, out: Path) -> float:
    """One part; the greatest difference of its cloud, made again, from the stored one (metres)."""
    import tifffile
    from PIL import Image

    rig, category = generator.rig, generator.category
    split, kind, name = sample["split"], sample["kind"], f"{sample['index']:03d}"
    folder = Path(category, split, kind)
    scene, mesh, rng = generator.part(sample, count)
    generator.sensor.colour(np.zeros((rig.rendered.size, rig.rendered.size, 3)), rng)  # takes its random numbers
    stored = tifffile.imread(data / folder / "xyz" / f"{name}.tiff")
    again = generator.sensor.depth(generator.seen(scene, mesh, rig.rendered, rig.projector), rig.rendered, rng)
    noises = [np.random.default_rng(int(rng.integers(2**31))) for _ in range(4)]
    seen = generator.seen(scene, mesh, rig.colour, rig.projector)
    aside = generator.seen(scene, mesh, rig.sensor, rig.moved_projector)
    clouds = [generator.sensor.depth(seen, rig.colour, noise) for noise in noises[:2]]
    cloud = generator.sensor.depth(aside, rig.sensor, noises[2])
    with Image.open(data / folder / "rgb" / f"{name}.png") as image:
        picture = Image.fromarray(rig.picture(np.asarray(image.convert("RGB"))))
    for which in SPLITS:
        for source in ("rgb", "xyz", *(("gt",) if split == "test" else ())):
            (out / which / folder / source).mkdir(parents=True, exist_ok=True)
        picture.save(out / which / folder / "rgb" / f"{name}.png")
        if split == "test":
            Image.fromarray((seen["label"] * 255).astype(np.uint8)).save(out / which / folder / "gt" / f"{name}.png")
    for which, stays in zip(("registered", "again", "organised"), (*clouds, cloud), strict=True):
        _write_tiff(out / which / folder / "xyz" / f"{name}.tiff", stays)
    loose = noises[3].permutation(cloud[cloud[..., 2] > 0])
    _write_ply(out / "loose" / folder / "xyz" / f"{name}.ply", 1000 * loose)
    if split == "test":
        place = out / "geometry" / folder
        place.mkdir(parents=True, exist_ok=True)
        points = np.where(aside["hit"][..., None], aside["xyz"], 0).astype(np.float32)
        hidden = _hidden(generator, scene, seen)
        np.savez_compressed(
            place / f"{name}.npz", depth=seen["xyz"][..., 2].astype(np.float32), part=seen["obj"], hidden=hidden,
            sensor=points,
        )  # fmt: skip
    return float(np.abs(stored - again).max())


def _hidden(generator: Generator, scene: Any, seen: dict[str, Any]) -> NDArray[np.bool_]:
    """Pixels whose surface the displaced sensor cannot see, because something stands before it."""
    rig = generator.rig
    mi = generator.scene.mi
    points = seen["xyz"].reshape(-1, 3) @ rig.colour.R + rig.colour.origin
    normals = seen["normal"].reshape(-1, 3) @ rig.colour.R
    to = rig.sensor.origin - points
    far = np.linalg.norm(to, axis=1)
    start = (points + 2e-4 * normals).astype(np.float32)
    direction = (to / far[:, None]).astype(np.float32)
    ray = mi.Ray3f(
        mi.Point3f(start.T.copy()), mi.Vector3f(direction.T.copy()), mi.Float((far - 1e-3).astype(np.float32)), 0.0, []
    )
    return np.array(scene.ray_test(ray)).reshape(seen["obj"].shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, required=True, help="folder with generate.py and scene.py")
    parser.add_argument("--rendered", type=Path, required=True, help="what the generator wrote with this seed")
    parser.add_argument("--category", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="parts whose SPLIT/KIND contains this")
    parser.add_argument("--first", type=int, default=10**6, help="of each kind at most these")
    arguments = parser.parse_args()
    data, category = arguments.rendered, arguments.category
    facts = json.loads((data / category / "calibration/samples.json").read_text())
    if facts["seed"] != arguments.seed:
        raise SystemExit(f"{data / category} was made with seed {facts['seed']}")
    samples = [sample for sample in facts["samples"] if arguments.only in f"{sample['split']}/{sample['kind']}"]
    samples = [sample for sample in samples if sample["index"] < arguments.first]
    counts = {sample["kind"]: 0 for sample in facts["samples"]}
    for sample in facts["samples"]:
        counts[sample["kind"]] += sample["split"] == "test"
    generator = Generator(arguments.generator, category, arguments.seed, facts["size"])
    for which, units in (("organised", 1.0), ("loose", 0.001)):
        (arguments.out / which / category).mkdir(parents=True, exist_ok=True)
        text = json.dumps(generator.rig.camera_json(units), indent=1)
        (arguments.out / which / category / "camera.json").write_text(text)
    begin, worst = time.time(), 0.0
    for number, sample in enumerate(samples, 1):
        worst = max(worst, _draw(generator, sample, counts[sample["kind"]], data, arguments.out))
        if worst > 1e-6:
            raise SystemExit(f"{category} {sample}: the cloud made again differs by {worst} m from the stored one")
        each = (time.time() - begin) / number
        left = each * (len(samples) - number) / 60
        print(f"[{category}] {number}/{len(samples)}, {each:.2f} s each, {left:.1f} min left", flush=True)
    os.sync()


if __name__ == "__main__":
    main()
