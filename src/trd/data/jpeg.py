"""JPEG files as bytes: size, where the picture ends, EXIF data; read from the segments, before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from trd.data.exif import EXIF_START

SCANS = 200  # a progressive picture has about ten; each costs the time of a whole picture
END, SCAN, APPLICATION_1 = 0xD9, 0xDA, 0xE1
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # in compressed data: neither a plain byte nor a restart


def jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels from the start-of-frame segment."""
    for marker, place in _segments(data):
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            precision, height, width, channels = struct.unpack(">BHHB", data[place + 4 : place + 10])
            if precision != 8:
                raise ValueError(f"it has {precision} bits per channel; JPEG with 8, or PNG with 16 are read")
            return height, width, channels
        if marker == SCAN:
            break
    raise ValueError("no start of a frame comes before the picture")


def jpeg_end(data: bytes) -> tuple[int, bytes]:
    """Where the picture ends, whatever lies behind it, as phones keep films there; and EXIF data, empty without.

    Raises ValueError for a picture that is not whole: the decoder would fill it up with grey.
    """
    scans, exif = 0, b""
    for marker, place in _segments(data):
        if marker == END:
            return place + 2, exif
        if marker == SCAN:
            scans += 1
            if scans > SCANS:
                raise ValueError(f"it consists of more than {SCANS} scans")
        elif marker == APPLICATION_1 and data.startswith(EXIF_START, place + 4):
            exif = data[place + 4 : place + 2 + _big16(data, place + 2)]
    raise ValueError("it ends in the middle of the picture")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, place of its first byte) of each segment; a scan's compressed data are passed over."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG")
    place = 2
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            raise ValueError("its segments are not in order")
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        yield marker, place
        place += 2 + (0 if marker in range(0xD0, 0xDA) or marker == 0x01 else _big16(data, place + 2))
        if marker == SCAN:
            following = MARKER.search(data, place)
            if following is None:
                return
            place = following.start()


def _big16(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")
