"""STL, OBJ and XYZ -> points (N, 3) float32: the vertices of meshes, or a line of numbers for each point.

Damaged files raise ValueError saying what is wrong, or any other exception of the decoders; files beyond the limits
raise DataError before memory is taken for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trd.data.limits import check_cloud

LINE_BYTES = 4096
STL_HEAD, FACET = 84, np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
SEPARATORS = str.maketrans(",;\t", "   ")


def read_mesh_points(path: Path) -> NDArray[np.float32]:
    """Vertices of a binary or ASCII STL (each once), of an OBJ, or the lines `x y z ...` of an XYZ file.

    XYZ: numbers apart by blanks, tabs, commas or semicolons; lines that do not begin with three numbers may come first.
    """
    with path.open("rb") as file:
        if path.suffix.lower() == ".stl":
            corners = _binary_facets(file, path) if _is_binary(file, path) else _text_points(_stl_lines(file), path)
            return np.unique(corners, axis=0)
        return _text_points(_obj_lines(file) if path.suffix.lower() == ".obj" else _xyz_lines(file), path)


def _is_binary(file: BinaryIO, path: Path) -> bool:
    """Some binary files begin with `solid` too: then their size tells."""
    head = file.read(STL_HEAD)
    file.seek(0)
    count = int.from_bytes(head[80:84], "little")
    return not head.lstrip().startswith(b"solid") or path.stat().st_size == STL_HEAD + count * FACET.itemsize


def _binary_facets(file: BinaryIO, path: Path) -> NDArray[np.float32]:
    head = file.read(STL_HEAD)
    if len(head) < STL_HEAD:
        raise ValueError("it ends within the header")
    count = int.from_bytes(head[80:84], "little")
    check_cloud(path, count, f"{count} triangles")
    left = path.stat().st_size - STL_HEAD
    if left < count * FACET.itemsize:
        raise ValueError(f"{count} triangles are declared, {count * FACET.itemsize} bytes, but {left} are there")
    return np.frombuffer(file.read(count * FACET.itemsize), FACET)["corners"].reshape(-1, 3)


def _lines(file: BinaryIO) -> Iterator[str]:
    while line := file.readline(LINE_BYTES):
        if len(line) == LINE_BYTES:
            raise ValueError("a line is too long for a list of points")
        yield line.decode("ascii", "replace").strip()


def _stl_lines(file: BinaryIO) -> Iterator[str]:
    for line in _lines(file):
        word, _, rest = line.partition(" ")
        if word.lower() == "vertex":
            yield rest


def _obj_lines(file: BinaryIO) -> Iterator[str]:
    return (line[2:] for line in _lines(file) if line.startswith(("v ", "v\t")))


def _xyz_lines(file: BinaryIO) -> Iterator[str]:
    begun = False
    for line in _lines(file):
        words = line.translate(SEPARATORS).split(None, 3)
        if begun or _are_numbers(words[:3]):
            begun = True
            if words:
                yield " ".join(words[:3])


def _are_numbers(words: list[str]) -> bool:
    try:
        return len([float(word) for word in words]) == 3
    except ValueError:
        return False


def _text_points(lines: Iterator[str], path: Path) -> NDArray[np.float32]:
    """The first three numbers of each line, some thousand lines at a time."""
    blocks: list[NDArray[np.float32]] = []
    count = 0
    for block in _blocks(lines):
        count += len(block)
        check_cloud(path, count, f"{count} points or more")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the caller refuses
            blocks.append(np.loadtxt(block, np.float32, comments=None, usecols=(0, 1, 2), ndmin=2))
    if not blocks:
        raise ValueError("it holds no points")
    return np.concatenate(blocks)


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == 1 << 16:
            yield block
            block = []
    if block:
        yield block
