"""A connector: shape, tolerances and defects. Millimetres."""

from __future__ import annotations

import numpy as np
from part import CRUMB, CRUSH_DEPTH, STEEL, Array, Material, Part, turned
from shapes import Distance, box, letters, relief, roughness


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
        self.turn = turned(0, rng.normal(0, 0.004)) @ turned(1, rng.normal(0, 0.004))
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
                turn = turned(0, down + rng.normal(0, 0.05)) @ turned(2, sideways + rng.normal(0, 0.05))
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
