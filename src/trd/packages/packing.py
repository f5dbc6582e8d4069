"""How a package's members are stored: each in the smallest of a few ways, all of them in the standard library.

Weights hardly compress as they are: of a float32, sign and exponent repeat, the other bytes look random, and they lie
in turns. With the same byte of all numbers side by side, deflate finds what repeats.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL, QUICK = 9, 4  # of deflate: of weights the second leaves 1 % more, in a tenth of the time
SMALL = 2**21  # bytes; up to there LZMA is tried too. Of weights it saves 1 % and takes ten times as long to read
LARGE = 2**26  # bytes; from there on packing is QUICK: networks of the paper's size take minutes otherwise
SAMPLE = 2**20  # bytes, of more than SMALL, that decide on the order
Word = Literal[1, 4]
ERRORS = (zlib.error, lzma.LZMAError)
"""What unpacking damaged bytes may raise, beside what `zipfile` raises of its own."""


@dataclass(frozen=True)
class Packed:
    """data: what the ZIP file's `method` compresses, at `level`. word: 4 where `unpacked` must bring the bytes back in
    order."""

    data: bytes
    method: int
    word: Word
    level: int = LEVEL


def as_it_is(data: bytes) -> Packed:
    return Packed(data, zipfile.ZIP_DEFLATED, 1)


def not_at_all(data: bytes) -> Packed:
    """For a package that is read once."""
    return Packed(data, zipfile.ZIP_STORED, 1)


def packed(data: bytes) -> Packed:
    if len(data) > SMALL:
        start = (len(data) - SAMPLE) // 8 * 4  # in the middle, where a number begins
        word = _smallest(data[start : start + SAMPLE], lzma_too=False).word
        level = QUICK if len(data) > LARGE else LEVEL
        return Packed(data if word == 1 else _byte_by_byte(data), zipfile.ZIP_DEFLATED, word, level)
    return _smallest(data, lzma_too=True)


def _smallest(data: bytes, lzma_too: bool) -> Packed:
    orders: list[tuple[bytes, Word]] = [(data, 1), (_byte_by_byte(data), 4)]
    candidates = [
        (len(zlib.compress(stored, LEVEL)), Packed(stored, zipfile.ZIP_DEFLATED, word)) for stored, word in orders
    ]
    if lzma_too:
        candidates += [(len(lzma.compress(stored)), Packed(stored, zipfile.ZIP_LZMA, word)) for stored, word in orders]
    return min(candidates, key=lambda candidate: candidate[0])[1]


def unpacked(stored: bytes, word: Word) -> bytes:
    if word == 1:
        return stored
    length = len(stored) // word * word
    numbers = np.frombuffer(stored, np.uint8, length).reshape(word, -1)
    return numbers.T.tobytes() + stored[length:]


def _byte_by_byte(data: bytes) -> bytes:
    """The first bytes of all float32, then all second ones, and so on; what is left over at the end stays there."""
    length = len(data) // 4 * 4
    numbers = np.frombuffer(data, np.uint8, length).reshape(-1, 4)
    return numbers.T.tobytes() + data[length:]
