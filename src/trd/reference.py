"""What outside checks call: the functions that are held to numbers of the reference implementation, in one place."""

from __future__ import annotations

from trd.decision.maps import smooth
from trd.evaluation.curves import evaluate_maps
from trd.evidence.reverse_distillation.maps.cosine import anomaly_map
from trd.evidence.reverse_distillation.network.reference_weights import load_reference_student
from trd.evidence.reverse_distillation.training.loss import pyramid_distance
from trd.preprocess.depth import depth_image
from trd.preprocess.normals import sobel_normals_image

__all__ = [
    "anomaly_map",
    "depth_image",
    "evaluate_maps",
    "load_reference_student",
    "pyramid_distance",
    "smooth",
    "sobel_normals_image",
]
