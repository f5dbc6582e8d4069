"""Any network of timm (the extra `timm`) as a teacher: `timm:NAME`.

Networks with a pyramid of their own (CNNs and the like) give their maps at strides 4, 8 and 16. Vision transformers
have one grid of tokens: three of their blocks, normalised as the last one is, stand for the three levels.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.errors import CheckpointError, MissingExtraError, RecipeError
from trd.extras import explained
from trd.teachers.pyramid import Pyramid

PREFIX = "timm:"
STRIDES = (4, 8, 16)
PROBE = (64, 96)  # height and width of the image that shows what a network gives; not square, that no side is swapped
FINE_PATCH = 8  # pixels; larger patches make the grid at stride 16, four times fewer tokens than at stride 8

SHOWN = 1000  # characters of what PyTorch says about tensors that do not fit

_log = logging.getLogger(__name__)


class TimmTeacher(nn.Module):
    """(B, 3, H, W) normalised image, H and W multiples of 32 -> pyramid at strides 4, 8, 16; values of both signs.

    A transformer gets the image at the size at which its tokens are the grid of stride 16 (stride 8 where patches have
    8 pixels or less): with patches of 14 pixels 320 x 320 becomes 280 x 280. Its levels are that grid, resized.
    """

    # Outputs of some networks end in a ReLU, of others not; a student without one can rebuild both.
    linear_outputs = True
    # Order of registration is not always that of execution there, and classes that look like BatchNorm hold an
    # activation: frozen copies keep all layers (`compute.frozen`).
    keeps_layers = True

    def __init__(self, name: str, network: nn.Module, layers: Sequence[int] | None) -> None:
        """network: timm's, with its weights. layers: transformer blocks from 1 on, fine to coarse; None: 1/2, 3/4 and
        all of the depth. Raises RecipeError where the network gives no such pyramid.
        """
        super().__init__()
        facts = cast(Any, network)
        self.input_mean, self.input_std = tuple(facts.pretrained_cfg["mean"]), tuple(facts.pretrained_cfg["std"])
        reductions = [int(stage["reduction"]) for stage in facts.feature_info]
        self._tokens = len(set(reductions)) == 1
        self._patch = reductions[-1]
        self._grid = STRIDES[1] if self._patch <= FINE_PATCH else STRIDES[2]
        chosen = _blocks(name, len(reductions), layers) if self._tokens else _stages(name, reductions, layers)
        # what no level needs goes: it would be stored with every detector
        self._chosen = facts.prune_intermediate_layers(chosen, prune_norm=not self._tokens, prune_head=True)
        self.network = network.eval()
        self.channels = self._probed(name)

    def forward(self, image: Tensor) -> Pyramid:
        height, width = image.shape[-2:]
        if self._tokens and self._patch != self._grid:
            size = (height // self._grid * self._patch, width // self._grid * self._patch)
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        levels = cast(Any, self.network).forward_intermediates(
            image, indices=self._chosen, norm=self._tokens, output_fmt="NCHW", intermediates_only=True
        )
        if not self._tokens:
            return tuple(levels)
        sizes = [(height // stride, width // stride) for stride in STRIDES]
        return tuple(
            level if level.shape[-2:] == size else F.interpolate(level, size, mode="bilinear")
            for level, size in zip(levels, sizes, strict=True)
        )

    @torch.no_grad()
    def _probed(self, name: str) -> tuple[int, ...]:
        """Widths of the levels, of which a small image shows that they are what is expected."""
        height, width = PROBE
        try:
            levels = self(torch.zeros(1, 3, height, width))
        except Exception as error:  # timm's networks assert and index as they like
            raise RecipeError(
                f"{PREFIX}{name} does not take images of every size ({height} x {width} was tried: {error}): "
                "choose another network, docs/teachers.md names some"
            ) from error
        grids = [tuple(level.shape[-2:]) for level in levels]
        expected = [(height // stride, width // stride) for stride in STRIDES]
        if grids != expected:
            raise RecipeError(
                f"{PREFIX}{name} makes maps of {grids} of an image of {height} x {width}, expected {expected}: "
                "choose another network, docs/teachers.md names some"
            )
        return tuple(level.shape[1] for level in levels)


def build_timm(name: str, weights: str | None, layers: Sequence[int] | None) -> TimmTeacher:
    """name: timm's, with the weights' tag (`resnet18.a1_in1k`). weights: as for `build_teacher`; a file is readable.

    Raises MissingExtraError where timm is not installed; RecipeError where it knows no such network, or the network
    cannot be a teacher; CheckpointError where its weights cannot be had.
    """
    timm = _timm(name)
    config = _config(timm, name)
    kind = {"dynamic_img_size": True} if config.fixed_input_size else {}
    try:
        if weights in (None, "random"):
            network = timm.create_model(name, **kind)
        else:
            network = _with_weights(timm, name, config, weights, kind)
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
        raise RecipeError(
            f"{PREFIX}{name} takes images of {config.input_size[1]} x {config.input_size[2]} only: choose another "
            "network, docs/teachers.md names some"
        ) from error
    if not (hasattr(network, "forward_intermediates") and hasattr(network, "prune_intermediate_layers")):
        raise RecipeError(f"{PREFIX}{name} does not give what its inner layers make: choose another network")
    return TimmTeacher(name, network, layers)


def _timm(name: str) -> Any:
    try:
        with explained(f"the teacher {PREFIX}{name}"):
            import timm
    except MissingExtraError:
        raise
    except Exception as error:  # torchvision, which timm imports, fails in several ways beside another torch
        raise RecipeError(
            f"the teacher {PREFIX}{name} needs timm, which cannot be imported: {error}. Mostly torchvision is not the "
            f"build for this torch ({torch.__version__}): install it from where torch came from (docs/teachers.md)"
        ) from error
    return timm


def _config(timm: Any, name: str) -> Any:
    """timm's record of a network and its weights."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        architectures = timm.list_models()
        suggestions = difflib.get_close_matches(architecture, architectures, 4)
        raise RecipeError(
            f"timm {timm.__version__} has no network '{architecture}' (teacher.name = '{PREFIX}{name}')"
            + (f"; near it: {', '.join(suggestions)}" if suggestions else "")
        )
    config = None
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        _log.debug("%s", error)  # an unknown tag
    if config is None or (tag and config.tag != tag):
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
        raise RecipeError(
            f"timm {timm.__version__} has no weights '{tag}' of {architecture} (teacher.name = "
            f"'{PREFIX}{name}'); it has: {', '.join(tags) or 'none'}"
        )
    return config


def _with_weights(timm: Any, name: str, config: Any, weights: str, kind: dict[str, Any]) -> nn.Module:
    """The network with the weights of a file, or with timm's download.

    With the classifier, which goes later: only so does timm refuse files that lack a tensor.
    """
    if weights != "auto":
        overlay = {"file": weights, "custom_load": False}  # no archive of numpy arrays, as some were published
        try:
            return cast(nn.Module, timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **kind))
        except TypeError:
            raise
        except Exception as error:  # it has been read before: what timm makes of foreign tensors
            raise CheckpointError(f"{weights} does not fit {PREFIX}{name}: {str(error)[:SHOWN]}") from error
    if not (config.hf_hub_id or config.url):
        raise CheckpointError(
            f"timm offers no weights for {PREFIX}{name}: set teacher.weights to a file, or choose another name"
        )
    try:
        return cast(nn.Module, timm.create_model(name, pretrained=True, **kind))
    except TypeError:
        raise
    except Exception as error:  # of the hub, of its http client, of torch
        place = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
        raise CheckpointError(
            f"could not get the weights of {PREFIX}{name} from {place}: {str(error).rstrip('.')}. "
            "Download them where there is a network (model.safetensors), and give the file: "
            "--set teacher.weights=FILE"
        ) from error


def _blocks(name: str, depth: int, layers: Sequence[int] | None) -> list[int]:
    """Indices of the transformer blocks that are the levels."""
    chosen = [depth // 2, 3 * depth // 4, depth] if layers is None else list(layers)
    if chosen != sorted(set(chosen)) or not 1 <= chosen[0] <= chosen[-1] <= depth:
        raise RecipeError(
            f"{PREFIX}{name} has {depth} blocks: teacher.layers is {chosen}, expected three rising numbers of 1 "
            f"to {depth}"
        )
    return [block - 1 for block in chosen]


def _stages(name: str, reductions: Sequence[int], layers: Sequence[int] | None) -> list[int]:
    """Indices of the stages that are the levels."""
    if layers is not None:
        raise RecipeError(f"teacher.layers is for transformers, but {PREFIX}{name} has stages: leave it out")
    missing = [stride for stride in STRIDES if stride not in reductions]
    if missing:
        raise RecipeError(
            f"{PREFIX}{name} has no maps at stride {', '.join(map(str, missing))} (it has {sorted(set(reductions))}): "
            "a teacher needs 4, 8 and 16; choose another network, docs/teachers.md names some"
        )
    last = {reduction: index for index, reduction in enumerate(reductions)}
    return [last[stride] for stride in STRIDES]
