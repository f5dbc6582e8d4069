"""Data sets as downloaded, drawn with pictures of 8 x 8 pixels."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from writing import write_stl

SPOT = np.zeros((8, 8), np.uint8)
SPOT[2:4, 5] = 7  # a number of a defect kind


def draw(root: Path, *paths: str, image: np.ndarray | None = None) -> None:
    """Pictures, or masks with a spot where the name says so."""
    for path in paths:
        is_mask = any(word in path for word in ("mask", "Mask", "ground_truth", "GT"))
        chosen = image if image is not None else SPOT if is_mask else np.full((8, 8, 3), 90, np.uint8)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chosen).save(root / path)


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
