"""A cable gland: shape, tolerances and defects. Millimetres."""

from __future__ import annotations

import numpy as np
from part import CRUMB, CRUSH, NONE, STEEL, Array, Material, Part, point_and_normal, turned
from shapes import Distance, disc, letters, relief, roughness


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
        self.turn = turned(1, lean + rng.normal(0, 0.004)) @ turned(0, roll[at] + rng.normal(0, 0.01))
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
        at, _ = point_and_normal(rng, point, normal, (s > self.THREAD[0] + 1) & (s < self.THREAD[1] - 1))
        long, wide = rng.uniform(*CRUSH[0]), rng.uniform(*CRUSH[1])
        level = rng.choice([0.0, 0.5, 1.0])  # torn off, crushed, filled
        rough = roughness(rng, 1.5)
        where = float(np.arctan2(at[2], at[1]))
        self.patch = (float(at[0]), where, long, wide, rng.uniform(0.1, 0.4), float(level), rough)

    def drillable(self, point: Array) -> Array:
        return (point[0] > 9) & (np.hypot(point[1], point[2]) > 14)
