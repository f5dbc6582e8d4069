import json
import shutil
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from plyfile import PlyData, PlyElement

from trd.data.camera_files import camera_near
from trd.data.check import unreadable
from trd.data.listing import class_names, list_class, list_unlabelled
from trd.data.loading import load_sample, with_validation
from trd.errors import DataError
from trd.types import Camera

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
    one, two = (with_validation(files, 2, seed=5) for _ in range(2))
    assert one == two
    assert (len(one.train), len(one.validation)) == (4, 2)
    assert not {s.id for s in one.train} & {s.id for s in one.validation}
    assert with_validation(files, 2, seed=6).validation != one.validation


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


@pytest.mark.parametrize("name", ["000.webp", "001.tiff"])
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
        with_validation(files, 1, seed=0)


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


def test_only_parts_that_are_measured_carry_a_mask(drawn: Path) -> None:
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",))
    assert load_sample(files.train[0], ("xyz",)).mask is None
    assert load_sample(files.validation[0], ("xyz",)).mask is None
    good = next(sample for sample in files.test if sample.is_good)
    mask = load_sample(good, ("xyz",)).mask
    assert mask is not None
    assert not mask.any()


def test_up_to_five_missing_partners_are_named(data: Path) -> None:
    for number in range(6):
        (data / f"biscuit/train/good/xyz/{number:03d}.tiff").unlink()
    with pytest.raises(
        DataError, match=r"'000', '001', '002', '003', '004' and 1 more have a rgb file but no xyz file"
    ):
        list_class(data, "biscuit", *BOTH)


def test_label_folders_of_every_split(data: Path) -> None:
    """CLASS/{train,validation,test}/LABEL/{rgb,xyz,ground_truth}, as 3D-ADAM has it."""
    for split in ("train", "validation"):
        (data / f"biscuit/{split}/good").rename(data / f"biscuit/{split}/Good")
        (data / f"biscuit/{split}/Good/ground_truth").mkdir()
    for kind in ("good", "dent"):
        (data / f"biscuit/test/{kind}/gt").rename(data / f"biscuit/test/{kind}/ground_truth")
    shutil.copytree(data / "biscuit/test/dent", data / "biscuit/validation/dent")
    (data / "biscuit/test/good").rename(data / "biscuit/test/Good")
    files = list_class(data, "biscuit", *BOTH)
    assert (len(files.train), len(files.validation), len(files.test)) == (6, 4, 5)
    assert {s.defect for s in files.train + files.validation} == {"good"}
    assert sum(s.is_good for s in files.test) == 2
    assert all(s.mask is not None for s in files.test if not s.is_good)
    (data / "biscuit/validation/Good").rename(data / "biscuit/validation/fine")
    with pytest.raises(DataError, match=r"validation holds the folders dent, fine, but none called 'good'"):
        list_class(data, "biscuit", *BOTH)


def together(source: Path, target: Path) -> None:
    """The files of source/{rgb,xyz} in one folder: 000.png and 000.ply of each part, masks in `gt` below."""
    target.mkdir(parents=True)
    for path in (source / "rgb").iterdir():
        shutil.copy(path, target / path.name)
        cloud = tifffile.imread(source / "xyz" / f"{path.stem}.tiff").reshape(-1, 3)
        vertex = np.array([tuple(p) for p in cloud], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
        PlyData([PlyElement.describe(vertex, "vertex")]).write(str(target / f"{path.stem}.ply"))
    if (source / "gt").is_dir():
        shutil.copytree(source / "gt", target / "gt")


def test_pictures_and_points_in_one_folder(data: Path) -> None:
    parts = data / "parts"
    together(data / "biscuit/validation/good", parts / "train")
    for kind in ("good", "dent"):
        together(data / "biscuit/test" / kind, parts / "test" / kind)
    assert class_names(parts) == ("",)
    files = list_class(parts, "", *BOTH)
    assert (len(files.train), len(files.test)) == (4, 3)
    assert {path.suffix for s in files.train for path in s.sources.values()} == {".png", ".ply"}
    dent = next(s for s in files.test if s.defect == "dent")
    assert load_sample(dent, ("xyz",)).arrays["xyz"].shape == (192, 192, 3)
    assert dent.mask is not None
    assert [s.id for s in list_unlabelled(parts / "test/good", *BOTH)] == ["000", "001"]
    assert len(list_class(parts, "", ("rgb",), ()).train) == 4
    only_points = list_class(parts, "", ("xyz",), ("xyz",))
    assert {s.sources["xyz"].suffix for s in only_points.train} == {".ply"}

    with pytest.raises(DataError, match="which of the files are rgb and which infrared cannot be told"):
        list_class(parts, "", ("rgb", "infrared"), ())
    (parts / "train/002.ply").unlink()
    with pytest.raises(DataError, match="'002' has a rgb file but no xyz file"):
        list_class(parts, "", *BOTH)
    shutil.copy(parts / "train/000.png", parts / "test/000.png")
    with pytest.raises(DataError, match="test holds files as well as the folder 'dent'"):
        list_class(parts, "", ("rgb",), ())
    (parts / "test/000.png").unlink()
    shutil.copytree(data / "biscuit/train/good", parts / "train/good")
    with pytest.raises(DataError, match="train holds parts as well as the folder 'good'"):
        list_class(parts, "", ("rgb",), ())


@pytest.mark.parametrize("place", [".", "train", "train/good"])
def test_a_plain_folder_of_pictures(data: Path, place: str) -> None:
    parts = data / "parts"
    shutil.copytree(data / "biscuit/train/good/rgb", parts / place)
    assert class_names(parts) == ("",)
    files = list_class(parts, "", ("rgb",), ())
    assert [s.id for s in files.train] == [f"train/good/{n:03d}" for n in range(6)]
    assert files.name == "parts"
    with pytest.raises(DataError, match="no folder for 'xyz'"):
        list_class(parts, "", *BOTH)
    shutil.copy(parts / place / "000.png", parts / place / "000_mask.png")
    with pytest.raises(DataError, match=r"000_mask\.png lies among the pictures; masks belong into .*gt"):
        list_class(parts, "", ("rgb",), ())
    (parts / place / "000_mask.png").rename(parts / place / "more.tiff")
    with pytest.raises(DataError, match=r"more\.tiff: TIFF is read for 3D only"):
        list_class(parts, "", ("rgb",), ())


def depth_class(data: Path, shape: tuple[int, int]) -> Path:
    """Three parts with depth images instead of clouds, at another resolution than the drawn ones."""
    for name in ("rgb", "depth"):
        (data / "flat" / name).mkdir(parents=True)
    for number in range(3):
        (data / f"flat/rgb/{number}.png").write_bytes(imagecodecs.png_encode(np.ones(shape, np.uint8)))
        (data / f"flat/depth/{number}.png").write_bytes(imagecodecs.png_encode(np.full(shape, 400, np.uint16)))
    return data / "flat"


CAMERA = {"fx": 100, "fy": 100, "cx": 9.5, "cy": 7.5, "depth_scale": 0.001}


def test_a_camera_is_read_only_where_there_is_depth(data: Path) -> None:
    (data / "camera.json").write_text("broken")
    assert list_class(data, "biscuit", *BOTH).camera is None
    samples = list_unlabelled(data / "biscuit/test/good", *BOTH)
    assert camera_near(samples, ("xyz",)) is None
    depth_class(data, (16, 20))
    with pytest.raises(DataError, match=r"camera\.json cannot be read"):
        list_class(data, "flat", *BOTH)
    assert list_class(data, "flat", ("rgb",), ()).camera is None
    with pytest.raises(DataError, match=r"camera\.json cannot be read"):
        camera_near(list_unlabelled(data / "flat", *BOTH), ("xyz",))


def test_the_camera_learns_its_size_from_the_first_training_part(data: Path) -> None:
    folder = depth_class(data, (16, 20))
    (folder / "camera.json").write_text(json.dumps(CAMERA))
    camera = list_class(data, "flat", *BOTH).camera
    assert camera == Camera(100, 100, 9.5, 7.5, 0.001, (16, 20))
    (folder / "camera.json").write_text(json.dumps(CAMERA | {"width": 40, "height": 32}))
    assert list_class(data, "flat", *BOTH).camera == replace(camera, size=(32, 40))


def test_new_depth_images_are_read_with_the_size_the_training_had(data: Path) -> None:
    folder = depth_class(data, (16, 20))
    (folder / "camera.json").write_text(json.dumps(CAMERA))
    trained = list_class(data, "flat", *BOTH).camera
    new = list_unlabelled(depth_class(folder / "new", (32, 40)), *BOTH)  # below the training data's camera.json
    assert camera_near(new, ("xyz",), trained) == trained
    own = CAMERA | {"fx": 300}
    (folder / "new/camera.json").write_text(json.dumps(own))
    assert camera_near(new, ("xyz",), trained) == Camera(300, 100, 9.5, 7.5, 0.001)
    assert camera_near(new, (), trained) == trained


def test_all_unusable_files_are_found_at_once(data: Path) -> None:
    files = list_class(data, "biscuit", *BOTH)
    samples = (*files.train, *files.test)
    assert unreadable(samples, ("xyz",)) == []
    train, test = data / "biscuit/train/good", data / "biscuit/test/dent"
    for path in (train / "rgb/001.png", train / "xyz/001.tiff", train / "xyz/004.tiff", test / "gt/000.png"):
        path.write_bytes(b"damaged")
    tifffile.imwrite(train / "xyz/002.tiff", np.ones((50, 60, 3), np.float32), photometric="rgb")
    found = unreadable(samples, ("xyz",))
    assert [path for path, _ in found] == [
        train / "rgb/001.png",
        train / "xyz/001.tiff",
        train / "xyz/002.tiff",
        train / "xyz/004.tiff",
        test / "gt/000.png",
    ]
    assert all(str(path) in reason for path, reason in found)
    assert "its partners are 192 x 192" in found[2][1]


def test_points_are_not_blamed_for_a_picture_that_cannot_be_read(data: Path) -> None:
    together(data / "biscuit/test/dent", data / "parts/train")
    (data / "parts/train/000.png").write_bytes(b"damaged")
    found = unreadable(list_class(data / "parts", "", *BOTH).train, ("xyz",))
    assert [path.name for path, _ in found] == ["000.png"]
