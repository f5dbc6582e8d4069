"""How the branches' standardised maps become one. The same code computes arrays of numpy and tensors of torch."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

Fusion = Literal["sum", "norm"]
Array = TypeVar("Array")


class Rule(Protocol):
    """One way to fuse. xp: numpy or torch, whose common functions are used."""

    def fused(self, maps: Sequence[Array], xp: Any = np) -> Array:
        """Of maps of one shape, one of each branch."""

    def weights(self, values: Sequence[float]) -> list[float]:
        """What each branch's value at a pixel adds to the fused value there, at least 0."""


class Sum:
    """Adds, as published."""

    def fused(self, maps: Sequence[Array], xp: Any = np) -> Array:
        total: Array = reduce(operator.add, maps)
        return total

    def weights(self, values: Sequence[float]) -> list[float]:
        return [max(value, 0.0) for value in values]


class Norm:
    """The root of the sum of the squares of what is above 0; the greatest where nothing is, to keep an order there."""

    def fused(self, maps: Sequence[Array], xp: Any = np) -> Array:
        greatest: Any = reduce(xp.maximum, maps)
        squares = reduce(operator.add, [xp.square(xp.clip(values, 0, None)) for values in maps])
        fused: Array = xp.where(greatest > 0, xp.sqrt(squares), greatest)
        return fused

    def weights(self, values: Sequence[float]) -> list[float]:
        return [max(value, 0.0) ** 2 for value in values]


RULES: Mapping[Fusion, Rule] = {"sum": Sum(), "norm": Norm()}
