"""Preparation of recipes with pictures and metric normals as it was before it was made fast: one thing after another,
in fresh arrays. Ours must give the same to the bit; `benchmarks/preparation.py` holds its speed against this."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from trd.config import ImageInput, PartConfig
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.ranges import part_measures, plane_measures, sample_measures
from trd.types import PreparedSample, Sample

STRIP = 64


def prepared(pipeline: Pipeline, sample: Sample) -> PreparedSample:
    """Of a recipe of pictures and metric normals of one cloud in metres, without a part finder or a mask."""
    recipe, frame = pipeline.recipe, pipeline.frame
    own = border_plane(sample.arrays["xyz"], recipe.frame.part)
    plane = np.array(frame.planes["xyz"]) if own is None and "xyz" in frame.planes else own
    images = {}
    for name, config in recipe.modalities.items():
        if isinstance(config, ImageInput):
            images[name] = unit_range(resized(frame.crop(sample.arrays[config.source]), frame.size))
        else:
            around, (rows, columns) = around_window(pipeline, sample.arrays["xyz"], int(4 * config.sigma + 1))
            native = normals_image(around, config.sigma, config.slope_gain, plane)[:, rows, columns]
            images[name] = np.stack([resized(channel, frame.size) for channel in native])
    measures = sample_measures(recipe, sample)
    region, notes = None, []
    if own is None and plane is not None:
        notes += ["no support plane found in 'xyz': the training samples' stands in"]
    if pipeline.region == "part":
        around, window = around_window(pipeline, sample.arrays["xyz"], 8)
        part = part_foreground(around, plane, recipe.frame.part.clearance)
        if part is not None:
            rows, columns = frame.window_in(around_shape(sample))
            measures |= part_measures(around, part, (rows.start - window[0].start, columns.start - window[1].start))
            small = cv2.resize(part[window].astype(np.uint8), frame.size[::-1], interpolation=cv2.INTER_NEAREST)
            region = filled(small) if small.any() else None
        notes += ["no part found: the whole window is scored"] if region is None else []
    if pipeline.ranges is not None:
        all_measures = {**({} if own is None else plane_measures(own)), **measures}
        notes += pipeline.ranges.notes(around_shape(sample), all_measures)
    return PreparedSample(sample.id, sample.defect, images, region, None, around_shape(sample), tuple(notes))


def around_shape(sample: Sample) -> tuple[int, int]:
    return sample.arrays["xyz"].shape[:2]


def around_window(pipeline: Pipeline, xyz: np.ndarray, reach: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    rows, columns = pipeline.frame.window_in(xyz.shape[:2])
    top, left = max(0, rows.start - reach), max(0, columns.start - reach)
    around = xyz[top : rows.stop + reach, left : columns.stop + reach]
    return around, (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size[::-1], Image.Resampling.BILINEAR))


def unit_range(image: np.ndarray) -> np.ndarray:
    scaled = np.minimum(image.astype(np.float32) / np.float32(255), np.float32(1))
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def slopes_of(xyz: np.ndarray, sigma: float, plane: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 2) and where they are known."""
    valid = xyz[..., 2] != 0
    rotation = np.eye(3) if plane is None else to_plane_frame(plane)
    some = xyz[::4, ::4][valid[::4, ::4]]
    centre = some.mean(axis=0, dtype=np.float64) if len(some) else np.zeros(3)
    height, reach = len(xyz), int(4 * sigma + 1)
    slopes, known = np.empty((*xyz.shape[:2], 2)), np.empty(xyz.shape[:2], bool)
    for top in range(0, height, STRIP):
        first, last = max(0, top - reach), min(height, top + STRIP + reach)
        coordinates = np.moveaxis(xyz[first:last], -1, 0).astype(np.float64, order="C") - centre[:, None, None]
        points = np.einsum("ij,jhw->ihw", rotation, coordinates)
        inner = slice(top - first, min(top + STRIP, height) - first)
        found, there = fitted(points, valid[first:last], sigma)
        slopes[top : top + STRIP], known[top : top + STRIP] = found[inner], there[inner]
    return slopes, known


def fitted(points: np.ndarray, valid: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    weight = valid.astype(np.float64)
    x, y, z = points * weight

    def windowed(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)

    total = windowed(weight)
    known = total > 0.1
    safe = np.where(known, total, 1)
    mean_x, mean_y, mean_z = (windowed(v) / safe for v in (x, y, z))
    xx = windowed(x * x) / safe - mean_x**2
    xy = windowed(x * y) / safe - mean_x * mean_y
    yy = windowed(y * y) / safe - mean_y**2
    xz = windowed(x * z) / safe - mean_x * mean_z
    yz = windowed(y * z) / safe - mean_y * mean_z
    determinant = xx * yy - xy**2
    known &= determinant > 1e-6 * (xx + yy) ** 2
    safe = np.where(known, determinant, 1)
    slopes = np.stack([(yy * xz - xy * yz) / safe, (xx * yz - xy * xz) / safe], axis=-1)
    slopes[~known] = 0
    return slopes, known


def to_plane_frame(plane: np.ndarray) -> np.ndarray:
    normal, camera = plane[:3], np.array([0.0, 0.0, -1.0])
    axis = np.cross(normal, camera)
    sine, cosine = float(np.linalg.norm(axis)), float(normal @ camera)
    return np.eye(3) if sine < 1e-12 else cv2.Rodrigues(axis / sine * np.arctan2(sine, cosine))[0]


def normals_image(xyz: np.ndarray, sigma: float, gain: float, plane: np.ndarray | None) -> np.ndarray:
    slopes, known = slopes_of(xyz, sigma, plane)
    steep = np.float32(-gain) * slopes.astype(np.float32).transpose(2, 0, 1)
    half = np.float32(0.5) / np.sqrt(1 + steep[0] ** 2 + steep[1] ** 2)
    image = np.stack([steep[0] * half + np.float32(0.5), steep[1] * half + np.float32(0.5), half + np.float32(0.5)])
    image[:, ~known] = np.array([[0.5], [0.5], [0.0]], np.float32)
    return image


def border_plane(xyz: np.ndarray, config: PartConfig) -> np.ndarray | None:
    """Of the frame's border, without asking whether the plane is seen too steeply or on one side only."""
    band = max(3, round(config.border * min(xyz.shape[:2])))
    strips = (xyz[:band], xyz[-band:], xyz[band:-band, :band], xyz[band:-band, -band:])
    points = np.concatenate([strip.reshape(-1, 3) for strip in strips])
    points = np.ascontiguousarray(points[points[:, 2] != 0].T, np.float64)
    if points.shape[1] < 32:
        return None
    origin = points.mean(axis=1)
    points -= origin[:, None]
    kept = np.ones(points.shape[1])
    for _ in range(3):
        centre = np.einsum("cn,n->c", points, kept) / kept.sum()
        spread = np.einsum("in,jn->ij", points * kept, points) / kept.sum() - np.outer(centre, centre)
        normal = np.linalg.eigh(spread)[1][:, 0]
        plane = np.append(normal, -normal @ (origin + centre))
        residual = np.abs(np.einsum("c,cn->n", normal, points) - normal @ centre)
        typical = float(np.median(residual))
        kept = (residual <= max(3 * 1.4826 * typical, 2e-4)).astype(np.float64)
    lateral = xyz[::16, ::16].reshape(-1, 3)
    np.linalg.eigvalsh(np.cov(lateral[lateral[:, 2] != 0][:, :2].astype(np.float64).T))  # for its time only
    if typical > config.roughness or kept.mean() < 0.5:
        return None
    return plane if plane[2] < 0 else -plane


def part_foreground(xyz: np.ndarray, plane: np.ndarray | None, clearance: float) -> np.ndarray | None:
    if plane is None:
        return None
    height = np.einsum("hwc,c->hw", xyz, plane[:3].astype(np.float32)) + np.float32(plane[3])
    mask = (np.where(xyz[..., 2] != 0, height, np.float32(0)) > clearance).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    part = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc).astype(bool)
    return part if part.any() else None


def filled(part: np.ndarray) -> np.ndarray:
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = cv2.drawContours(part, [cv2.convexHull(outline) for outline in outlines], -1, 1, cv2.FILLED)
    return cv2.dilate(solid, np.ones((5, 5), np.uint8)).astype(bool)
