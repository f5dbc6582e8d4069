"""The frozen teacher's features of the training parts, computed when first needed and kept for the later epochs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trd.config import Recipe, VectorAxes
from trd.engines.pytorch.precision import resolve_precision
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import section
from trd.evidence.reverse_distillation.training.views import View, all_views, images_in_view
from trd.teachers.frozen import FrozenTeacher
from trd.teachers.pyramid import Pyramid
from trd.types import PreparedSample

LARGEST = torch.finfo(torch.float16).max

Features = dict[str, Pyramid]
"""modality -> pyramid of one part, levels (C_l, H_l, W_l)."""


class TeacherFeatures:
    """Standardised teacher pyramids by part and view (`all_views` of the augmentation), on the teacher's device.

    count: training parts. views: how many of each may come. limit: bytes to keep on `device`; where all do not fit, the
    same share of the parts is kept in every run. half: round to float16 (relative 5e-4, an eighth of what bf16
    students round their inputs by), kept or not, so that the limit decides on time and memory alone.
    """

    def __init__(
        self,
        teacher: FrozenTeacher,
        network: TunedReverseDistillation,
        vector_maps: Mapping[str, VectorAxes],
        *,
        count: int,
        views: int,
        limit: float,
        half: bool,
    ) -> None:
        self._teacher, self._network = teacher, network
        self._vector_maps = vector_maps
        self._places = count * views
        self._limit = limit
        self._half = half
        self._device = teacher.device
        # On CPUs students train faster on contiguous maps (BatchNorm: 111 against 138 ms per sample, 2 cores, lite
        # size), although the teacher works in channels-last ones, as tensor cores do.
        self._order = torch.contiguous_format if self._device.type == "cpu" else torch.channels_last
        self._cached: dict[tuple[str, View], Features] = {}
        self._share = None if limit else 0.0  # of the parts that are kept; known once one has been computed

    @torch.no_grad()
    def __call__(self, parts: Sequence[PreparedSample], views: Sequence[View]) -> Features:
        """modality -> (B, C_l, H_l, W_l) float32 pyramid, standardised where the recipe says so."""
        places = list(zip([part.id for part in parts], views, strict=True))
        if self._share is None:  # before any place is decided on: a resumed training meets the parts in another order
            (features,) = self._computed(parts[:1], views[:1])
            self._share = self._limit / (_size(features) * self._places)
            if self._keeps(parts[0].id):
                self._cached[places[0]] = features
        missing = {place: part for place, part in zip(places, parts, strict=True) if place not in self._cached}
        passing: dict[tuple[str, View], Features] = {}
        # Those to keep one at a time: what a part gets must not depend on which came along, or a resumed training,
        # which computes them in another order, would not repeat to the bit.
        for place in [place for place in missing if self._keeps(place[0])]:
            (self._cached[place],) = self._computed([missing.pop(place)], [place[1]])
        if missing:
            computed = self._computed(list(missing.values()), [view for _, view in missing])
            passing |= zip(missing, computed, strict=True)
        part_features = [self._cached[place] if place in self._cached else passing[place] for place in places]
        with torch.autocast(self._device.type, enabled=False):  # on CPUs it cannot stack float16
            return {
                name: tuple(
                    torch.stack(level).float().contiguous(memory_format=self._order)
                    for level in zip(*(features[name] for features in part_features), strict=True)
                )
                for name in part_features[0]
            }

    def forget(self) -> None:
        self._cached.clear()

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(_size(features) for features in self._cached.values())

    def _keeps(self, part: str) -> bool:
        return self._share is not None and zlib.crc32(part.encode()) < self._share * 2**32

    def _computed(self, parts: Sequence[PreparedSample], views: Sequence[View]) -> list[Features]:
        images: dict[str, list[Tensor]] = {}
        for part, view in zip(parts, views, strict=True):
            upright = {name: torch.from_numpy(image).to(self._device) for name, image in part.images.items()}
            for name, image in images_in_view(upright, self._vector_maps, view).items():
                images.setdefault(name, []).append(image)
        pyramids = self._teacher.pyramids({name: torch.stack(stack) for name, stack in images.items()})
        pyramids = self._network.scaled(pyramids)
        if self._half:
            pyramids = {n: tuple(level.clamp(-LARGEST, LARGEST).half() for level in p) for n, p in pyramids.items()}
        return [{n: tuple(level[index] for level in p) for n, p in pyramids.items()} for index in range(len(parts))]


def teacher_features(
    teacher: FrozenTeacher, network: TunedReverseDistillation, recipe: Recipe, count: int, square: bool = True
) -> TeacherFeatures:
    """What the recipe asks for, for `count` training parts; square: whether their images are."""
    config, device = section(recipe).training, teacher.device
    limit = config.feature_memory * 2**30
    if device.type == "cuda":
        # Half of all memory, for the training needs the rest; not of what is free now, which a resume may find changed.
        limit = min(limit, torch.cuda.mem_get_info(device)[1] / 2)
    return TeacherFeatures(
        teacher,
        network,
        recipe.vector_maps,
        count=count,
        views=len(all_views(config.augment, square)),
        limit=limit,
        half=resolve_precision(recipe.precision, device) != "fp32",
    )


def _size(features: Features) -> int:
    return sum(level.numel() * level.element_size() for pyramid in features.values() for level in pyramid)
