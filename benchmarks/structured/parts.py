"""The three parts: their shapes, materials, tolerances and defects. Millimetres."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from render import DISTANCE, Look, Pose, support_axes
from shapes import Distance, box, chip, cut, disc, drill, letters, relief, roughness

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
class Part:
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

    def make(self, rng: np.random.Generator) -> None:
        """Draw what this part's making leaves to chance."""
        raise NotImplementedError

    def bodies(self, p: Array) -> list[tuple[int, Array]]:
        """Materials and distances of what the part is made of."""
        raise NotImplementedError

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
        at, out = _draw(rng, point, normal, self.drillable(point))
        tilt, turn = rng.uniform(0, 0.25), rng.uniform(0, 2 * np.pi)
        self.cutters.append((drill(at, out, rng.uniform(*HOLE), rng.uniform(*HOLE_DEPTH), tilt, turn), 0.9))

    def _foreign(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        at, out = _draw(rng, point, normal, normal[2] > -2)
        size = tuple(rng.uniform(*each) for each in CHIP)
        body = chip(at, out, size, rng.uniform(0, np.pi), rng.uniform(*CHIP_BOW))  # type: ignore[arg-type]
        self.added.append((int(rng.integers(len(self.materials) - 2, len(self.materials))), body))

    def _torn(self, rng: np.random.Generator, point: Array, normal: Array, where: Array, bright: float) -> None:
        """A bite out of an edge."""
        at, out = _draw(rng, point, normal, where)
        size = tuple(rng.uniform(*each) for each in CUT)
        rough = roughness(rng, 1.6)
        self.cutters.append((cut(at, out, size, rng.uniform(0, np.pi), rough), bright))  # type: ignore[arg-type]

    def drillable(self, point: Array) -> Array:
        """Where holes may be drilled, (N,)."""
        return np.ones(point.shape[1], bool)


def _draw(rng: np.random.Generator, point: Array, normal: Array, where: Array) -> tuple[Array, Array]:
    """One of the points and its normal."""
    index = np.flatnonzero(where)
    if not len(index):
        index = np.arange(point.shape[1])
    chosen = index[rng.integers(len(index))]
    return point[:, chosen], normal[:, chosen]


def _turned(axis: int, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    a, b = [i for i in range(3) if i != axis]
    turn = np.eye(3)
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
    return turn


STEEL = Material((0.50, 0.50, 0.50), 0.9, 0.25, True)
CRUMB = Material((0.55, 0.50, 0.42), 0.10, 0.5)


class Gland(Part):
    """A cable gland of grey plastic on its side: fingers, collar, thread, two nuts and a lip on one axis (x)."""

    materials = (Material((0.52, 0.495, 0.485), 0.11, 0.17), Material((0.02, 0.02, 0.02), 0.3, 0.2), STEEL, CRUMB)
    box = np.array([[-0.5, -23.0, -23.0], [41.5, 23.0, 23.0]])
    kinds = ("bent", "cut", "foreign", "hole", "thread")
    FINGERS = 18
    FINGER, THREAD, NUT, CAP, END = 8.5, (10.5, 20.0), (20.3, 26.6), (28.6, 36.6), 40.0
    PITCH = 1.5
    BORE = 12.6

    def make(self, rng: np.random.Generator) -> None:
        self.across = np.array([18.3, 19.7]) * rng.normal(1, 0.003, 2)  # half widths over flats
        self.corner = np.array([20.4, 22.2])
        self.tube = 14.7 * rng.normal(1, 0.006)
        self.slot = 1.2 * rng.normal(1, 0.03)
        self.crest = 0.65 * rng.normal(1, 0.03)
        self.start = rng.uniform(0, 1)
        self.off = rng.normal(0, 0.05, self.FINGERS + 1).astype(np.float32)
        self.missing = np.zeros(self.FINGERS + 1, np.float32)  # length broken off each finger
        self.finger = NONE
        self.patch: tuple[float, float, float, float, float, float, Distance] | None = None
        self.angle = rng.uniform(0, 2 * np.pi)  # of the cap against the nut
        self.text = (letters("M32x1.5", 3.0), letters("CE", 3.4))
        self.embossed = 0.30 * rng.normal(1, 0.1)
        self.text_at = rng.integers(0, 2)
        # it rolls until it lies still, and rests on the nuts and the fingers' ends
        roll = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        low = np.maximum(self._lowest(0, roll), self._lowest(1, roll))
        at = int(rng.integers(720))
        while True:
            around = [(at - 1) % 720, at, (at + 1) % 720]
            best = around[int(np.argmin(low[around]))]
            if best == at:
                break
            at = best
        lean = np.arctan2(low[at] - self.tube, (self.CAP[0] + self.NUT[1]) / 2)
        # local "down" after the roll is -z; the fingers' end (x = 0) sinks to the support
        self.turn = _turned(1, lean + rng.normal(0, 0.004)) @ _turned(0, roll[at] + rng.normal(0, 0.01))
        middle = self.box[:, 0].mean()
        self.lift = self.tube * np.cos(lean) + middle * np.sin(lean)

    def _lowest(self, which: int, roll: Array) -> Array:
        """How far the nut reaches below the axis when the part is rolled."""
        down = -np.pi / 2 - roll - (self.angle if which else 0)
        fold = np.abs((down + np.pi / 6) % (np.pi / 3) - np.pi / 6)
        return np.minimum(self.across[which] / np.cos(np.pi / 6) * np.cos(np.pi / 6 - fold), self.corner[which])

    def bodies(self, p: Array) -> list[tuple[int, Array]]:
        s, y, z = p
        r = np.hypot(y, z)
        phi = np.arctan2(z, y)
        body = disc(s, r, 8.0, self.THREAD[0], self.tube + 0.7, 0.3)
        body = np.minimum(body, self._fingers(s, r, phi))
        groove = r - self._crests(p, s, r, phi) + 16
        body = np.minimum(body, disc(s, groove, self.THREAD[0] - 0.5, self.THREAD[1] + 0.5, 16, 0.3) * 0.65)
        body = np.minimum(body, np.minimum(self._nut(0, s, r, phi), self._nut(1, s, r, phi)))
        body = np.minimum(body, disc(s, r, 30, self.END, 16.8, 0.6))
        body = np.minimum(body, disc(s, r, 30, self.END - 1.6, 17.8, 0.4))
        hollow = np.float32(self.BORE) + np.clip((s - 26) * 0.4, 0, 2.0) - r
        body = np.maximum(body, hollow)
        seal = np.maximum(disc(s, r, self.NUT[1] - 0.5, self.CAP[0] + 0.5, 15.2), 13 - r)
        bodies = [(0, body), (1, seal)]
        if self.finger != NONE:
            bodies.append((0, self._moved(s, r, phi)))
        return bodies

    def _fingers(self, s: Array, r: Array, phi: Array) -> Array:
        cell = np.float32(2 * np.pi / self.FINGERS)
        number = np.rint(phi / cell)
        aside = phi - number * cell
        index = number.astype(np.int32) % self.FINGERS
        tube = disc(s, r - self.off[index], 0, 9, self.tube, 0.4)
        beside = (cell / 2 - np.abs(aside)) * r  # from the middle of the slot
        tube = np.maximum(tube, -np.maximum(beside - np.float32(self.slot / 2), s - np.float32(self.FINGER)))
        if self.missing.any():
            gone = self.missing[index]
            border = np.maximum(0.9 * np.maximum(beside, 0) + 0.4, np.maximum(s - self.FINGER - 1, r - self.tube - 1))
            tube = np.where(gone > 0, np.minimum(np.maximum(tube, gone - s), border), tube)
        return tube

    def _crests(self, p: Array, s: Array, r: Array, phi: Array) -> Array:
        """The thread's radius, with what is torn off or crushed."""
        turn = s / np.float32(self.PITCH) + phi / np.float32(2 * np.pi) + np.float32(self.start)
        wave = np.abs((turn % 1) - np.float32(0.5)) * 2
        radius = np.float32(15.5) + np.float32(self.crest) * np.minimum(wave * 1.6, 1)
        if self.patch is not None:
            at, where, long, wide, amount, level, rough = self.patch
            around = (phi - np.float32(where) + np.pi) % (2 * np.pi) - np.pi
            far = np.hypot((s - np.float32(at)) / np.float32(wide), around * 16 / np.float32(long))
            blend = np.clip((1.15 - far) * 4, 0, 1)
            close = np.flatnonzero((blend > 0) & (np.abs(r - radius) < 2))
            torn = 15.5 + level * self.crest + np.clip(amount * rough(p[:, close]), -0.8, 1.0)
            radius[close] += blend[close] * (torn.astype(np.float32) - radius[close])
        return radius

    def _nut(self, which: int, s: Array, r: Array, phi: Array) -> Array:
        """The nut (0, with embossed texts) or the cap (1)."""
        begin, end = (self.NUT, self.CAP)[which]
        own = phi - np.float32(self.angle if which else 0)
        face = np.rint(own / np.float32(np.pi / 3))
        fold = own - face * np.float32(np.pi / 3)
        flat = r * np.cos(fold)
        nut = disc(s, flat, begin, end, self.across[which], 0.25)
        bevel = (r - np.float32(self.corner[which])) + 0.5 * np.clip(np.abs(s - (begin + end) / 2) - 2.2, 0, None)
        nut = np.maximum(nut, bevel * 0.9)
        if which == 0:
            close = np.flatnonzero((np.abs(nut) < 0.6) & (flat > 17))
            side = face[close].astype(int) % 6
            v, u = s[close] - np.float32((begin + end) / 2), r[close] * np.sin(fold[close])
            for number, picture in enumerate(self.text):
                mine = (side + self.text_at) % 3 == number * 2
                nut[close[mine]] -= np.float32(self.embossed) * relief(picture, u[mine], v[mine])
        return nut

    def _moved(self, s: Array, r: Array, phi: Array) -> Array:
        cell = 2 * np.pi / self.FINGERS
        inward, sideways = self.bend
        away = (phi - self.finger * cell + np.pi) % (2 * np.pi) - np.pi
        out = np.clip((self.FINGER - s) / self.FINGER, 0, 1.2) ** 1.5
        r = r + np.float32(inward) * out
        across = (away * r) - np.float32(sideways) * out
        width = cell * (self.tube - 1) / 2 - self.slot / 2
        return np.maximum(np.maximum(disc(s, r, 0, 9, self.tube, 0.4), self.BORE - r), np.abs(across) - width) * 0.55

    def _seen_fingers(self, point: Array, least: int) -> Array:
        s = point[0]
        near = (s < 7) & (np.hypot(point[1], point[2]) > self.tube - 0.6)
        index = np.rint(np.arctan2(point[2], point[1])[near] / (2 * np.pi / self.FINGERS)).astype(int) % self.FINGERS
        counts = np.bincount(index, minlength=self.FINGERS)
        return np.flatnonzero(counts >= min(least, counts.max()))

    def _bent(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        self.finger = int(rng.choice(self._seen_fingers(point, 120)))
        self.missing = self.missing.copy()
        self.missing[self.finger] = self.FINGER
        inward = rng.uniform(2.0, 6.0) * rng.choice([1, 1, 1, -0.6])
        self.bend = (inward, rng.uniform(-1.5, 1.5))

    def _cut(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        if rng.random() < 0.3:
            self.missing = self.missing.copy()
            self.missing[rng.choice(self._seen_fingers(point, 120))] = rng.uniform(0.35, 1) * self.FINGER
            return
        s, r = point[0], np.hypot(point[1], point[2])
        edges = np.minimum(np.abs(s - self.CAP[0]), np.abs(s - self.CAP[1]))
        edges = np.minimum(edges, np.minimum(np.abs(s - self.NUT[0]), np.abs(s - self.END)))
        self._torn(rng, point, normal, (edges < 1.2) & (r > 14) & (s > 19), rng.uniform(1.05, 1.3))

    def _thread(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        s = point[0]
        at, _ = _draw(rng, point, normal, (s > self.THREAD[0] + 1) & (s < self.THREAD[1] - 1))
        long, wide = rng.uniform(*CRUSH[0]), rng.uniform(*CRUSH[1])
        level = rng.choice([0.0, 0.5, 1.0])  # torn off, crushed, filled
        rough = roughness(rng, 1.5)
        where = float(np.arctan2(at[2], at[1]))
        self.patch = (float(at[0]), where, long, wide, rng.uniform(0.1, 0.4), float(level), rough)

    def drillable(self, point: Array) -> Array:
        return (point[0] > 9) & (np.hypot(point[1], point[2]) > 14)


class Connector(Part):
    """A housing of dark plastic with two rows of windows, pins of bright metal, ribs, a latch and ears."""

    materials = (
        Material((0.215, 0.215, 0.225), 0.15, 0.22),
        Material((0.62, 0.56, 0.40), 0.9, 0.22, True),
        STEEL,
        CRUMB,
    )
    box = np.array([[-26.5, -16.0, -0.2], [26.5, 18.5, 15.0]])
    kinds = ("bent", "cut", "foreign", "hole", "rib")
    COLUMNS, PITCH, TOP, FLOOR = 8, 4.0, 11.0, 8.0
    RIBS, STEP = 11, 3.0

    def make(self, rng: np.random.Generator) -> None:
        count = self.COLUMNS
        self.turn = _turned(0, rng.normal(0, 0.004)) @ _turned(1, rng.normal(0, 0.004))
        self.lift = 0.0
        self.size = np.array([20.0, 9.5]) * rng.normal(1, 0.004, 2)
        self.window = 1.65 * rng.normal(1, 0.01)
        self.pin = rng.normal(0, 0.05, (2, count, 2)).astype(np.float32)  # pins off the middle of their windows
        self.lean = np.zeros((2, count, 2), np.float32)  # of pins, mm a mm
        self.short = rng.normal(0, 0.06, (2, count)).astype(np.float32)  # pins' tops, lower
        self.tail = (7.0 + rng.normal(0, 0.08, count)).astype(np.float32)
        self.aside = rng.normal(0, 0.05, count).astype(np.float32)
        self.ribs = (2.4 + rng.normal(0, 0.01, self.RIBS)).astype(np.float32)  # how far each stands out
        self.bent_tails: list[tuple[int, Array, float]] = []
        self.doubled: tuple[float, float] | None = None
        self.crushed: tuple[float, float, float, Distance] | None = None
        self.text = letters("TR 16P", 2.0)
        self.text_x = rng.uniform(-8, 8)

    def bodies(self, p: Array) -> list[tuple[int, Array]]:
        x, y, z = p
        count, top = self.COLUMNS, self.TOP
        half_x, half_y = self.size
        house = box(x, y, z - np.float32(top / 2), (half_x, half_y, top / 2), 0.4)
        # windows: two rows, and a pin in each
        column = np.clip(np.rint(x / self.PITCH + (count - 1) / 2), 0, count - 1).astype(np.int32)
        row = (y > 0).astype(np.int32)
        u = x - (column - np.float32((count - 1) / 2)) * np.float32(self.PITCH)
        v = y - np.where(row > 0, np.float32(3.8), np.float32(-3.8))
        w = np.float32(self.window)
        house = np.maximum(house, -np.maximum(np.maximum(np.abs(u), np.abs(v)) - w, self.FLOOR - z))
        flare = np.maximum(np.abs(u), np.abs(v)) - w - np.clip(z - np.float32(top - 0.6), 0, 1)
        house = np.maximum(house, -np.maximum(flare, np.float32(top - 0.6) - z) * 0.7)
        # a key way between the rows
        house = np.maximum(house, -np.maximum(np.maximum(np.abs(y) - 0.6, np.abs(x) - 16), np.float32(top - 1.5) - z))
        rise = z - self.FLOOR
        off, lean = self.pin[row, column], self.lean[row, column]
        a, b = u - off[:, 0] - lean[:, 0] * rise, v - off[:, 1] - lean[:, 1] * rise
        tip = np.float32(top - 0.3) - self.short[row, column]
        point = 0.7 - 0.35 * np.clip(z - tip + 0.8, 0, 0.8)
        pins = np.maximum(np.maximum(np.abs(a), np.abs(b)) - point, np.maximum(z - tip, 7 - z)) * 0.8
        latch = box(x, y + half_y + 1.5, z - 6.0, (3.6, 2.6, 3.8), 0.4)
        latch = np.minimum(latch, box(x, y + half_y + 2.9, z - 8.8, (3.6, 2.4, 1.0), 0.3))
        ears = box(np.abs(x) - 22.5, y, z - 2.0, (3.6, 5.5, 2.0), 0.4)
        ears = np.maximum(ears, 1.7 - np.hypot(np.abs(x) - 22.8, y))
        house = np.minimum(np.minimum(house, self._ribs(p)), np.minimum(latch, ears))
        close = np.flatnonzero((np.abs(house) < 0.5) & (z > top - 1))
        near = x[close] - np.float32(self.text_x), -(y[close] - np.float32(7.5))
        house[close] -= 0.25 * relief(self.text, *near)
        tails = self._tails(x, y, z, column)
        bodies = [(0, house), (1, np.minimum(pins, tails))]
        for which, turn, long in self.bent_tails:
            root = np.array([(which - (count - 1) / 2) * self.PITCH, half_y, 3.0], np.float32)
            e, f, g = turn @ (p - root[:, None])
            straight = box(e, f - np.float32(long / 2), g, (0.6, long / 2 + 0.4, 0.3), 0.1)
            bodies.append((1, straight))
        return bodies

    def _tails(self, x: Array, y: Array, z: Array, column: Array) -> Array:
        """Pins that leave the housing on its far side."""
        side = np.float32(self.size[1])
        c = x - (column - np.float32((self.COLUMNS - 1) / 2)) * np.float32(self.PITCH) - self.aside[column]
        length = self.tail[column]
        gone = length <= 0
        tails = box(c, y - side, z - 3.0, (0.6, 100.0, 0.3), 0.1)
        tails = np.maximum(tails, np.maximum(y - side - length, side - 1 - y))
        if gone.any():
            outer = np.abs(x) > (self.COLUMNS - 1) / 2 * self.PITCH
            border = self.PITCH - np.where(outer, -np.abs(c), np.abs(c)) - 0.8  # to the neighbours
            border = np.maximum(border, np.maximum(np.abs(y - side - 4) - 5, np.abs(z - 3) - 0.5))
            tails = np.where(gone, border, tails)
        return tails

    def _ribs(self, p: Array) -> Array:
        """Ribs on the near side."""
        x, y, z = p
        side = np.float32(self.size[1])
        number = np.clip(np.rint(x / self.STEP), -(self.RIBS // 2), self.RIBS // 2)
        d = x - number * np.float32(self.STEP)
        out = self.ribs[number.astype(np.int32) + self.RIBS // 2]
        if self.crushed is not None:
            at, level, depth, rough = self.crushed
            soft = np.clip(1.6 - np.hypot(x - np.float32(at), z - np.float32(level)) / 2.5, 0, 1)
            close = np.flatnonzero((soft > 0) & (y < 0))
            out = out.copy()
            out[close] -= soft[close] * np.clip(depth + 0.15 * rough(p[:, close]), 0.1, 2.2).astype(np.float32)
        rib = np.maximum(np.abs(d) - 0.7, np.maximum(np.float32(-side) - out - y, y))
        rib = np.maximum(rib, np.maximum(z - 9.8, 0.3 - z)) * 0.85
        border = np.maximum(
            self.STEP - np.abs(d) - 0.8, np.maximum(np.float32(-side) - 2.6 - y, np.maximum(y, z - 9.8))
        )
        rib = np.where(out < 0, border, rib)  # beside a missing one
        if self.doubled is not None:
            at, stands = self.doubled
            rib = np.minimum(rib, box(x - np.float32(at), y + side, z - 5.0, (0.7, stands, 4.8), 0.1))
        return rib

    def _bent(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        if rng.random() < 0.6:  # one tail or neighbours, as a knock bends them
            number = int(rng.integers(1, 4))
            first = int(rng.integers(self.COLUMNS - number + 1))
            sideways, down = rng.uniform(0.15, 0.7) * rng.choice([-1, 1]), rng.uniform(-0.25, 0.7)
            self.bent_tails = []
            for which in range(first, first + number):
                turn = _turned(0, down + rng.normal(0, 0.05)) @ _turned(2, sideways + rng.normal(0, 0.05))
                self.bent_tails.append((which, turn.astype(np.float32), float(self.tail[which])))
            self.tail = self.tail.copy()
            self.tail[first : first + number] = 0
            return
        self.lean = self.lean.copy()
        angle = rng.uniform(0, 2 * np.pi)
        lean = rng.uniform(0.15, 0.30) * np.array([np.cos(angle), np.sin(angle)])
        self.lean[rng.integers(2), rng.integers(self.COLUMNS)] = lean

    def _cut(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        choice = rng.random()
        if choice < 0.25:
            number = int(rng.integers(1, 4))
            first = int(rng.integers(self.COLUMNS - number + 1))
            self.tail = self.tail.copy()
            self.tail[first : first + number] -= rng.uniform(1.5, 6.0)
        elif choice < 0.4:
            self.short = self.short.copy()
            self.short[rng.integers(2), rng.integers(self.COLUMNS)] = rng.uniform(1.5, 4.0)
        else:
            x, y = np.abs(point[0]), np.abs(point[1])
            rim = (np.abs(x - self.size[0]) < 1.2) | (np.abs(y - self.size[1]) < 1.2) | (x > 24.5)
            self._torn(rng, point, normal, rim & (y < 10), rng.uniform(1.2, 1.8))

    def _rib(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        free = [k for k in range(self.RIBS) if abs(k - self.RIBS // 2) > 1]
        which = int(rng.choice(free))
        choice = rng.integers(3)
        if choice == 0:
            self.ribs = self.ribs.copy()
            self.ribs[which] = -1.0
            if rng.random() < 0.5 and which + 1 in free:
                self.ribs[which + 1] = -1.0
        elif choice == 1:
            self.doubled = ((which - self.RIBS // 2 + 0.5) * self.STEP, rng.uniform(1.6, 2.5))
        else:
            at = (which - self.RIBS // 2) * self.STEP
            self.crushed = (at, rng.uniform(7.0, 9.8), 2 * rng.uniform(*CRUSH_DEPTH), roughness(rng, 1.5))

    def drillable(self, point: Array) -> Array:
        plain = (point[2] > self.TOP - 0.3) | ((np.abs(point[0]) > 20.5) & (point[2] > 3.5))
        return plain & (np.abs(point[1]) < 8)


class Heatsink(Part):
    """A heat sink of brushed aluminium: rows of fins cut across twice, free lands, holes and a pocket."""

    materials = (Material((0.42, 0.425, 0.435), 0.22, 0.22, True), STEEL, CRUMB)
    box = np.array([[-23.5, -17.5, -0.2], [23.5, 17.5, 12.0]])
    kinds = ("bent", "cut", "foreign", "hole", "rib")
    FINS, PITCH, THICK, BASE = 7, 4.0, 1.7, 4.0
    ENDS = ((-21.0, -8.5), (-6.5, 6.5), (8.5, 21.0))  # of the three segments of each fin

    def make(self, rng: np.random.Generator) -> None:
        self.turn = _turned(0, rng.normal(0, 0.004)) @ _turned(1, rng.normal(0, 0.004))
        self.lift = 0.0
        self.size = np.array([22.5, 16.5]) * rng.normal(1, 0.004, 2)
        # the middle segments of the middle fins are milled off: a seat for a clip
        self.height = np.full((3, self.FINS), 5.0, np.float32)
        self.height[1, 2:5] = 1.5
        self.height += rng.normal(0, 0.05, self.height.shape).astype(np.float32)
        self.lean = rng.normal(0, 0.006, self.height.shape).astype(np.float32)
        self.shift = rng.normal(0, 0.03, self.height.shape).astype(np.float32)
        self.bores = [(sx * 18.5, sy * 14.6, 1.1 * rng.normal(1, 0.01)) for sx in (-1, 1) for sy in (-1, 1)]
        self.moved: tuple[int, int, float, float] | None = None
        self.doubled: tuple[int, float] | None = None
        self.crushed: tuple[Array, float, float, Distance] | None = None
        self.stamp = letters("AL-26", 1.8)
        self.stamp_x = rng.uniform(-6, 6)

    def bodies(self, p: Array) -> list[tuple[int, Array]]:
        x, y, z = p
        half_x, half_y = self.size
        base = box(x, y, z - np.float32(self.BASE / 2), (half_x, half_y, self.BASE / 2), 0.25)
        for at_x, at_y, radius in self.bores:
            bore = np.hypot(x - np.float32(at_x), y - np.float32(at_y)) - np.float32(radius)
            sink = bore - np.clip(z - np.float32(self.BASE - 0.5), 0, 1)
            base = np.maximum(base, -np.minimum(bore, np.maximum(sink, self.BASE - 0.5 - z) * 0.7))
        close = np.flatnonzero((np.abs(base) < 0.5) & (y > 13) & (z > 3))
        base[close] += 0.2 * relief(self.stamp, x[close] - np.float32(self.stamp_x), -(y[close] - np.float32(14.8)))
        third = (x > -7.5).astype(np.int32) + (x > 7.5)
        number = np.clip(np.rint(y / self.PITCH), -(self.FINS // 2), self.FINS // 2)
        index = number.astype(np.int32) + self.FINS // 2
        v = y - number * np.float32(self.PITCH) - self.shift[third, index]
        height = self.height[third, index]
        ends = np.array(self.ENDS, np.float32)[third]
        u = x - ends.mean(1)
        half = (ends[:, 1] - ends[:, 0]) / 2
        rise = z - np.float32(self.BASE)
        tall = height
        if self.crushed is not None:
            at, wide, depth, rough = self.crushed
            soft = np.clip(1.5 - np.hypot(x - at[0], (y - at[1]) * 0.6) / np.float32(wide), 0, 1)
            near = np.flatnonzero(soft > 0)
            tall = tall.copy()
            tall[near] -= soft[near] * np.clip(depth + 0.25 * rough(p[:, near]), 0.05, 3).astype(np.float32)
        fins = self._fin(u, v, rise, half, tall, self.lean[third, index])
        # beside a fin that is low or gone a higher one may stand: steps end before it
        beside = np.where(np.abs(y) > self.FINS // 2 * self.PITCH, -np.abs(v), np.abs(v))
        behind = np.where((np.abs(x) > 14.75), -np.abs(u), np.abs(u))
        border = np.minimum(self.PITCH - beside - np.float32(self.THICK / 2 + 0.2), half + np.float32(1.9) - behind)
        border = np.maximum(border, rise - 5.4)
        fins = np.where(height < 0, border, np.where(height < 4, np.minimum(fins, border), fins))
        bodies = [(0, base), (0, fins)]
        if self.moved is not None:
            which, fin, lean, tall_one = self.moved
            bodies.append((0, self._single(x, y, rise, which, fin * self.PITCH, lean, tall_one)))
        if self.doubled is not None:
            which, at = self.doubled
            bodies.append((0, self._single(x, y, rise, which, at, 0.0, 4.8)))
        return bodies

    def _fin(self, u: Array, v: Array, rise: Array, half: Any, height: Any, lean: Any) -> Array:
        """A fin that gets thinner upwards."""
        v = v - lean * np.maximum(rise, 0)
        side = np.abs(v) - np.float32(self.THICK / 2) + 0.02 * np.maximum(rise, 0)
        return np.maximum(np.maximum(side, np.abs(u) - half), np.maximum(rise - height, -rise - 1)) * np.float32(0.92)

    def _single(self, x: Array, y: Array, rise: Array, which: int, at: float, lean: float, tall: float) -> Array:
        begin, end = self.ENDS[which]
        half = np.float32((end - begin) / 2)
        fin = self._fin(x - np.float32((begin + end) / 2), y - np.float32(at), rise, half, np.float32(tall), lean)
        return fin * np.float32(1 / (1 + abs(lean)))

    def _tall(self, rng: np.random.Generator) -> tuple[int, int]:
        """A segment that stands at its full height."""
        choice = np.argwhere(self.height > 4)
        which, fin = choice[rng.integers(len(choice))]
        return int(which), int(fin)

    def _bent(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        which, fin = self._tall(rng)
        height = float(self.height[which, fin])
        self.height = self.height.copy()
        self.height[which, fin] = -1
        self.moved = (which, fin - self.FINS // 2, rng.uniform(0.10, 0.40) * rng.choice([-1, 1]), height)

    def _cut(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        if rng.random() < 0.3:
            which, fin = self._tall(rng)
            self.height = self.height.copy()
            self.height[which, fin] -= rng.uniform(1.2, 5.5)
            return
        x, y, z = point
        rim = (np.abs(np.abs(x) - self.size[0]) < 1.2) | (np.abs(np.abs(y) - self.size[1]) < 1.2)
        self._torn(rng, point, normal, rim | ((z > 8.3) & (rng.random() < 0.5)), rng.uniform(1.0, 1.3))

    def _rib(self, rng: np.random.Generator, point: Array, normal: Array) -> None:
        choice = rng.integers(3)
        which, fin = self._tall(rng)
        if choice == 0:
            self.height = self.height.copy()
            self.height[which, fin] = -1
        elif choice == 1:
            gap = fin if fin < self.FINS - 1 else fin - 1
            self.doubled = (which, (gap - self.FINS // 2 + 0.5) * self.PITCH)
        else:
            begin, end = self.ENDS[which]
            at = np.array([rng.uniform(begin + 1, end - 1), (fin - self.FINS // 2) * self.PITCH], np.float32)
            self.crushed = (at, rng.uniform(*CRUSH[1]), rng.uniform(*CRUSH_DEPTH), roughness(rng, 1.5))

    def drillable(self, point: Array) -> Array:
        x, y, z = point
        land = (np.abs(z - self.BASE) < 0.3) & (np.abs(y) > 13.4)
        seat = (np.abs(x) < 6) & (np.abs(y) < 5) & (z < 6)
        return land | seat | (z > 8.6)


SCENES: dict[str, Callable[[np.random.Generator], Part]] = {
    "gland": Gland,
    "connector": Connector,
    "heatsink": Heatsink,
}
