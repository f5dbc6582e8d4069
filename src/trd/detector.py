"""Raw sensor arrays -> Prediction: the one object that evaluation, command line, export and server all use."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from trd.config import Recipe, recipe_from_toml
from trd.errors import CheckpointError, DataError, TRDError
from trd.files import write_json, write_text, write_whole
from trd.model.initialisation import WithoutInitialisation
from trd.model.network import FrozenNetwork, TunedReverseDistillation, build_network
from trd.model.precision import prediction_dtype, resolve_device
from trd.model.teachers import Teacher
from trd.preprocess.dataset import batches, stacked_images, stacked_regions
from trd.preprocess.frame import Frame
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.scoring.calibration import Calibration
from trd.scoring.fusion import fuse, modality_maps
from trd.scoring.scorer import MapScorer, build_scorer
from trd.types import Camera, NetworkOutput, Prediction, PreparedSample, Sample

FORMAT_VERSION = 1
WEIGHTS, RECIPE, FACTS = "weights.safetensors", "recipe.toml", "detector.json"


Arrays = Mapping[str, NDArray[np.generic]]
"""Source name -> array, as in `Sample.arrays`."""


@dataclass(frozen=True)
class ScoredSample:
    """A prepared sample with its z-scored, smoothed maps at the network's size, (h, w) per modality and fused."""

    sample: PreparedSample
    modality_maps: Mapping[str, NDArray[np.float32]]
    fused: NDArray[np.float32]
    score: float


class Detector:
    """A trained network with everything around it; made by `trd.fit`, read back by `Detector.load`.

    Not safe to share between threads while `predict` runs; loading once and predicting in one thread is.
    """

    def __init__(
        self,
        recipe: Recipe,
        pipeline: Pipeline,
        network: TunedReverseDistillation,
        scorer: MapScorer,
        calibration: Calibration | None = None,
        class_name: str = "",
        device: torch.device | str = "cpu",
        camera: Camera | None = None,
        compiled: bool = False,
        precision: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.camera = camera  # of the training data's depth images; what new ones are read with
        self.pipeline = pipeline
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.scorer = scorer.to(self.device).eval()
        self._calibration = calibration
        self.class_name = class_name
        self._dtype = prediction_dtype(precision or recipe.training.precision, self.device)
        self._compiled = compiled
        self._frozen: FrozenNetwork | None = None

    @property
    def calibration(self) -> Calibration:
        if self._calibration is None:
            raise CheckpointError("this detector has not been calibrated yet")
        return self._calibration

    def calibrated(self, calibration: Calibration) -> Detector:
        """The same detector with a calibration; network and scorer are shared."""
        result = copy.copy(self)
        result._calibration = calibration
        return result

    @torch.inference_mode()
    def forward(self, samples: Sequence[PreparedSample]) -> NetworkOutput:
        """Pyramids of a batch of prepared samples, on the detector's device (`FrozenNetwork`)."""
        images = {name: stack.to(self.device) for name, stack in stacked_images(samples).items()}
        if self._frozen is None:  # made once, when first needed
            self._frozen = FrozenNetwork(self.network, self.device, self._dtype, self._compiled)
        return cast(NetworkOutput, self._frozen(images))

    @torch.inference_mode()
    def raw_maps(self, samples: Sequence[PreparedSample]) -> dict[str, Tensor]:
        """branch -> (B, h, w) float32 raw anomaly maps at the network's size, on the detector's device."""
        return cast(dict[str, Tensor], self.scorer(self.forward(samples), self.pipeline.frame.size))

    @torch.inference_mode()
    def score(self, samples: Iterable[PreparedSample], batch_size: int = 8) -> Iterator[ScoredSample]:
        """z-scored, smoothed maps of prepared samples, computed in batches, in order.

        Raises TRDError for a map that is not finite.
        """
        calibration = self.calibration
        for batch in batches(samples, batch_size):
            regions = stacked_regions(batch, self.device)
            maps = modality_maps(self.raw_maps(batch), calibration.maps, calibration.sigma, regions)
            together = fuse(maps)
            scores = together.amax(dim=(1, 2)).tolist()
            fused, parts = together.cpu().numpy(), {name: values.cpu().numpy() for name, values in maps.items()}
            for index, sample in enumerate(batch):
                if not math.isfinite(scores[index]):
                    raise TRDError(
                        f"sample {sample.id}: the anomaly map is not finite; float16 ends at 65504, so predict with "
                        "precision 32 or bf16, and if it stays so, train again"
                    )
                single = {name: values[index] for name, values in parts.items()}
                yield ScoredSample(sample, single, fused[index], scores[index])

    def predict(
        self, samples: Sample | Arrays | Sequence[Sample | Arrays], batch_size: int = 8
    ) -> Prediction | list[Prediction]:
        """A prediction for one sample (or its arrays by source name), or a list for a sequence of samples.

        Arrays: "rgb" (H, W, 3) uint8 / uint16 / float32 in [0, 1]; "xyz" (H, W, 3) float32, metres, missing points
        zero. Raises DataError when a source is missing, not finite, without valid depth, or of another size.
        """
        if isinstance(samples, Mapping | Sample):
            return next(self.predict_all([_as_sample(samples, 0)]))
        return list(self.predict_all((_as_sample(s, i) for i, s in enumerate(samples)), batch_size))

    def predict_all(self, samples: Iterable[Sample], batch_size: int = 8) -> Iterator[Prediction]:
        """Predictions one after another: a long list needs memory for one batch, on GPUs for two groups."""
        ahead = self.device.type != "cpu"
        prepared = in_threads(lambda sample: self.pipeline(checked(sample, self.recipe)), samples, batch_size, ahead)
        for scored in self.score(prepared, batch_size):
            yield self._prediction(scored)

    def _prediction(self, scored: ScoredSample) -> Prediction:
        calibration, frame, shape = self.calibration, self.pipeline.frame, scored.sample.shape
        floors = {name: statistics.floor for name, statistics in calibration.maps.items()}
        row, column = np.unravel_index(int(scored.fused.argmax()), scored.fused.shape)
        at_peak = {name: max(float(m[row, column]), 0.0) for name, m in scored.modality_maps.items()}
        total = sum(at_peak.values())
        rows, columns = frame.window_in(shape)
        height, width = frame.size
        return Prediction(
            id=scored.sample.id,
            score=scored.score,
            threshold=calibration.image_threshold.value,
            is_anomalous=scored.score > calibration.image_threshold.value,
            p_value=calibration.p_value(scored.score),
            map=frame.to_source(scored.fused, shape, sum(floors.values())),
            modality_maps={n: frame.to_source(m, shape, floors[n]) for n, m in scored.modality_maps.items()},
            share={name: value / total if total else 1 / len(at_peak) for name, value in at_peak.items()},
            peak=(
                rows.start + int((row + 0.5) * (rows.stop - rows.start) / height),
                columns.start + int((column + 0.5) * (columns.stop - columns.start) / width),
            ),
            pixel_threshold=calibration.pixel_threshold.value,
        )

    def save(self, folder: Path) -> None:
        """Weights (teacher included, so the folder needs nothing else), recipe and calibration; no pickle."""
        text = self.recipe.to_toml()
        fingerprint = _fingerprint(text)
        tensors = {f"network.{k}": v.contiguous().cpu() for k, v in self.network.state_dict().items()}
        tensors |= {f"scorer.{k}": v.contiguous().cpu() for k, v in self.scorer.state_dict().items()}
        metadata = {"format": "trd-detector", "version": str(FORMAT_VERSION), "recipe": fingerprint}
        write_whole(folder / WEIGHTS, lambda path: save_file(tensors, path, metadata))
        write_text(folder / RECIPE, text)
        facts = {
            "format_version": FORMAT_VERSION,
            "recipe_fingerprint": fingerprint,
            "class_name": self.class_name,
            "camera": None if self.camera is None else asdict(self.camera),
            "frame": self.pipeline.frame.to_json(),
            "calibration": self.calibration.to_json(),
        }
        write_json(folder / FACTS, facts)  # last: its presence means that the detector is complete

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: torch.device | str = "auto",
        compiled: bool = False,
        precision: str | None = None,
    ) -> Detector:
        """Read a detector from its folder, or from a run folder that holds one class.

        device: "cuda" where there is one by default. compiled: see `FrozenNetwork`. precision: of the students, see
        `prediction_dtype`; by default that of the training. Raises CheckpointError naming the file and the remedy when
        it is missing, truncated, from another recipe, or from a newer version.
        """
        folder = detector_folder(Path(path))
        facts = _read_facts(folder / FACTS)
        try:
            text = (folder / RECIPE).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"cannot read {folder / RECIPE}: {error}") from error
        recipe = recipe_from_toml(text, str(folder / RECIPE))
        tensors = _read_weights(folder / WEIGHTS, _fingerprint(text), facts)
        with WithoutInitialisation():  # every tensor is in the file, or `_fill` complains
            network = build_network(recipe, load_teacher=False)
        scorer = build_scorer(recipe, cast(Teacher, network.teacher).channels)
        _fill(network, tensors, "network.", folder / WEIGHTS)
        _fill(scorer, tensors, "scorer.", folder / WEIGHTS)
        try:
            pipeline = Pipeline(recipe, Frame.from_json(facts["frame"]))
            calibration = Calibration.from_json(facts["calibration"])
            camera = Camera(**facts["camera"]) if facts.get("camera") else None
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / FACTS} is damaged: {error}; train again or restore the file") from error
        return cls(
            recipe,
            pipeline,
            network,
            scorer,
            calibration,
            facts.get("class_name", ""),
            resolve_device(str(device)),
            camera,
            compiled,
            precision,
        )


def detector_folder(path: Path) -> Path:
    """The folder with the detector's files: `path`, or its only class folder. Raises CheckpointError."""
    if (path / FACTS).is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; give the folder that `trd train --out` wrote")
    trained = sorted(p.parent.name for p in path.glob(f"*/{FACTS}"))
    if len(trained) == 1:
        return path / trained[0]
    if trained:
        raise CheckpointError(f"{path} holds detectors of several classes: name one of {path}/{{{','.join(trained)}}}")
    raise CheckpointError(f"{path} holds no finished detector ({FACTS} is missing); did training finish?")


def checked(sample: Sample, recipe: Recipe) -> Sample:
    """The sample itself when its arrays can be used. Raises DataError otherwise; files are checked on reading too."""
    shape: tuple[int, ...] | None = None
    for source in recipe.sources:
        array = sample.arrays.get(source)
        if array is None:
            raise DataError(f"sample {sample.id} has no '{source}'; the recipe '{recipe.name}' needs it")
        cloud = source in recipe.point_cloud_sources
        if array.ndim != 3 if cloud else array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
            raise DataError(f"sample {sample.id}: '{source}' must be (H, W, 3), got {array.shape}")
        if shape is not None and array.shape[:2] != shape:
            raise DataError(
                f"sample {sample.id}: '{source}' is {array.shape[:2]}, its partners {shape} (height, width)"
            )
        shape = array.shape[:2]
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(cast(NDArray[np.float32], array)).all():
            raise DataError(
                f"sample {sample.id}: '{source}' holds NaN or infinite values; write missing points as zeros"
            )
        if not cloud and not _is_image(array):
            raise DataError(
                f"sample {sample.id}: '{source}' must be uint8, uint16, or float in [0, 1], got {array.dtype}"
            )
        if cloud and not (array[..., 2] != 0).any():
            raise DataError(f"sample {sample.id}: '{source}' has no valid depth, every point is missing (z = 0)")
    return sample


def _is_image(array: NDArray[np.generic]) -> bool:
    if np.issubdtype(array.dtype, np.floating):
        values = cast(NDArray[np.float32], array)
        return bool(values.min() >= 0 and values.max() <= 1)
    return array.dtype in (np.uint8, np.uint16)


def _as_sample(sample: Sample | Arrays, index: int) -> Sample:
    return sample if isinstance(sample, Sample) else Sample(f"sample-{index}", sample)


def _fingerprint(recipe_text: str) -> str:
    return hashlib.sha256(recipe_text.encode()).hexdigest()[:16]


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
        version = int(facts["format_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a detector: {error!r}; train again or restore the file"
        ) from error
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by a newer version (format {version}, this one reads up to {FORMAT_VERSION}): "
            "upgrade trd-anomaly"
        )
    return facts


def _read_weights(path: Path, fingerprint: str, facts: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing or truncated: {error}; restore the file or train again") from error
    if not (metadata.get("recipe") == facts.get("recipe_fingerprint") == fingerprint):
        raise CheckpointError(
            f"{path}, {RECIPE} and {FACTS} beside it do not belong together (recipe fingerprints "
            f"{metadata.get('recipe')}, {fingerprint}, {facts.get('recipe_fingerprint')}): restore the files of one run"
        )
    return tensors


def _fill(module: torch.nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its recipe: {error}") from error
