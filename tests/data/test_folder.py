import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from trd.data.folder import class_names, list_class, list_unlabelled
from trd.data.loading import load_sample, with_validation
from trd.errors import DataError

BOTH = (("rgb", "xyz"), ("xyz",))


def test_mvtec_layout(data: Path) -> None:
    assert class_names(data) == ("biscuit",)
    files = list_class(data, "biscuit", *BOTH)
    assert (len(files.train), len(files.validation), len(files.test)) == (6, 4, 5)
    assert [s.id for s in files.test] == [
        "test/chip/000",
        "test/dent/000",
        "test/good/000",
        "test/good/001",
        "test/stain/000",
    ]
    sample = load_sample(files.test[0], ("xyz",))
    assert sample.mask is not None
    assert sample.mask.any()
    assert set(sample.arrays) == {"rgb", "xyz"}


def test_colour_only_needs_no_3d_files(data: Path) -> None:
    for folder in data.rglob("xyz"):
        shutil.rmtree(folder)
    assert len(list_class(data, "biscuit", ("rgb",), ()).train) == 6


def test_a_users_own_folders(data: Path) -> None:
    """Modality folders without `good`, 3D called depth or cloud, masks called mask: all are found."""
    flat = data / "flat"
    shutil.copytree(data / "biscuit/train/good/rgb", flat / "rgb")
    shutil.copytree(data / "biscuit/train/good/xyz", flat / "cloud")
    assert len(list_class(data, "flat", *BOTH).train) == 6
    assert class_names(flat) == ("",)
    assert list_class(flat, "", *BOTH).name == "flat"
    own = data / "own"
    shutil.copytree(data / "biscuit/train/good", own / "train")
    shutil.copytree(data / "biscuit/test", own / "test")
    (own / "test/dent/gt").rename(own / "test/dent/mask")
    files = list_class(data, "own", *BOTH)
    assert len(files.train) == 6
    assert all(s.mask is not None for s in files.test if s.defect != "good")


def test_held_out_validation_is_seeded_and_disjoint(data: Path) -> None:
    shutil.rmtree(data / "biscuit/validation")
    files = list_class(data, "biscuit", *BOTH)
    one, two = (with_validation(files, 0.3, seed=5) for _ in range(2))
    assert one == two
    assert (len(one.train), len(one.validation)) == (4, 2)
    assert not {s.id for s in one.train} & {s.id for s in one.validation}
    assert with_validation(files, 0.3, seed=6).validation != one.validation


def test_missing_class_folder(data: Path) -> None:
    with pytest.raises(DataError, match=r"class folder .*bagel is missing; classes there: biscuit"):
        list_class(data, "bagel", *BOTH)
    with pytest.raises(DataError, match="does not exist"):
        class_names(data / "nowhere")
    (data / "empty").mkdir()
    with pytest.raises(DataError, match="holds no class"):
        class_names(data / "empty")


@pytest.mark.parametrize(("folder", "split"), [("rgb", "train"), ("xyz", "validation")])
def test_missing_partner(data: Path, folder: str, split: str) -> None:
    next((data / f"biscuit/{split}/good/{folder}").glob("002.*")).unlink()
    with pytest.raises(DataError, match=f"'002' has a .* file but no {folder} file"):
        list_class(data, "biscuit", *BOTH)


def test_missing_mask_partner(data: Path) -> None:
    (data / "biscuit/test/dent/gt/000.png").unlink()
    with pytest.raises(DataError, match="'000' has a rgb file but no mask file"):
        list_class(data, "biscuit", *BOTH)


def test_missing_source_folder(data: Path) -> None:
    shutil.rmtree(data / "biscuit/train/good/xyz")
    with pytest.raises(DataError, match="no folder for 'xyz'"):
        list_class(data, "biscuit", *BOTH)


def test_two_files_of_one_stem(data: Path) -> None:
    folder = data / "biscuit/train/good/rgb"
    shutil.copy(folder / "000.png", folder / "000.jpg")
    with pytest.raises(DataError, match=r"both 000\.jpg and 000\.png"):
        list_class(data, "biscuit", *BOTH)


@pytest.mark.parametrize("name", ["000.bmp", "001.tiff"])
def test_a_picture_of_a_kind_that_is_not_read_is_not_left_out_silently(data: Path, name: str) -> None:
    (data / "biscuit/train/good/rgb" / name).write_bytes(b"BM")
    with pytest.raises(DataError, match=f"{name}.*not read here.*one of .png"):
        list_class(data, "biscuit", *BOTH)


def test_empty_training_split(data: Path) -> None:
    for path in (data / "biscuit/train/good").rglob("0*"):
        path.unlink()
    with pytest.raises(DataError, match="the training split is empty"):
        list_class(data, "biscuit", *BOTH)


def test_one_training_image(data: Path) -> None:
    for path in (data / "biscuit/train/good").rglob("00[1-9].*"):
        path.unlink()
    files = list_class(data, "biscuit", *BOTH)
    with pytest.raises(DataError, match=r"1 training sample\(s\); at least 2 are needed"):
        with_validation(files, 0.2, seed=0)


def test_xyz_of_another_size_than_rgb(data: Path) -> None:
    path = data / "biscuit/train/good/xyz/000.tiff"
    tifffile.imwrite(path, np.ones((50, 60, 3), np.float32), photometric="rgb")
    sample = list_class(data, "biscuit", *BOTH).train[0]
    with pytest.raises(DataError, match=r"000\.tiff is 50 x 60 pixels, its partners are 192 x 192"):
        load_sample(sample, ("xyz",))


def test_mask_of_another_size(data: Path) -> None:
    (data / "biscuit/test/chip/gt/000.png").write_bytes(imagecodecs.png_encode(np.ones((50, 60), np.uint8)))
    with pytest.raises(DataError, match=r"the mask is \(50, 60\), its image \(192, 192\)"):
        load_sample(list_class(data, "biscuit", *BOTH).test[0], ("xyz",))


def test_unlabelled_folders(data: Path) -> None:
    samples = list_unlabelled(data / "biscuit/test/good", *BOTH)
    assert [s.id for s in samples] == ["000", "001"]
    assert len(list_unlabelled(data / "biscuit/test/good/rgb", ("rgb",), ())) == 2
    with pytest.raises(DataError, match="no folder for 'xyz'.*beside each other"):
        list_unlabelled(data / "biscuit/test/good/rgb", *BOTH)
