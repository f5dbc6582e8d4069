"""No file is left out unseen."""

import logging
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from trd.data.check import grouped, unreadable
from trd.data.endings import DOCUMENTS, READ_SUFFIXES, is_unread, remedy
from trd.data.images import UNREAD_SUFFIXES
from trd.data.listing import class_names, layout_of, list_class, list_unlabelled
from trd.data.unread import unread_files
from trd.errors import DataError

PNG = bytes(imagecodecs.png_encode(np.full((8, 8, 3), 90, np.uint8)))
BOTH = (("rgb", "xyz"), ("xyz",))


def put(root: Path, *paths: str, content: bytes = PNG) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def unread(place: Path, sources: Sequence[str] = ("rgb",), clouds: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    files = list_class(place, "", sources, clouds)
    return unread_files(place, (*files.train, *files.validation, *files.test), layout_of(place).set_aside)


def test_every_ending_that_is_not_read_is_counted_and_named(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", "train/good/b.png", "test/dent/c.png", "test/dent/gt/c.png")
    put(tmp_path, *(f"train/good/{name}.HEIC" for name in "vwxyz"), "p.jif", "test/dent/new.zdf", "train/good/q.npz")
    put(tmp_path, "readme.txt", "LICENSE", "train/.hidden.tga", ".git/object.bin", "class.json")
    warnings, aside = unread(tmp_path)
    assert aside == []
    assert [line.split(" ")[:2] for line in warnings] == [["5", ".heic"], ["1", ".jif"], ["1", ".npz"], ["1", ".zdf"]]
    heic, jif, npz, zdf = warnings
    assert "(train/good/v.HEIC, train/good/w.HEIC, train/good/x.HEIC, ...)" in heic
    assert "convert them to PNG" in heic
    assert "rename them to .jpg" in jif
    assert "NPY" in npz
    assert "organised PLY or PCD" in zdf


def test_readable_files_of_no_part_are_named(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", "train/bad/a.png", "train/bad/b.png", "validation/a.png", "more/a.png")
    put(tmp_path, "test/dent/a.png", "ground_truth/dents/a.png")
    warnings, _ = unread(tmp_path)
    assert len(warnings) == 1
    assert warnings[0].startswith("4 .png files (ground_truth/dents/a.png, more/a.png, train/bad/a.png, ...) not read")


def test_what_a_recipe_does_without_is_no_doubt(data: Path) -> None:
    assert unread(data / "biscuit", *BOTH)[0] == []
    warnings, aside = unread(data / "biscuit")
    assert warnings == []
    assert [line.split(" (")[0] for line in aside] == ["2 .png files", "15 .tiff files"]  # masks of good parts, clouds
    put(data / "biscuit/train/good", "xyz/900.tiff")
    assert "900.tiff" in unread(data / "biscuit")[0][0]


@pytest.mark.parametrize("together", [True, False])
def test_a_missing_partner_that_is_there_with_another_ending_is_named(tmp_path: Path, together: bool) -> None:
    rgb, xyz = ("", "") if together else ("rgb/", "xyz/")
    put(tmp_path, *(f"train/{rgb}{n}.png" for n in range(4)))
    put(tmp_path, *(f"train/{xyz}{n}.zdf" for n in range(1, 4)), f"train/{xyz}0.ply")
    expected = r"have a rgb file but no xyz file.*3 \.zdf files \(1\.zdf, 2\.zdf, 3\.zdf\) not read, export them as"
    with pytest.raises(DataError, match=expected):
        list_class(tmp_path, "", *BOTH)


def test_a_folder_of_nothing_that_is_read_says_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, *(f"parts/{n}.heic" for n in range(4)))
    with pytest.raises(DataError, match=r"holds no class.*4 \.heic files .*convert them to PNG"):
        class_names(tmp_path)


@pytest.mark.parametrize("place", ["train", "train/good", "train/rgb", "train/good/rgb", "rgb"])
def test_a_training_split_of_nothing_that_is_read_says_what_is_there(tmp_path: Path, place: str) -> None:
    put(tmp_path, *(f"{place}/{n}.heic" for n in range(4)))
    with pytest.raises(DataError, match=r"4 \.heic files \(.*0\.heic, .*convert them to PNG"):
        list_class(tmp_path, "", ("rgb",), ())


def test_several_pictures_of_a_refused_kind_are_one_message(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", *(f"train/good/{n}.webp" for n in range(4)))
    with pytest.raises(DataError, match=r"good: 4 \.webp files \(0\.webp, 1\.webp, 2\.webp, \.\.\.\)"):
        list_class(tmp_path, "", ("rgb",), ())


def test_no_ending_is_both_read_and_not() -> None:
    assert not READ_SUFFIXES & DOCUMENTS
    for ending in (*UNREAD_SUFFIXES, ".heic", ".avif", ".tga", ".dng"):
        assert is_unread(Path(f"a{ending}"))
        assert "convert them to PNG" in remedy(ending)
    assert "PNG" in remedy(".whatever")


def test_masks_among_parts_to_predict_are_ignored_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "rgb/000.png", "rgb/001.png", "rgb/000_mask.png", "gt/000_mask.png", "rgb/lone_mask.png")
    put(tmp_path, "rgb/r.heic", "ground_truth/dent/000.png")
    with caplog.at_level(logging.INFO, "trd"):
        samples = list_unlabelled(tmp_path, ("rgb",), ())
    assert [sample.id for sample in samples] == ["000", "001", "lone_mask"]
    assert all(sample.mask is None for sample in samples)
    note, warning = caplog.records
    for name in ("000_mask.png", "gt", "ground_truth"):
        assert name in note.getMessage()
    assert note.levelno == logging.INFO
    assert "1 .heic file (r.heic) not read" in warning.getMessage()


def test_masks_beside_one_source_of_several_are_ignored(tmp_path: Path) -> None:
    put(tmp_path, "rgb/000.png", "rgb/000_mask.png", "xyz/000.tiff", "mask/000.png")
    for sources in (("rgb", "xyz"), ("xyz", "rgb")):
        assert [sample.id for sample in list_unlabelled(tmp_path, sources, ("xyz",))] == ["000"]


def test_masks_beside_pictures_to_train_on_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "train/good/rgb/000.png", "train/good/rgb/000_mask.png")
    with pytest.raises(DataError, match=r"000_mask\.png lies among the pictures"):
        list_class(tmp_path, "", ("rgb",), ())


def test_faults_that_differ_by_numbers_are_of_one_kind(tmp_path: Path) -> None:
    faults = [(tmp_path / name, f"{tmp_path / name}: {count} points are NaN") for name, count in (("a", 5), ("b", 66))]
    assert grouped(faults, tmp_path) == [f"2 files (a, b), of the first: {tmp_path / 'a'}: 5 points are NaN"]


def test_faults_of_one_kind_are_one_line(tmp_path: Path) -> None:
    put(tmp_path, *(f"rgb/{n}.png" for n in range(6)), "xyz.txt")
    for number in range(4):
        (tmp_path / f"rgb/{number}.png").write_bytes(PNG[: 40 + number])
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    put(tmp_path, "rgb/5.png", content=pointer)
    samples = list_class(tmp_path, "", ("rgb",), ()).train
    faults = unreadable(samples, ())
    damaged, lfs = grouped(faults, tmp_path)
    assert damaged.startswith("4 files (rgb/0.png, rgb/1.png, rgb/2.png, ...), of the first: ")
    assert str(tmp_path / "rgb/0.png") in damaged
    assert "5.png is a pointer of Git LFS" in lfs
    assert "git lfs pull" in lfs
