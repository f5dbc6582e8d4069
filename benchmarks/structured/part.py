"""What all parts share: place, materials, specks, pose, and the defects that any of them may have. Millimetres."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from render import DISTANCE, Look, Pose, support_axes
from shapes import Distance, chip, cut, drill, roughness

Array = NDArray[Any]
SPREAD = 4.0  # mm that parts lie off the middle, at most
NONE = -1  # no element is displaced

# Fixed ranges of the defects' sizes, set from the real class's masks and clouds (README.md), before any detector ran.
HOLE = (1.2, 3.0)  # diameter
HOLE_DEPTH = (0.4, 1.6)
CUT = ((3.0, 7.0), (2.0, 4.0), (0.5, 1.4))  # half axes: two along the surface, one into it
CHIP = ((1.5, 4.0), (0.4, 1.2), (0.15, 0.5))  # half axes
CHIP_BOW = (0.1, 0.8)
CRUSH = ((3.0, 6.0), (2.0, 4.0))  # half axes of a crushed patch
CRUSH_DEPTH = (0.3, 0.8)


@dataclass(frozen=True)
class Material:
    """Reflectance (red, green, blue), strength and width of the highlight, whether it is brushed."""

    albedo: tuple[float, float, float]
    gloss: float
    width: float
    brushed: bool = False


@dataclass
class Part(ABC):
    """One part: random numbers of its making are drawn once, a defective copy shares all of them."""

    rng: np.random.Generator
    turn: Array = field(default_factory=lambda: np.eye(3))
    lift: float = 0.0
    cutters: list[tuple[Distance, float]] = field(default_factory=list)  # bodies taken away, brightness of their walls
    added: list[tuple[int, Distance]] = field(default_factory=list)
    materials: ClassVar[tuple[Material, ...]]
    box: ClassVar[Array]
    along: ClassVar[tuple[float, float, float]] = (1.0, 0.0, 0.0)
    kinds: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        rng = self.rng
        self.scale = float(rng.normal(1, 0.004))
        self.shade = rng.normal(1, 0.02)
        self.place = rng.uniform(-SPREAD, SPREAD, 2)
        self.heading = rng.uniform(0, 2 * np.pi)
        self.blotch = roughness(rng, 18)
        self.specks = [
            (rng.uniform(*self.box), rng.uniform(0.15, 0.45), rng.uniform(0.45, 0.8)) for _ in range(rng.poisson(10))
        ]
        self.make(rng)

    @abstractmethod
    def make(self, rng: np.random.Generator) -> None:
        """Draw what this part's making leaves to chance."""

    @abstractmethod
    def bodies(self, p: Array) -> list[tuple[int, Array]]:
        """Materials and distances of what the part is made of."""

    def _all(self, p: Array) -> list[tuple[int, Array]]:
        bodies = self.bodies(p / np.float32(self.scale))
        for cutter, _ in self.cutters:
            away = -cutter(p)
            bodies = [(material, np.maximum(gap, away)) for material, gap in bodies]
        return bodies + [(material, body(p)) for material, body in self.added]

    def distance(self, p: Array) -> Array:
        gaps = [gap for _, gap in self._all(p)]
        least = gaps[0]
        for gap in gaps[1:]:
            least = np.minimum(least, gap)
        return least

    def pose(self) -> Pose:
        axes = support_axes()
        c, s = np.cos(self.heading), np.sin(self.heading)
        turn = axes @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ self.turn
        middle = self.box.mean(0) * [1, 0, 0]
        shift = np.array([0, 0, DISTANCE]) + axes @ [*self.place, self.lift] - turn @ middle
        # the middle of the box is put over the place, its height is the lift's
        shift += axes[:, 2] * (axes[:, 2] @ (turn @ middle))
        return Pose(turn.astype(np.float64), shift, self.box)

    def look(self, p: Array) -> Look:
        """How the part reflects at points on it."""
        bodies = self._all(p)
        nearest = np.argmin(np.stack([gap for _, gap in bodies]), axis=0)
        kind = np.array([material for material, _ in bodies])[nearest]
        of = self.materials
        albedo = np.array([m.albedo for m in of], np.float32)[kind].T * np.float32(self.shade)
        gloss = np.array([m.gloss for m in of], np.float32)[kind]
        albedo = albedo * (1 + np.float32(0.02) * self.blotch(p))
        own = nearest < len(bodies) - len(self.added)
        for cutter, brightness in self.cutters:
            wall = own & (np.abs(cutter(p)) < 0.12)
            albedo[:, wall] *= np.float32(brightness)
            gloss[wall] *= 0.4
        for at, radius, dark in self.specks:
            albedo[:, ((p - at.astype(np.float32)[:, None]) ** 2).sum(0) < radius**2] *= np.float32(dark)
        brushed = np.array([m.brushed for m in of], np.float32)[kind]
        width = np.array([m.width for m in of], np.float32)[kind]
        return Look(albedo, gloss, width, brushed, np.array(self.along, np.float32))

    def broken(self, kind: str, rng: np.random.Generator, point: Array, normal: Array) -> Part:
        """A copy with one defect of that kind; point, normal: (3, N), what the camera sees of it, the part's frame."""
        part = copy.copy(self)
        part.cutters, part.added = list(self.cutters), list(self.added)
        made = getattr(part, f"_{kind}")(rng, point, normal)
        return part if made is None else made

    def _hole(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        at, out = point_and_normal(rng, point, normal, self.drillable(point))
        tilt, turn = rng.uniform(0, 0.25), rng.uniform(0, 2 * np.pi)
        self.cutters.append((drill(at, out, rng.uniform(*HOLE), rng.uniform(*HOLE_DEPTH), tilt, turn), 0.9))

    def _foreign(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        at, out = point_and_normal(rng, point, normal, normal[2] > -2)
        size = _half_axes(rng, CHIP)
        body = chip(at, out, size, rng.uniform(0, np.pi), rng.uniform(*CHIP_BOW))
        self.added.append((int(rng.integers(len(self.materials) - 2, len(self.materials))), body))

    def _torn(self, rng: np.random.Generator, point: Array, normal: Array, where: Array, bright: float) -> None:
        """A bite out of an edge."""
        at, out = point_and_normal(rng, point, normal, where)
        size = _half_axes(rng, CUT)
        rough = roughness(rng, 1.6)
        self.cutters.append((cut(at, out, size, rng.uniform(0, np.pi), rough), bright))

    def drillable(self, point: Array) -> Array:
        """Where holes may be drilled, (N,)."""
        return np.ones(point.shape[1], bool)


def _half_axes(rng: np.random.Generator, ranges: tuple[tuple[float, float], ...]) -> tuple[float, float, float]:
    """Drawn evenly from three ranges."""
    first, second, third = (rng.uniform(*ends) for ends in ranges)
    return first, second, third


def point_and_normal(rng: np.random.Generator, point: Array, normal: Array, where: Array) -> tuple[Array, Array]:
    """One of the points and its normal."""
    index = np.flatnonzero(where)
    if not len(index):
        index = np.arange(point.shape[1])
    chosen = index[rng.integers(len(index))]
    return point[:, chosen], normal[:, chosen]


def turned(axis: int, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    a, b = [i for i in range(3) if i != axis]
    turn = np.eye(3)
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
    return turn


STEEL = Material((0.50, 0.50, 0.50), 0.9, 0.25, True)
CRUMB = Material((0.55, 0.50, 0.42), 0.10, 0.5)
