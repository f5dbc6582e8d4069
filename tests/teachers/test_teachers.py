import hashlib
from pathlib import Path

import pytest
import torch

from trd.errors import CheckpointError
from trd.teachers import build_teacher, download
from trd.teachers.wide_resnet import WideResNet50


def test_the_small_teacher_comes_with_its_weights() -> None:
    teacher = build_teacher("efficientnet_lite0", "auto")
    with torch.no_grad():
        pyramid = teacher(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in pyramid] == [(24, 16, 24), (40, 8, 12), (112, 4, 6)]
    # A fixed input gives fixed features: pins padding, order and normalisation of the published network
    torch.manual_seed(0)
    with torch.no_grad():
        levels = teacher(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64))
    assert [round(float(level.std()), 3) for level in levels] == LITE_DEVIATIONS


LITE_DEVIATIONS = [7.954, 6.983, 5.866]


def test_wide_resnet_has_torchvisions_tensors() -> None:
    """Names and sizes as in torchvision's file: 159 convolutions and norms up to layer3, 24.9 M parameters."""
    teacher = WideResNet50()
    names = set(teacher.state_dict())
    assert {
        "conv1.weight",
        "layer1.0.downsample.0.weight",
        "layer2.3.bn2.running_var",
        "layer3.5.conv3.weight",
    } <= names
    assert teacher.layer1[0].conv2.weight.shape == (128, 128, 3, 3)
    assert teacher.layer3[0].downsample[0].weight.shape == (1024, 512, 1, 1)
    assert sum(p.numel() for p in teacher.parameters()) == 24_862_528
    with torch.no_grad():
        assert [tuple(x.shape[1:]) for x in teacher(torch.zeros(1, 3, 64, 64))] == [
            (256, 16, 16),
            (512, 8, 8),
            (1024, 4, 4),
        ]


def weight_file(folder: Path) -> Path:
    """A stand-in for the published file: torchvision's names (with its head), the hash in its name."""
    torch.manual_seed(1)
    weights = {**WideResNet50().state_dict(), "fc.weight": torch.zeros(3, 3)}
    torch.save(weights, folder / "raw.pth")
    digest = hashlib.sha256((folder / "raw.pth").read_bytes()).hexdigest()[:8]
    return (folder / "raw.pth").rename(folder / f"wide_resnet50_2-{digest}.pth")


def test_local_weights_download_and_hash(tmp_path: Path) -> None:
    path = weight_file(tmp_path)
    teacher = build_teacher("wide_resnet50_2", str(path))
    torch.manual_seed(1)
    assert torch.equal(teacher.conv1.weight, WideResNet50().conv1.weight)
    fetched = download(path.as_uri(), tmp_path / "cache")
    assert fetched.read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="is damaged"):
        build_teacher("wide_resnet50_2", str(path))
    with pytest.raises(CheckpointError, match=r"could not download .* set teacher\.weights"):
        download(path.as_uri(), tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        build_teacher("wide_resnet50_2", str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(CheckpointError, match=r"text\.pth cannot be read"):
        build_teacher("wide_resnet50_2", str(tmp_path / "text.pth"))
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="lacks the tensor"):
        build_teacher("wide_resnet50_2", str(tmp_path / "other.pth"))
