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

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trd.data.bitmaps import read_bmp
from trd.data.decoding import decoded, head
from trd.data.exif import orientation_of, turned
from trd.data.jpeg import jpeg_end, jpeg_header
from trd.data.limits import check_picture, max_pixels
from trd.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp")
UNREAD_SUFFIXES = (".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".raw")  # what else cameras and tools write

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PALETTE = 3
PAINT = 0.5  # least share of a painted region that has its brightest value: its rim may be smoothed
JPEG_DEFECT, JPEG_NOISE = 128, 16  # values of masks: least of a defect, largest that compression makes of nothing


def read_image(path: Path) -> NDArray[np.generic]:
    """8- or 16-bit PNG, JPEG or BMP -> (H, W, 3), or (H, W) for grey, uint8 or uint16, turned as EXIF says; an alpha
    channel is dropped.

    Colours of a palette are looked up. Raises DataError for a missing, damaged or unsupported file, and for one of
    more pixels than the limit.
    """
    image, orientation = _decoded(path, check_picture)
    return turned(_without_alpha(image), orientation)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Ground truth PNG, BMP or JPEG -> (H, W) bool, True on the defect, turned as EXIF says.

    Any channel that is not 0 is defect: data sets store class numbers. Of a palette picture the stored numbers count,
    not the colours they are shown in. With transparency, what is transparent is no defect, and what is painted is,
    black too where nothing but black is painted. Of a JPEG, whose compression smears edges, values of 128 and more are
    defect. The files of a folder are masks of one picture, and united.

    Raises DataError as `read_image`, for a JPEG that is not empty but has no such value, for a folder without masks,
    and for masks of several sizes.
    """
    if path.is_dir():
        masks = [read_mask(file) for file in mask_files(path)]
        if len({mask.shape for mask in masks}) != 1:
            raise DataError(f"{path}: expected masks of one size for one picture, got {len(masks)}; unpack them again")
        return np.asarray(np.any(masks, axis=0))
    stored, orientation = _decoded(path, check_picture, as_numbers=True)
    channels = np.atleast_3d(cast(NDArray[np.uint16], stored))
    colours = channels[..., :-1] if channels.shape[2] in (2, 4) else channels
    if path.suffix.lower() not in (".png", ".bmp"):
        defect = (colours >= JPEG_DEFECT).any(axis=2)
        if not defect.any() and (largest := int(colours.max())) > JPEG_NOISE:
            raise DataError(
                f"{path}: the largest value of this JPEG mask is {largest}; compression smears small numbers, so of "
                f"JPEG masks only values of {JPEG_DEFECT} and more are defect: save the mask as PNG"
            )
    else:
        defect = _painted(channels)
    return turned(np.asarray(defect), orientation)


def png_mask(data: bytes, name: str) -> NDArray[np.bool_]:
    """The same of a PNG's content that somebody painted. name: for messages. Raises DataError for a damaged one, one of
    more pixels than the limit, and one whose painted pixels mostly differ, as a photograph's do."""
    try:
        height, width, colour_type = png_header(data[:64])
        check_picture(Path(name), height, width)
        stored, exif = _png_content(data, colour_type == PALETTE)
        channels = np.atleast_3d(cast(NDArray[np.uint16], stored))
        mask = _painted(channels)
        paint = channels[mask][:, :3].max(axis=1) if channels.shape[2] > 2 else channels[mask][:, 0]
        if paint.size and (paint == paint.max()).mean() < PAINT:
            raise DataError(f"{name} looks like a photograph: save what is painted alone, white on black")
        return turned(mask, orientation_of(exif))
    except DataError:
        raise
    except Exception as error:  # the codecs raise types of their own
        raise DataError(f"{name} is damaged: {error}; save the picture anew") from error


def _painted(channels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """(H, W) of a mask's (H, W, C), as `read_mask` says."""
    has_alpha = channels.shape[2] in (2, 4)
    marked = ((channels[..., :-1] if has_alpha else channels) != 0).any(axis=2)
    if has_alpha and (channels[..., -1] != channels[0, 0, -1]).any():
        opaque = channels[..., -1] != 0
        marked = marked & opaque if (marked & opaque).any() else opaque
    return np.asarray(marked)


def mask_files(path: Path) -> list[Path]:
    """The files of a mask: itself, or those of a folder of masks of one picture."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def picture(path: Path, check: Callable[[Path, int, int], None]) -> NDArray[np.generic]:
    """A PNG, JPEG or BMP as it is stored, whatever EXIF says, without alpha: of depth images."""
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
    elif suffix == ".bmp":
        image, orientation = decoded(path, lambda: _bmp(path, check, as_numbers)), 1
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
    image, exif = _png_content(path.read_bytes(), as_numbers)
    return image, orientation_of(exif)


def _png_content(data: bytes, as_numbers: bool) -> tuple[NDArray[np.generic], bytes]:
    """Pixels and EXIF data."""
    exif = _check_chunks(data)
    return _palette_numbers(data) if as_numbers else np.asarray(imagecodecs.png_decode(data)), exif


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


def _bmp(path: Path, check: Callable[[Path, int, int], None], as_numbers: bool) -> NDArray[np.generic]:
    if path.stat().st_size > 4 * max_pixels() + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes are too many for a BMP")
    return read_bmp(path.read_bytes(), lambda height, width: check(path, height, width), as_numbers)


def _jpeg(path: Path, check: Callable[[Path, int, int], None]) -> tuple[NDArray[np.generic], int]:
    if path.stat().st_size > 4 * max_pixels() + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes are too many for a JPEG")
    data = path.read_bytes()
    height, width, channels = jpeg_header(data)
    check(path, height, width)
    if channels not in (1, 3):
        raise DataError(
            f"{path} has {channels} channels (CMYK, as for printing), not grey or RGB: convert it to RGB, with the "
            "colour profile it was made for"
        )
    end, exif = jpeg_end(data)
    return np.asarray(imagecodecs.jpeg8_decode(data[:end])), orientation_of(exif)
