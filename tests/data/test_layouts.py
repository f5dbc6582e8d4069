"""Data sets as downloaded, drawn with pictures of 8 x 8 pixels."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from writing import write_stl

from trd.data.listing import class_folders, class_names, layout_of, list_class
from trd.data.loading import load_sample
from trd.data.unread import unread_files
from trd.errors import DataError
from trd.types import ClassFiles

RGB = (("rgb",), ())
SPOT = np.zeros((8, 8), np.uint8)
SPOT[2:4, 5] = 7  # a number of a defect kind


def draw(root: Path, *paths: str, image: np.ndarray | None = None) -> None:
    """Pictures, or masks with a spot where the name says so."""
    for path in paths:
        is_mask = any(word in path for word in ("mask", "Mask", "ground_truth", "GT"))
        chosen = image if image is not None else SPOT if is_mask else np.full((8, 8, 3), 90, np.uint8)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chosen).save(root / path)


def ids(files: ClassFiles) -> list[list[str]]:
    return [[sample.id for sample in split] for split in (files.train, files.validation, files.test)]


def listed(root: Path, name: str, layout: str, sources: Sequence[str] = ("rgb",)) -> ClassFiles:
    """The class, listed as every command does it: its layout is recognised, no file is left over, masks are read."""
    assert name in class_names(root)
    (place,) = class_folders(root, [name])
    assert layout_of(place.path).name == layout
    files = list_class(place.path, "", sources, ())
    samples = (*files.train, *files.validation, *files.test)
    assert unread_files(place.path, samples, layout_of(place.path).set_aside)[0] == []
    for sample in samples:
        loaded = load_sample(sample, ())
        if sample.mask is not None and loaded.mask is not None:
            assert (loaded.mask >= (SPOT > 0)).all()
            assert loaded.mask.any()
    return files


def test_mvtec_ad(tmp_path: Path) -> None:
    draw(tmp_path, *(f"nut/train/good/{n:03d}.png" for n in range(3)), "nut/test/good/000.png", "nut/test/bent/000.png")
    draw(tmp_path, "nut/ground_truth/bent/000_mask.png")
    files = listed(tmp_path, "nut", "MVTec AD (MPDD has the same)")
    assert ids(files) == [[f"train/good/{n:03d}" for n in range(3)], [], ["test/bent/000", "test/good/000"]]
    assert [sample.mask is not None for sample in files.test] == [True, False]
    with pytest.raises(DataError, match="no folder for 'xyz'.*for colour alone"):
        list_class(tmp_path, "nut", ("rgb", "xyz"), ("xyz",))
    draw(tmp_path, "nut/test/bent/001.png")
    with pytest.raises(DataError, match="'001' has a rgb file but no mask file"):
        list_class(tmp_path, "nut", *RGB)
    draw(tmp_path, "nut/ground_truth/bent/001_mask.png", "nut/ground_truth/bent/001.png")
    with pytest.raises(DataError, match=r"both 001\.png and 001_mask\.png are masks of '001'"):
        list_class(tmp_path, "nut", *RGB)


def test_mvtec_loco_unites_the_masks_of_a_picture(tmp_path: Path) -> None:
    draw(tmp_path, "box/train/good/000.png", "box/validation/good/000.png", "box/test/logical_anomalies/000.png")
    draw(tmp_path, "box/ground_truth/logical_anomalies/000/000.png")
    draw(tmp_path, "box/ground_truth/logical_anomalies/000/001.png", image=np.eye(8, dtype=np.uint8))
    files = listed(tmp_path, "box", "MVTec LOCO AD")
    assert ids(files) == [["train/good/000"], ["validation/good/000"], ["test/logical_anomalies/000"]]
    mask = load_sample(files.test[0], ()).mask
    assert mask is not None
    assert (mask == (np.eye(8, dtype=bool) | (SPOT > 0))).all()
    draw(tmp_path, "box/ground_truth/logical_anomalies/000/002.png", image=np.ones((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"logical_anomalies.000: expected masks of one size.*got 3"):
        load_sample(files.test[0], ())


def test_mvtec_ad_2(tmp_path: Path) -> None:
    draw(tmp_path, "can/train/good/000_regular.png", "can/validation/good/001_regular.png")
    draw(tmp_path, "can/test_public/good/000_regular.png", "can/test_public/bad/000_shift.png")
    draw(tmp_path, "can/test_public/ground_truth/bad/000_shift_mask.png", "can/test_private/000_regular.png")
    files = listed(tmp_path, "can", "MVTec AD 2")
    assert ids(files) == [
        ["train/good/000_regular"],
        ["validation/good/001_regular"],
        ["test/bad/000_shift", "test/good/000_regular"],
    ]
    assert files.test[0].mask is not None


@pytest.mark.parametrize(("picture", "mask"), [("png", "png"), ("bmp", "png"), ("bmp", "bmp")])
def test_btad(tmp_path: Path, picture: str, mask: str) -> None:
    draw(tmp_path, *(f"02/{place}/0000.{picture}" for place in ("train/ok", "test/ok", "test/ko")))
    draw(tmp_path, f"02/ground_truth/ko/0000.{mask}")
    files = listed(tmp_path, "02", "BTAD")
    assert ids(files) == [["train/good/0000"], [], ["test/ko/0000", "test/good/0000"]]
    assert files.test[0].mask is not None


@pytest.mark.parametrize(("good", "bad"), [("OK", "NG"), ("Normal", "Anomaly"), ("ok", "scratch"), ("GOOD", "dent")])
def test_good_parts_by_their_usual_names(tmp_path: Path, good: str, bad: str) -> None:
    for name in (good, "good"):
        draw(tmp_path, f"{name}/train/{good}/a.png", f"{name}/test/{good}/a.png", f"{name}/test/{bad}/a.png")
    files = listed(tmp_path, good, "files of a part together")
    assert [sample.defect for sample in (*files.train, *files.test)].count("good") == 2
    assert sorted(sample.defect for sample in files.test) == sorted([bad, "good"])


def test_two_folders_of_good_parts_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "a/train/good/a.png", "a/test/good/a.png", "a/test/OK/a.png")
    with pytest.raises(DataError, match="both OK and good are folders of good parts"):
        list_class(tmp_path, "a", *RGB)


def visa(root: Path) -> Path:
    draw(root, *(f"candle/Data/Images/Normal/{n:04d}.JPG" for n in range(3)), "candle/Data/Images/Anomaly/000.JPG")
    draw(root, "candle/Data/Masks/Anomaly/000.png")
    rows = [f"candle,{split},normal,candle/Data/Images/Normal/{n:04d}.JPG," for n, split in enumerate(("train",) * 2)]
    rows += ["candle,test,normal,candle/Data/Images/Normal/0002.JPG,"]
    rows += ["candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png"]
    table = root / "split_csv/1cls.csv"
    table.parent.mkdir()
    table.write_text("\n".join(["object,split,label,image,mask", *rows, "cashew,train,normal,cashew/x.JPG,"]) + "\n")
    return table


def test_visa(tmp_path: Path) -> None:
    table = visa(tmp_path)
    files = listed(tmp_path, "candle", "VisA")
    assert ids(files) == [["train/good/0000", "train/good/0001"], [], ["test/good/0002", "test/anomaly/000"]]
    assert files.test[1].mask == tmp_path / "candle/Data/Masks/Anomaly/000.png"
    with pytest.raises(DataError, match="VisA holds one picture of each part, the recipe takes rgb and xyz"):
        list_class(tmp_path, "candle", ("rgb", "xyz"), ("xyz",))
    text = table.read_text()
    table.write_text(text.replace("0001.JPG", "0009.JPG"))
    with pytest.raises(DataError, match=r"0009\.JPG is missing, though the data set names it"):
        list_class(tmp_path, "candle", *RGB)
    table.write_text(text.replace("0001.JPG", "0000.JPG"))
    with pytest.raises(DataError, match="two parts are called train/good/0000"):
        list_class(tmp_path, "candle", *RGB)
    table.write_text(text.replace(",mask", ""))
    with pytest.raises(DataError, match=r"1cls\.csv cannot be read: not every row has object"):
        list_class(tmp_path, "candle", *RGB)
    table.write_text(text.replace(",train,normal,", ",train,anomaly,"))
    with pytest.raises(DataError, match="train/anomaly/0000 is to train on, but not good"):
        list_class(tmp_path, "candle", *RGB)
    table.unlink()
    with pytest.raises(DataError, match=r"1cls\.csv is missing"):
        list_class(tmp_path, "candle", *RGB)


def real_iad(root: Path, lists: str, **keys: str) -> Path:
    """Two good parts to train on, a good and a pitted one to test. keys: of every part, another file's ending."""
    entries: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
    for split, stem, kind in (("train", "a", "OK"), ("train", "b", "OK"), ("test", "c", "OK"), ("test", "d", "AK")):
        place = f"{'OK' if kind == 'OK' else 'NG/AK'}/S0001/{stem}"
        draw(root, f"raw/toy/{place}.jpg")
        entry: dict[str, str | None] = {"image_path": f"{place}.jpg", "mask_path": None, "anomaly_class": kind}
        if kind != "OK":
            draw(root, f"raw/toy/{place}.png", image=SPOT)
            entry["mask_path"] = f"{place}.png"
        for key, ending in keys.items():
            entry[key] = f"{place}{ending}"
            (root / f"raw/toy/{place}{ending}").write_bytes((root / f"raw/toy/{place}.jpg").read_bytes())
        entries[split].append({**entry, "category": "toy"})
    path = root / lists / "toy.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"meta": {"normal_class": "OK", "prefix": "toy/"}, **entries}))
    return path


@pytest.mark.parametrize("lists", ["realiad_jsons/realiad_jsons", "realiad_jsons", "raw"])
def test_real_iad(tmp_path: Path, lists: str) -> None:
    path = real_iad(tmp_path, lists)
    files = listed(tmp_path / "raw", "toy", "Real-IAD")
    assert ids(files) == [["train/good/a", "train/good/b"], [], ["test/good/c", "test/AK/d"]]
    assert [sample.mask is not None for sample in files.test] == [False, True]
    path.write_text('{"train": [{"anomaly_class": "OK"}]}')
    with pytest.raises(DataError, match=r"toy\.json cannot be read as the lists.*: an entry has no image_path"):
        list_class(tmp_path / "raw", "toy", *RGB)
    for damaged in (
        "[]",
        "{",
        '{"meta": []}',
        '{"test": [{"anomaly_class": "OK", "image_path": "a", "mask_path": 3}]}',
    ):
        path.write_text(damaged)
        with pytest.raises(DataError, match=r"toy\.json cannot be read as the lists"):
            list_class(tmp_path / "raw", "toy", *RGB)
    path.write_text('{"test": []}')
    with pytest.raises(DataError, match="names no part to train on"):
        list_class(tmp_path / "raw", "toy", *RGB)
    path.unlink()
    with pytest.raises(DataError, match=r"toy\.json is missing.*unpack realiad_jsons beside"):
        list_class(tmp_path / "raw", "toy", *RGB)


def test_five_pictures_of_real_iad_may_be_one_part(tmp_path: Path) -> None:
    names = {"train": {"a": "OK"}, "test": {"c": "OK", "d": "AK"}}
    entries: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
    for split, parts in names.items():
        for part, kind in parts.items():
            for number in range(1, 4):
                shown = kind if number == 2 else "OK"  # the defect is seen from one side
                stem = f"toy_{part}_{kind}_C{number}_2023{number}"
                place = f"{'OK' if kind == 'OK' else 'NG/AK'}/S0001/{stem}"
                draw(tmp_path, f"raw/toy/{place}.jpg")
                mask = f"{place}.png" if shown != "OK" else None
                if mask:
                    draw(tmp_path, f"raw/toy/{mask}", image=SPOT)
                entries[split].append({"image_path": f"{place}.jpg", "mask_path": mask, "anomaly_class": shown})
    (tmp_path / "raw" / "toy.json").write_text(json.dumps({"meta": {"normal_class": "OK"}, **entries}))
    files = list_class(tmp_path / "raw", "toy", ("C1/rgb", "C2/rgb"), ())
    assert ids(files) == [["train/good/toy_a_OK"], [], ["test/good/toy_c_OK", "test/AK/toy_d_AK"]]
    good, defective = files.test
    assert list(defective.view_masks) == ["C2"]
    assert good.is_good
    assert not defective.is_good
    assert list(defective.sources) == ["C1/rgb", "C2/rgb"]


def test_real_iad_d3_takes_points_from_the_pcd_and_not_from_the_tiff(tmp_path: Path) -> None:
    real_iad(tmp_path, "realiad_d3_jsons", ps_path="_ps.jpg", xyz_path=".tiff")
    files = listed(tmp_path / "raw", "toy", "Real-IAD D3", ("rgb", "ps"))
    assert files.test[1].sources["ps"].name == "d_ps.jpg"
    points = (("rgb", "xyz"), ("xyz",))
    with pytest.raises(DataError, match=r"a\.tiff.*gives defective parts away. Take the PCD files.*a\.pcd is missing"):
        list_class(tmp_path / "raw", "toy", *points)
    for tiff in tmp_path.rglob("*.tiff"):
        tiff.with_suffix(".pcd").touch()
    files = list_class(tmp_path / "raw", "toy", *points)
    assert {sample.sources["xyz"].suffix for sample in (*files.train, *files.test)} == {".pcd"}
    with pytest.raises(DataError, match="has no 'infrared', only rgb, ps and 3D"):
        list_class(tmp_path / "raw", "toy", ("infrared",), ())


def flat_mesh() -> np.ndarray:
    """(N, 3, 3) triangles of a plate 2 cm wide, in metres, seen from above."""
    rows, columns = (axis.ravel() * 1e-3 for axis in np.mgrid[:20, :20])
    corners = np.stack([columns, rows, np.full(400, 0.3)], axis=-1)
    steps = np.array([[0, 0, 0], [1e-3, 0, 0], [0, 1e-3, 0]])
    return (corners[:, None] + steps).astype(np.float32)


def mulsen(root: Path) -> Path:
    for sensor in ("RGB", "Infrared"):
        draw(root, *(f"cube/{sensor}/{part}.png" for part in ("train/0", "train/1", "test/good/0", "test/hole/0")))
        draw(root, f"cube/{sensor}/test/hole/1.png")
    draw(root, "cube/RGB/GT/hole/0.png", "cube/Infrared/GT/hole/1.png")
    for part in ("train/0", "train/1", "test/good/0", "test/hole/0", "test/hole/1"):
        path = root / f"cube/Pointcloud/{part}.stl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_stl(path, flat_mesh(), text=False)
    table = root / "cube/RGB/GT/hole/data.csv"
    table.write_text("object,label1,label2,label3\n0,1,0,1\n1,0,1,0\n")
    return table


@pytest.mark.parametrize(("source", "kinds"), [("rgb", "hole good"), ("infrared", "good hole")])
def test_mulsen_ad_labels_a_part_by_what_the_sensor_shows(tmp_path: Path, source: str, kinds: str) -> None:
    mulsen(tmp_path)
    files = listed(tmp_path, "cube", "MulSen-AD", (source,))
    assert ids(files) == [["train/good/0", "train/good/1"], [], ["test/good/0", "test/hole/0", "test/hole/1"]]
    assert [sample.defect for sample in files.test] == ["good", *kinds.split()]
    assert [sample.mask is not None for sample in files.test] == [False, *(kind == "hole" for kind in kinds.split())]
    union = listed(tmp_path, "cube", "MulSen-AD", (f"{source}_union",))
    assert [sample.defect for sample in union.test] == ["good", "hole", "hole"]


def test_the_points_of_mulsen_ad_are_read_alone(tmp_path: Path) -> None:
    """Looked at from above, on the grid of the first part; without masks."""
    mulsen(tmp_path)
    files = list_class(tmp_path, "cube", ("xyz",), ("xyz",))
    assert ids(files) == [["train/good/0", "train/good/1"], [], ["test/good/0", "test/hole/0", "test/hole/1"]]
    assert [sample.defect for sample in files.test] == [
        "good",
        "hole",
        "good",
    ]  # the second hole shows in infrared only
    assert not any(sample.mask for sample in files.test)
    cloud = load_sample(files.train[0], ("xyz",), files.camera).arrays["xyz"]
    assert cloud.shape[0] > 15
    assert (cloud[..., 2] > 0).mean() > 0.7


def test_mulsen_ad_refuses_what_is_not_registered(tmp_path: Path) -> None:
    table = mulsen(tmp_path)
    with pytest.raises(DataError, match="do not show the same frame, so rgb and infrared cannot be compared"):
        list_class(tmp_path, "cube", ("rgb", "infrared"), ())
    with pytest.raises(DataError, match="has no 'ir'; its sources are rgb, infrared"):
        list_class(tmp_path, "cube", ("ir",), ())
    table.write_text("object,label1,label2,label3\n0,1,yes,1\n")
    with pytest.raises(DataError, match=r"data\.csv cannot be read: expected a part and three labels"):
        list_class(tmp_path, "cube", *RGB)


def test_ground_truth_beside_the_split_for_parts_of_several_sources(data: Path) -> None:
    """MVTec AD's place of the masks, in a class with a folder per source."""
    for kind in ("chip", "dent", "stain"):
        (data / "biscuit/ground_truth").mkdir(exist_ok=True)
        (data / f"biscuit/test/{kind}/gt").rename(data / f"biscuit/ground_truth/{kind}")
        (data / f"biscuit/ground_truth/{kind}/000.png").rename(data / f"biscuit/ground_truth/{kind}/000_mask.png")
    assert layout_of(data / "biscuit").name == "a folder per source"
    (data / "biscuit/rays.npy").touch()
    assert layout_of(data / "biscuit").name == "a folder per source"
    files = list_class(data, "biscuit", ("rgb", "xyz"), ("xyz",))
    assert [sample.mask is not None for sample in files.test] == [not sample.is_good for sample in files.test]
