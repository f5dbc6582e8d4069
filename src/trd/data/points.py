"""PLY and PCD -> points (N, 3), and the colours of PCD. What is read is read after the header has been checked.

Damaged files raise ValueError saying what is wrong, or any other exception of the decoders; files beyond the limits
raise DataError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from trd.data.limits import POINT_BYTES, check_cloud

HEADER_LINES, LINE_BYTES = 1000, 4096  # longer ones belong to no file that a scanner wrote

_PLY_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_PLY_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_PCD_TYPES = {("F", 4), ("F", 8), *((kind, size) for kind in "UI" for size in (1, 2, 4, 8))}


@dataclass(frozen=True)
class _Element:
    """A table of a PLY file: property names and types, None for a list, whose rows have no fixed length."""

    name: str
    count: int
    properties: list[tuple[str, str | None]]


def read_ply_points(path: Path) -> NDArray[np.float32]:
    """x, y, z of the vertices, (N, 3) float32. What follows them (faces) is not read."""
    with path.open("rb") as file:
        order, elements = _ply_header(file)
        for element in elements:
            check_cloud(path, max(1, element.count), f"{element.count} rows of '{element.name}'")
            if element.name == "vertex":
                check_cloud(path, element.count, f"{element.count} points")
            if any(kind is None for _, kind in element.properties):
                raise ValueError(f"'{element.name}' holds lists; points with x, y, z and single numbers are read")
            names = [name for name, _ in element.properties]
            if element.name != "vertex":
                if order:
                    file.seek(element.count * _row(element, order).itemsize, 1)
                else:
                    for _ in islice(_lines(file), element.count):
                        pass
                continue
            if not {"x", "y", "z"} <= set(names):
                raise ValueError(f"the vertices have {', '.join(names)}; x, y and z are needed")
            if not order:
                return _text_columns(file, [names.index(axis) for axis in "xyz"], element.count)
            row = _row(element, order)
            rows = np.frombuffer(_data(file, path, element.count * row.itemsize, element.count), row)
            return _stacked(rows["x"], rows["y"], rows["z"])
    raise ValueError("there is no element 'vertex'")


def read_pcd_points(path: Path) -> tuple[NDArray[np.float32], int, int]:
    """x, y, z (N, 3) float32, and the height and width that the file states (height 1: not organised)."""
    with path.open("rb") as file:
        header = _pcd_header(file)
        columns, height, width = _pcd_columns(file, path, header, ("x", "y", "z"))
    return _stacked(*columns), height, width


def read_pcd_colours(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of an organised file: a packed field rgb or rgba, or the fields r, g and b."""
    with path.open("rb") as file:
        header = _pcd_header(file)
        packed = next((name for name in ("rgb", "rgba") if name in header["FIELDS"]), None)
        names = (packed,) if packed else ("r", "g", "b")
        if not set(names) <= set(header["FIELDS"]):
            raise ValueError(f"it carries no colour: its fields are {' '.join(header['FIELDS'])[:60]}, none is rgb")
        columns, height, width = _pcd_columns(file, path, header, names)
    if height < 2 or height * width != len(columns[0]):
        raise ValueError("its points are not organised (HEIGHT 1), so their colours make no picture")
    if packed:
        (column,) = columns
        if header["TYPE"][header["FIELDS"].index(packed)] == "F":  # the bits of a float stand for the whole number
            column = np.ascontiguousarray(column, np.float32).view(np.uint32)
        whole = column.astype(np.uint32)
        columns = [(whole >> shift).astype(np.uint8) for shift in (16, 8, 0)]
    return np.stack([column.astype(np.uint8) for column in columns], axis=-1).reshape(height, width, 3)


def _pcd_columns(
    file: BinaryIO, path: Path, header: dict[str, list[str]], wanted: tuple[str, ...]
) -> tuple[list[NDArray[Any]], int, int]:
    """The fields of these names, and the height and width that the file states."""
    names = header["FIELDS"]
    sizes = [_whole(text) for text in header["SIZE"]]
    counts = [_whole(text) for text in header.get("COUNT", ["1"] * len(names))]
    kinds = header["TYPE"]
    if not len(names) == len(sizes) == len(counts) == len(kinds):
        raise ValueError("FIELDS, SIZE, TYPE and COUNT are not of one length")
    if any(field not in _PCD_TYPES for field in zip(kinds, sizes, strict=True)):
        raise ValueError(f"fields of TYPE {' '.join(kinds)} and SIZE {' '.join(header['SIZE'])} are not known")
    places = [names.index(name) for name in wanted]  # ValueError names the one that is missing
    if any(counts[place] != 1 for place in places):
        raise ValueError(f"{', '.join(wanted[:-1])} and {wanted[-1]} must have COUNT 1")
    height, width = _whole(header.get("HEIGHT", ["1"])[0]), _whole(header["WIDTH"][0])
    points = _whole(header.get("POINTS", [str(height * width)])[0])
    check_cloud(path, points, f"{points} points")
    if sum(counts) > LINE_BYTES:
        raise ValueError(f"each point has {sum(counts)} numbers")
    encoding = header["DATA"][0].lower()
    widths = [size * count for size, count in zip(sizes, counts, strict=True)]
    types = [f"<{kinds[place].lower()}{sizes[place]}" for place in places]
    starts = [sum(widths[:place]) for place in places]
    if encoding == "ascii":
        table = _text_columns(file, [sum(counts[:place]) for place in places], points, np.float64)
        return list(table.T), height, width
    if encoding == "binary":
        data = _data(file, path, points * sum(widths), points)
        row = np.dtype({"names": wanted, "formats": types, "offsets": starts, "itemsize": sum(widths)})
        rows = np.frombuffer(data, row)
        return [rows[name] for name in wanted], height, width
    if encoding != "binary_compressed":
        raise ValueError(f"DATA {encoding} is not known; ascii, binary and binary_compressed are read")
    packed, unpacked = struct.unpack("<II", _data(file, path, 8, points))
    if unpacked != points * sum(widths):
        raise ValueError(f"{points} points take {points * sum(widths)} bytes, {unpacked} are declared")
    _check_bytes(path, unpacked, points)
    data = bytes(imagecodecs.lzf_decode(_data(file, path, packed, points), out=unpacked))
    if len(data) != unpacked:
        raise ValueError(f"{len(data)} of {unpacked} bytes could be unpacked")
    # compressed files hold all x, then all y, and so on
    return (
        [np.frombuffer(data, t, points, start * points) for t, start in zip(types, starts, strict=True)],
        height,
        width,
    )


def _ply_header(file: BinaryIO) -> tuple[str, list[_Element]]:
    if file.readline(LINE_BYTES).strip() != b"ply":
        raise ValueError("it does not begin with 'ply'")
    order: str | None = None
    elements: list[_Element] = []
    for _ in range(HEADER_LINES):
        words = file.readline(LINE_BYTES).decode("ascii", "replace").split()
        match words:
            case ["format", name, *_]:
                order = _PLY_ORDERS[name]
            case ["element", name, count]:
                elements.append(_Element(name, _whole(count), []))
            case ["property", "list", _, _, name] if elements:
                elements[-1].properties.append((name, None))
            case ["property", kind, name] if elements:
                elements[-1].properties.append((name, _PLY_TYPES[kind]))
            case ["comment" | "obj_info", *_] | []:
                pass
            case ["end_header"]:
                if order is None:
                    raise ValueError("the header names no format")
                return order, elements
            case _:
                raise ValueError(f"unknown header line '{' '.join(words)[:60]}'")
    raise ValueError("the header does not end")


def _pcd_header(file: BinaryIO) -> dict[str, list[str]]:
    header: dict[str, list[str]] = {}
    for _ in range(HEADER_LINES):
        line = file.readline(LINE_BYTES)
        words = line.decode("ascii", "replace").split()
        if not line:
            break
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 1:
            header[words[0].upper()] = words[1:]
        if words[0].upper() == "DATA":
            missing = [key for key in ("FIELDS", "SIZE", "TYPE", "WIDTH", "DATA") if key not in header]
            if missing:
                raise ValueError(f"the header lacks {', '.join(missing)}")
            return header
    raise ValueError("the header does not end in a line DATA")


def _row(element: _Element, order: str) -> np.dtype[np.void]:
    return np.dtype([(name, f"{order}{kind}") for name, kind in element.properties])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"'{text[:40]}' is not a whole number of 0 or more")
    return int(text)


def _check_bytes(path: Path, size: int, points: int) -> None:
    """Many bytes per point are fine where there are few points."""
    check_cloud(path, -(-size // POINT_BYTES), f"{points} points of {size // max(points, 1)} bytes each")


def _data(file: BinaryIO, path: Path, size: int, points: int) -> bytes:
    """The next `size` bytes; ValueError where the file holds fewer, before memory is taken for them."""
    _check_bytes(path, max(size, 1), points)
    left = path.stat().st_size - file.tell()
    if left < size:
        raise ValueError(f"{points} points are declared, {size} bytes of data, but {max(left, 0)} are there")
    return file.read(size)


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines of numbers, without empty ones."""
    while line := file.readline(LINE_BYTES * 4):
        if len(line) == LINE_BYTES * 4:
            raise ValueError("a line is too long for a table of points")
        if line.strip():
            yield line.decode("ascii", "replace")


def _text_columns(
    file: BinaryIO, columns: list[int], count: int, kind: type[np.floating[Any]] = np.float32
) -> NDArray[Any]:
    lines = islice(_lines(file), count)
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{count} points are declared, none is there")
    with np.errstate(over="ignore"):
        table = np.loadtxt(chain([first], lines), kind, comments=None, usecols=columns, ndmin=2)
    if len(table) != count:
        raise ValueError(f"{count} points are declared, {len(table)} are there")
    return np.asarray(table)


def _stacked(*axes: NDArray[np.generic]) -> NDArray[np.float32]:
    points = np.empty((len(axes[0]), 3), np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and the point missing
        for column, axis in enumerate(axes):
            points[:, column] = axis
    return points
