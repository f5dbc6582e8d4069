"""PNG and JPEG -> arrays: images and masks. Readers decode and check; they make no choices about the content.

Headers are read first: what is too large (`limits`) or of a kind that is not read is refused before it is decoded.

Four libraries share the work on pictures, each for what the others lack:

- imagecodecs decodes PNG and JPEG, also with 16 bits per channel in colour, and writes both; it is also what tifffile
  decompresses with.
- tifffile reads and writes TIFF: float clouds, depth images and raw maps (`clouds`).
- Pillow gives the numbers of a palette mask, where imagecodecs gives colours, and its
  antialiased bilinear resize is the published one (`trd.preprocess.image`).
- OpenCV reads no file here: it blurs, resizes maps and clouds, and draws.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trd.data.decoding import decoded, head
from trd.data.limits import check_picture, max_pixels
from trd.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
UNREAD_SUFFIXES = (".bmp", ".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".raw")  # what else cameras and tools write

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PALETTE = 3
JPEG_DEFECT, JPEG_NOISE = 128, 16  # values of masks: least of a defect, largest that compression makes of nothing
END, SCAN = 0xD9, 0xDA
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # in compressed data: neither a plain byte nor a restart
EXIF_START, EXIF_ENTRIES = b"Exif\0\0", 500
ORIENTATION = (0x0112, 3)  # tag and type of EXIF's entry
JPEG_SCANS = 200  # a progressive picture has about ten; each costs the time of a whole picture


def read_image(path: Path) -> NDArray[np.generic]:
    """8- or 16-bit PNG or JPEG -> (H, W, 3), or (H, W) for grey, uint8 or uint16, turned as EXIF says; an alpha channel
    is dropped.

    Colours of a palette are looked up. Raises DataError for a missing, damaged or unsupported file, and for one of
    more pixels than the limit.
    """
    image, orientation = _decoded(path, check_picture)
    return turned(_without_alpha(image), orientation)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Ground truth PNG or JPEG -> (H, W) bool, True on the defect, turned as EXIF says.

    Any channel that is not 0 is defect: data sets store class numbers. Of a palette picture the stored numbers count,
    not the colours they are shown in. With transparency, what is transparent is no defect, and what is painted is,
    black too where nothing but black is painted. Of a JPEG, whose compression smears edges, values of 128 and more are
    defect. Raises DataError as `read_image`, and for a JPEG that is not empty but has no such value.
    """
    stored, orientation = _decoded(path, check_picture, as_numbers=True)
    channels = np.atleast_3d(cast(NDArray[np.uint16], stored))
    has_alpha = channels.shape[2] in (2, 4)
    colours = channels[..., :-1] if has_alpha else channels
    if path.suffix.lower() != ".png":
        defect = (colours >= JPEG_DEFECT).any(axis=2)
        if not defect.any() and (largest := int(colours.max())) > JPEG_NOISE:
            raise DataError(
                f"{path}: the largest value of this JPEG mask is {largest}; compression smears small numbers, so of "
                f"JPEG masks only values of {JPEG_DEFECT} and more are defect: save the mask as PNG"
            )
    else:
        defect = (colours != 0).any(axis=2)
        if has_alpha and (channels[..., -1] != channels[0, 0, -1]).any():
            opaque = channels[..., -1] != 0
            defect = defect & opaque if (defect & opaque).any() else opaque
    return turned(np.asarray(defect), orientation)


def picture(path: Path, check: Callable[[Path, int, int], None]) -> NDArray[np.generic]:
    """A PNG or JPEG as it is stored, whatever EXIF says, without alpha: of depth images."""
    return _without_alpha(_decoded(path, check)[0])


def _decoded(
    path: Path, check: Callable[[Path, int, int], None], as_numbers: bool = False
) -> tuple[NDArray[np.generic], int]:
    """(H, W) or (H, W, C), and EXIF's orientation. as_numbers: of a palette picture the numbers, not the colours that
    they stand for."""
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: unknown kind of image file; known: {', '.join(IMAGE_SUFFIXES)}")
    if suffix == ".png":
        height, width, colour_type = decoded(path, lambda: png_header(head(path)))
        check(path, height, width)
        has_numbers = as_numbers and colour_type == PALETTE
        image, orientation = decoded(path, lambda: _png(path, height, width, has_numbers))
    else:
        image, orientation = decoded(path, lambda: _jpeg(path, check))
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: expected an 8- or 16-bit grey or colour image, got {image.dtype} {image.shape}")
    return image, orientation


def _without_alpha(image: NDArray[np.generic]) -> NDArray[np.generic]:
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[..., :-1]
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def png_header(head: bytes) -> tuple[int, int, int]:
    """Height, width and colour type."""
    if not head.startswith(PNG_START) or head[12:16] != b"IHDR":
        raise ValueError("it does not begin like a PNG")
    width, height, _, colour_type = struct.unpack(">IIBB", head[16:26])
    if colour_type not in PNG_CHANNELS:
        raise ValueError(f"there is no colour type {colour_type} in PNG")
    return height, width, colour_type


def _png(path: Path, height: int, width: int, as_numbers: bool) -> tuple[NDArray[np.generic], int]:
    # The decoder takes the whole file: what is hidden behind a small picture must not fill the memory.
    if path.stat().st_size > 16 * height * width + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes for {height} x {width} pixels")
    data = path.read_bytes()
    exif = _check_chunks(data)
    return _palette_numbers(data) if as_numbers else np.asarray(imagecodecs.png_decode(data)), orientation_of(exif)


def _check_chunks(data: bytes) -> bytes:
    """EXIF data, empty where there are none. Raises ValueError for a PNG that ends too early or whose checksums are
    wrong.

    The decoder finds that too, but keeps 27 kB for good each time (imagecodecs 2026.3): a station that is sent damaged
    files would grow. Chunks that are not needed to decode may be damaged, as for the decoder.
    """
    place, kind, exif = len(PNG_START), b"", b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ValueError("it ends too early")
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 8 + size
        if end + 4 > len(data):
            raise ValueError("it ends too early")
        stored = int.from_bytes(data[end : end + 4], "big")
        if kind[:1].isupper() and zlib.crc32(memoryview(data)[place + 4 : end]) != stored:
            raise ValueError(f"the checksum of its part {kind!r} is wrong")
        if kind == b"eXIf":
            exif = data[place + 8 : end]
        place = end + 4
    return exif


def _palette_numbers(data: bytes) -> NDArray[np.generic]:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image).copy()


def _jpeg(path: Path, check: Callable[[Path, int, int], None]) -> tuple[NDArray[np.generic], int]:
    if path.stat().st_size > 4 * max_pixels() + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes are too many for a JPEG")
    data = path.read_bytes()
    height, width, channels = _jpeg_header(data)
    check(path, height, width)
    if channels not in (1, 3):
        raise DataError(
            f"{path} has {channels} channels (CMYK, as for printing), not grey or RGB: convert it to RGB, with the "
            "colour profile it was made for"
        )
    end, exif = _jpeg_end(data)
    return np.asarray(imagecodecs.jpeg8_decode(data[:end])), orientation_of(exif)


def _jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels from the start-of-frame segment."""
    for marker, place in _jpeg_segments(data):
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            precision, height, width, channels = struct.unpack(">BHHB", data[place + 4 : place + 10])
            if precision != 8:
                raise ValueError(f"it has {precision} bits per channel; JPEG with 8, or PNG with 16 are read")
            return height, width, channels
        if marker == SCAN:
            break
    raise ValueError("no start of a frame comes before the picture")


def _jpeg_end(data: bytes) -> tuple[int, bytes]:
    """Where the picture ends, whatever lies behind it, as phones keep films there; and EXIF data, empty without.

    Raises ValueError for a picture that is not whole: the decoder would fill it up with grey.
    """
    scans, exif = 0, b""
    for marker, place in _jpeg_segments(data):
        if marker == END:
            return place + 2, exif
        if marker == SCAN:
            scans += 1
            if scans > JPEG_SCANS:
                raise ValueError(f"it consists of more than {JPEG_SCANS} scans")
        elif marker == 0xE1 and data.startswith(EXIF_START, place + 4):
            exif = data[place + 4 : place + 2 + _big16(data, place + 2)]
    raise ValueError("it ends in the middle of the picture")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
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


def orientation_of(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1, as stored, where it says none or is damaged: viewers show the picture then."""
    values = exif.removeprefix(EXIF_START)
    order = {b"II": "<", b"MM": ">"}.get(values[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", values, 4)
        (count,) = struct.unpack_from(f"{order}H", values, start)
        for entry in range(min(count, EXIF_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", values, start + 2 + 12 * entry)
            if (tag, kind) == ORIENTATION and value in range(1, 9):
                return int(value)
    except struct.error:
        pass
    return 1


def turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, ...) stored pixels -> as viewers show them. orientation: EXIF's, of which 5 to 8 exchange the sides."""
    if orientation == 1:
        return image
    if orientation > 4:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
