"""PNG, JPEG and BMP -> arrays: images and masks. Readers decode and check; they make no choices about the content.

Headers are read first: what is too large (`limits`) or of a kind that is not read is refused before it is decoded.

Libraries share the work on pictures, each for what the others lack:

- imagecodecs decodes PNG and JPEG, also with 16 bits per channel in colour, and writes both; it is also what tifffile
  decompresses with.
- tifffile reads and writes TIFF: float clouds, depth images and raw maps (`clouds`).
- Pillow gives the numbers of a palette mask, where imagecodecs gives colours; its antialiased bilinear resize is
  the published one (`trd.preprocess.image`).
- BMP is read here (`bitmaps`): nothing has to be decompressed.
- OpenCV reads no file here: it blurs, resizes maps and clouds, and draws.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trd.data.bitmaps import read_bmp
from trd.data.decoding import decoded, head
from trd.data.limits import check_picture, max_pixels
from trd.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
UNREAD_SUFFIXES = (".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".raw")  # what else cameras and tools write

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PALETTE = 3
JPEG_SCANS = 200  # a progressive picture has about ten; each costs the time of a whole picture


def read_image(path: Path) -> NDArray[np.generic]:
    """8- or 16-bit PNG, JPEG or BMP -> (H, W, 3), or (H, W) for grey, uint8 or uint16; an alpha channel is dropped.

    Colours of a palette are looked up. Raises DataError for a missing, damaged or unsupported file, and for one of
    more pixels than the limit.
    """
    return picture(path, check_picture)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Ground truth PNG -> (H, W) bool, True where any channel is not 0: data sets store class numbers.

    Of a palette picture the stored numbers count, not the colours they are shown in: number 0 is the background. The
    files of a folder are masks of one picture, and united. Raises DataError as `read_image`, for a folder without
    masks, and for masks of several sizes.
    """
    if path.is_dir():
        masks = [read_mask(file) for file in mask_files(path)]
        if len({mask.shape for mask in masks}) != 1:
            raise DataError(f"{path}: expected masks of one size for one picture, got {len(masks)}; unpack them again")
        return np.asarray(np.any(masks, axis=0))
    mask = picture(path, check_picture, as_numbers=True) != 0
    return np.asarray(mask.any(axis=2) if mask.ndim == 3 else mask)


def mask_files(path: Path) -> list[Path]:
    """The files of a mask: itself, or those of a folder of masks of one picture."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def picture(path: Path, check: Callable[[Path, int, int], None], as_numbers: bool = False) -> NDArray[np.generic]:
    """A PNG, JPEG or BMP; as_numbers: of a palette picture the numbers, not the colours that they stand for."""
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: unknown kind of image file; known: {', '.join(IMAGE_SUFFIXES)}")
    if suffix == ".png":
        height, width, colour_type = decoded(path, lambda: png_header(head(path)))
        check(path, height, width)
        has_numbers = as_numbers and colour_type == PALETTE
        image = decoded(path, lambda: _palette_numbers(path) if has_numbers else _png(path, height, width))
    elif suffix == ".bmp":
        image = decoded(path, lambda: _bmp(path, check, as_numbers))
    else:
        image = decoded(path, lambda: _jpeg(path, check))
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[..., :-1]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: expected an 8- or 16-bit grey or colour image, got {image.dtype} {image.shape}")
    return image


def png_header(head: bytes) -> tuple[int, int, int]:
    """Height, width and colour type."""
    if not head.startswith(PNG_START) or head[12:16] != b"IHDR":
        raise ValueError("it does not begin like a PNG")
    width, height, _, colour_type = struct.unpack(">IIBB", head[16:26])
    if colour_type not in PNG_CHANNELS:
        raise ValueError(f"there is no colour type {colour_type} in PNG")
    return height, width, colour_type


def _png(path: Path, height: int, width: int) -> NDArray[np.generic]:
    # The decoder takes the whole file: what is hidden behind a small picture must not fill the memory.
    if path.stat().st_size > 16 * height * width + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes for {height} x {width} pixels")
    data = path.read_bytes()
    _check_chunks(data)
    return np.asarray(imagecodecs.png_decode(data))


def _check_chunks(data: bytes) -> None:
    """Raises ValueError for a PNG that ends too early or whose checksums are wrong.

    The decoder finds that too, but keeps 27 kB for good each time (imagecodecs 2026.3): a station that is sent damaged
    files would grow. Chunks that are not needed to decode may be damaged, as for the decoder.
    """
    place, kind = len(PNG_START), b""
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
        place = end + 4


def _palette_numbers(path: Path) -> NDArray[np.generic]:
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image).copy()


def _bmp(path: Path, check: Callable[[Path, int, int], None], as_numbers: bool) -> NDArray[np.generic]:
    if path.stat().st_size > 4 * max_pixels() + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes are too many for a BMP")
    return read_bmp(path.read_bytes(), lambda height, width: check(path, height, width), as_numbers)


def _jpeg(path: Path, check: Callable[[Path, int, int], None]) -> NDArray[np.generic]:
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
    if data.count(b"\xff\xda") > JPEG_SCANS:
        raise ValueError(f"it consists of more than {JPEG_SCANS} scans")
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ValueError("it ends in the middle of the picture")  # the decoder would fill up with grey
    return np.asarray(imagecodecs.jpeg8_decode(data))


def _jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels from the start-of-frame segment."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG")
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise ValueError("its segments are not in order")
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker == 0xDA:
            break
        elif marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            precision, height, width, channels = struct.unpack(">BHHB", data[place + 4 : place + 10])
            if precision != 8:
                raise ValueError(f"it has {precision} bits per channel; JPEG with 8, or PNG with 16 are read")
            return height, width, channels
        else:
            place += 2 + (0 if marker in range(0xD0, 0xD9) or marker == 0x01 else _big16(data, place + 2))
    raise ValueError("no start of a frame comes before the picture")


def _big16(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")
