"""Networks of timm as teachers: tiny ones with random weights, nothing is downloaded."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from with_timm import timm_or_skip

from trd.config import load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.pytorch.frozen import frozen
from trd.errors import CheckpointError, MissingExtraError, RecipeError
from trd.evidence.initialisation import WithoutInitialisation
from trd.stored import read_detector
from trd.teachers import build_teacher
from trd.teachers.timm_network import TimmTeacher
from trd.training.fit import fit_class
from trd.types import ClassFolder

CNN, VIT = "timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"
PYRAMIDS = (CNN, "timm:test_convnext.r160_in1k", "timm:test_efficientnet.r160_in1k")
SHIPPED = ("timm:resnet18.a1_in1k", "timm:vit_small_patch14_reg4_dinov2.lvd142m")  # in recipes
TINY = (
    "frame.size=64",
    "training.epochs=1",
    "training.batch_size=2",
    "precision=fp32",
    "training.augment=none",
    "student.blocks=[1, 1, 1]",
)


@pytest.fixture(scope="module")
def timm() -> Iterator[Any]:
    before = list(sys.path)
    try:
        yield timm_or_skip()
    finally:
        sys.path[:] = before  # Ray's workers, of later tests, take over this process's


def images(count: int = 2) -> torch.Tensor:
    """(count, 3, 64, 96), with some structure."""
    return torch.rand(count, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", [VIT, *PYRAMIDS, *SHIPPED])
def test_the_pyramid_has_strides_4_8_and_16(name: str) -> None:
    teacher = build_teacher(name, "random")
    with torch.no_grad():
        pyramid = teacher(images())
    assert [tuple(level.shape[2:]) for level in pyramid] == [(16, 24), (8, 12), (4, 6)]
    assert tuple(level.shape[1] for level in pyramid) == teacher.channels
    assert all(torch.isfinite(level).all() for level in pyramid)
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize("name", PYRAMIDS)
def test_levels_are_timms_own_features(timm: Any, name: str) -> None:
    teacher = build_teacher(name, "random")
    theirs = timm.create_model(name.removeprefix("timm:"), features_only=True).eval()
    wanted = [theirs.feature_info.reduction().index(stride) for stride in (4, 8, 16)]
    tensors = {key.replace("_", "."): value for key, value in teacher.network.state_dict().items()}
    renamed = {key: tensors.get(key.replace("_", "."), value) for key, value in theirs.state_dict().items()}
    theirs.load_state_dict(renamed)
    with torch.no_grad():
        ours, features = teacher(images()), theirs(images())
    for level, index in zip(ours, wanted, strict=True):
        torch.testing.assert_close(level, features[index])


def test_patches_of_14_pixels_see_a_smaller_image(timm: Any) -> None:
    """The tokens are the grid of stride 16, and the coarsest level is the last block's, normalised."""
    kind = {"depth": 4, "embed_dim": 96, "num_heads": 3, "dynamic_img_size": True}
    teacher = TimmTeacher("tiny", timm.create_model("vit_small_patch14_reg4_dinov2", **kind), None)
    x = images()
    small = torch.nn.functional.interpolate(x, (56, 84), mode="bilinear", antialias=True)
    with torch.no_grad():
        tokens = teacher.network.forward_features(small)[:, 5:]  # behind the class token and four registers
        coarse = teacher(x)[2]
    torch.testing.assert_close(coarse, tokens.transpose(1, 2).reshape(2, 96, 4, 6))


def test_small_patches_are_not_resized(timm: Any) -> None:
    """Patches of 8 pixels: the grid of stride 8, from which the others are interpolated."""
    small = timm.create_model("test_vit", patch_size=8, depth=4, dynamic_img_size=True)
    teacher = TimmTeacher("tiny", small, None)
    with torch.no_grad():
        fine, middle, coarse = teacher(images())
        (own,) = small.forward_intermediates(images(), indices=[2], norm=True, intermediates_only=True)
    assert (fine.shape[2:], coarse.shape[2:]) == ((16, 24), (4, 6))
    torch.testing.assert_close(middle, own)


@pytest.mark.usefixtures("timm")
def test_other_blocks_can_be_chosen() -> None:
    torch.manual_seed(0)
    usual = build_teacher(VIT, "random")
    torch.manual_seed(0)
    early = build_teacher(VIT, "random", (1, 2, 3))
    assert len(early.state_dict()) < len(usual.state_dict())  # later blocks are not stored
    with torch.no_grad():
        # half the depth of six blocks is the third
        torch.testing.assert_close(early(images())[2].mean((2, 3)), usual(images())[0].mean((2, 3)), atol=1e-4, rtol=0)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", [*PYRAMIDS, "timm:test_byobnet.r160_in1k", VIT])
def test_frozen_copies_compute_the_same(name: str) -> None:
    """BatchNorm with an activation inside, attention, LayerNorm: nothing is folded wrongly."""
    teacher = build_teacher(name, "random")
    for module in teacher.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    copied = frozen(teacher, torch.device("cpu"), torch.float32)
    x = images().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for ours, plain in zip(copied(x), teacher(images()), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", [CNN, VIT])
def test_weights_from_the_state_alone(name: str) -> None:
    teacher = build_teacher(name, "random")
    with WithoutInitialisation():
        again = build_teacher(name, None)
    again.load_state_dict(teacher.state_dict(), assign=True)
    with torch.no_grad():
        for ours, theirs in zip(again(images()), teacher(images()), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", [CNN, VIT])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file(timm: Any, tmp_path: Path, name: str, suffix: str) -> None:
    weights = timm.create_model(name.removeprefix("timm:")).state_dict()  # with the classifier, as published
    path = tmp_path / f"weights{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    teacher = build_teacher(name, str(path))
    kept = teacher.network.state_dict()
    assert all(torch.equal(kept[key], weights[key]) for key in kept)
    assert not any(key.startswith(("fc", "head")) for key in kept)


@pytest.mark.usefixtures("timm")
def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        build_teacher(CNN, str(tmp_path / "none.pth"))
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"text.{suffix}").write_text("hello")
        with pytest.raises(CheckpointError, match=rf"text\.{suffix} cannot be read"):
            build_teacher(CNN, str(tmp_path / f"text.{suffix}"))
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name in (CNN, VIT):
        with pytest.raises(CheckpointError, match=rf"other\.pth does not fit {name}"):
            build_teacher(name, str(tmp_path / "other.pth"))


def test_a_failed_download_says_what_to_do(timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", offline)
    complaint = r"test_resnet\.r160_in1k from https.*no route.* teacher\.weights="
    with pytest.raises(CheckpointError, match=complaint):
        build_teacher(CNN, "auto")


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("name", "layers", "complaint"),
    [
        ("timm:resnet_eighteen", None, r"has no network 'resnet_eighteen'"),
        ("timm:resnet18.mine", None, r"no weights 'mine' of resnet18.*it has: a1_in1k"),
        ("timm:mixer_s32_224", None, "takes images of 224 x 224 only"),
        ("timm:test_maxvit", None, "takes images of 160 x 160 only"),
        ("timm:inception_v3.tv_in1k", None, r"makes maps of .* expected \[\(16, 24\), \(8, 12\), \(4, 6\)\]"),
        (CNN, (1, 2, 3), "teacher.layers is for transformers"),
        (VIT, (4, 5, 7), r"has 6 blocks: teacher.layers is \[4, 5, 7\]"),
        (VIT, (6, 3, 4), "three rising numbers of 1 to 6"),
    ],
)
def test_networks_that_cannot_be_teachers(name: str, layers: tuple[int, ...] | None, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        build_teacher(name, "random", layers)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    for weights in ("auto", None):  # training, and loading a detector
        with pytest.raises(MissingExtraError, match=r"timm:.*extra 'timm': pip install '\.\[timm\]'"):
            build_teacher(CNN, weights)


def test_a_torchvision_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match=r"torchvision::nms does not exist\. .*is not the build for this torch"):
        build_teacher(CNN, "random")


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("shipped", "name"), [("timm-resnet-rgb-normals", "timm:test_efficientnet.r160_in1k"), ("lite-rgb", VIT)]
)
def test_a_detector_is_trained_stored_and_loaded(
    shipped: str, name: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher's tensors come with it: no weight file is read again, but timm says how they go together."""
    recipe = load_recipe(shipped, [*TINY, f"teacher.name={name}", "teacher.weights=random"])
    trained = fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")
    samples = [load_sample(s, ("xyz",)) for s in list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",)).test]
    loaded = Detector.load(tmp_path, "cpu")
    for before, after in zip(trained.predict_many(samples), loaded.predict_many(samples), strict=True):
        assert np.isfinite(after.score)
        assert before.score == pytest.approx(after.score, rel=1e-5)
        np.testing.assert_allclose(before.map, after.map, rtol=1e-4, atol=1e-4)
    names = [key for key in read_detector(tmp_path)[1] if key.startswith("teacher.")]
    assert names
    assert not any("fc." in key or "head." in key for key in names)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[timm\]'"):
        Detector.load(tmp_path, "cpu")
