"""A heat sink: shape, tolerances and defects. Millimetres."""

from __future__ import annotations

from typing import Any

import numpy as np
from part import CRUMB, CRUSH, CRUSH_DEPTH, STEEL, Array, Material, Part, turned
from shapes import Distance, box, letters, relief, roughness


class Heatsink(Part):
    """A heat sink of brushed aluminium: rows of fins cut across twice, free lands, holes and a pocket."""

    materials = (Material((0.42, 0.425, 0.435), 0.22, 0.22, True), STEEL, CRUMB)
    box = np.array([[-23.5, -17.5, -0.2], [23.5, 17.5, 12.0]])
    kinds = ("bent", "cut", "foreign", "hole", "rib")
    FINS, PITCH, THICK, BASE = 7, 4.0, 1.7, 4.0
    ENDS = ((-21.0, -8.5), (-6.5, 6.5), (8.5, 21.0))  # of the three segments of each fin

    def make(self, rng: np.random.Generator) -> None:
        self.turn = turned(0, rng.normal(0, 0.004)) @ turned(1, rng.normal(0, 0.004))
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
