"""PNG and JPEG: what they hold is read, and what is damaged or no picture is refused."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from damage import valid_files
from PIL import Image
from pinhole import CAMERA

from trd.data.clouds import read_cloud
from trd.data.images import read_image, read_mask
from trd.errors import DataError

DAMAGED = valid_files()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_png_of_both_depths(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    read = read_image(tmp_path / "a.png")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


def test_jpeg_and_dropped_alpha(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 120, np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(image))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - 120).max() < 3
    rgba = np.dstack([image, np.full((16, 16), 9, np.uint8)])
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(rgba))
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), image)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
@pytest.mark.parametrize("width", [13, 16])  # lines are filled up to four bytes
def test_bmp_as_another_reader_has_it(tmp_path: Path, mode: str, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (9, width, 3)).astype(np.uint8)
    image = Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "a.bmp")
    expected = np.asarray(image.convert("L" if mode in "1L" else "RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), expected)


def test_bmp_from_top_to_bottom_masks_and_what_is_not_read(tmp_path: Path) -> None:
    image = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
    path = tmp_path / "a.bmp"
    Image.fromarray(image).save(path)
    data = bytearray(path.read_bytes())
    data[22:26] = (-6).to_bytes(4, "little", signed=True)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_image(path), image[::-1])
    mask = Image.new("P", (4, 4))
    mask.putdata([0] * 15 + [1])
    mask.putpalette([200, 200, 200, 0, 0, 0])
    mask.save(path)
    assert read_mask(path).sum() == 1
    assert (read_image(path) == 200).sum() == 15
    data[30] = 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.bmp cannot be read.*compression 1; uncompressed 8, 24 or 32"):
        read_image(path)
    data[30] = 0
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"a\.bmp cannot be read.*ends in the middle"):
        read_image(path)
    data[18:26] = (20000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"20000 x 20000 pixels, more than the limit"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damaged_images(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    encode = imagecodecs.png_encode if name.endswith("png") else imagecodecs.jpeg_encode
    whole = encode(image)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if name.endswith("png") else whole[:200])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_image(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / f"not-{name}")


def test_masks_are_any_non_zero_value(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 1], mask[2, 2] = 253, 1
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(mask))
    assert read_mask(tmp_path / "a.png").sum() == 2


def test_a_picture_for_printing_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 200, 200, 40)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg has 4 channels \(CMYK.*convert it to RGB"):
        read_image(tmp_path / "a.jpg")


def test_a_truncated_jpeg_is_not_filled_up_with_grey(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = bytes(imagecodecs.jpeg_encode(picture))
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(DataError, match=r"a\.jpg cannot be read: it ends in the middle"):
        read_image(tmp_path / "a.jpg")


def test_palettes(tmp_path: Path) -> None:
    """A mask's numbers count, not their colours; a colour picture's colours do."""
    (tmp_path / "a.png").write_bytes(DAMAGED["palette.png"][0])  # 0 light grey, 1 red, 2 black
    with Image.open(tmp_path / "a.png") as stored:
        numbers, colours = np.asarray(stored), np.asarray(stored.convert("RGB"))
    assert set(np.unique(numbers)) == {0, 1, 2}
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), numbers != 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours)
    with pytest.raises(DataError, match="colour picture, not a depth image"):
        read_cloud(tmp_path / "a.png", CAMERA)


@pytest.mark.parametrize("damage", ["flipped", "cut", "no end"])
def test_a_damaged_png_does_not_reach_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """It would keep memory for good each time; what is not needed to decode may be damaged."""
    data = bytearray(imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)))
    comment = b"\x00\x00\x00\x02tEXtab\x00\x00\x00\x00"  # its checksum is wrong
    (tmp_path / "good.png").write_bytes(data[:33] + comment + data[33:])
    assert read_image(tmp_path / "good.png").shape == (20, 30, 3)
    monkeypatch.setattr(imagecodecs, "png_decode", lambda *_: pytest.fail("it was decoded"))
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[len(data) // 2 if damage == "cut" else -12 :]
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(DataError, match="bad.png cannot be read: (the checksum of its part|it ends too early)"):
        read_image(tmp_path / "bad.png")


def turned_by_a_viewer(image: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels that viewers show as `image`, by Pillow's own reading of EXIF."""
    from PIL import Image, ImageOps

    for steps in range(4):
        for mirrored in (False, True):
            stored = np.rot90(image[:, ::-1] if mirrored else image, steps).copy()
            picture = Image.fromarray(stored)
            picture.getexif()[0x0112] = orientation
            if np.array_equal(np.asarray(ImageOps.exif_transpose(picture)), image):
                return stored
    raise AssertionError(orientation)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".jfif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_exif_says(tmp_path: Path, orientation: int, ending: str) -> None:
    from PIL import Image

    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :16], image[8:, 16:] = (250, 10, 10), (10, 250, 10)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{ending}"
    stored = Image.fromarray(turned_by_a_viewer(image, orientation))
    stored.save(path, "PNG" if ending == ".png" else "JPEG", exif=exif, quality=97, subsampling=0)
    shown = read_image(path)
    assert shown.shape == image.shape
    assert np.abs(shown.astype(int) - image).mean() < 3
    np.testing.assert_array_equal(read_mask(path)[:8, :16], True)


def test_damaged_exif_turns_nothing(tmp_path: Path) -> None:
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def jpeg(tmp_path: Path, **options: object) -> bytes:
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "whole.jpg", quality=90, **options)
    return (tmp_path / "whole.jpg").read_bytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_what_lies_behind_a_jpeg_is_not_looked_at(tmp_path: Path, options: dict[str, object]) -> None:
    """A film, as phones keep there, has bytes that look like scans."""
    whole = jpeg(tmp_path, **options)
    (tmp_path / "a.jpg").write_bytes(whole + b"ftypmp42" + 500 * b"\xff\xda\x00\x08")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), read_image(tmp_path / "whole.jpg"))
    for share in (0.3, 0.6, 0.99):
        (tmp_path / "a.jpg").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="cannot be read: it ends in the middle of the picture|no start of a frame"):
            read_image(tmp_path / "a.jpg")


def test_what_is_transparent_in_a_mask_is_no_defect(tmp_path: Path) -> None:
    from PIL import Image

    defect = np.zeros((20, 30), bool)
    defect[5:9, 7:20] = True
    red_on_white = np.full((20, 30, 4), (255, 255, 255, 0), np.uint8)
    red_on_white[defect] = 255, 0, 0, 255
    black = np.zeros((20, 30, 4), np.uint8)
    black[defect] = 0, 0, 0, 255
    white_on_black_part = np.zeros((20, 30, 4), np.uint8)
    white_on_black_part[2:18, 2:28] = 0, 0, 0, 255
    white_on_black_part[defect] = 255, 255, 255, 255
    half = np.zeros((20, 30, 2), np.uint8)
    half[defect] = 90, 128
    opaque = np.zeros((20, 30, 4), np.uint8)
    opaque[..., 3] = 255
    opaque[defect] = 3, 0, 0, 255
    for values in (red_on_white, black, white_on_black_part, half, opaque):
        Image.fromarray(values).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), defect)


def test_jpeg_masks(tmp_path: Path) -> None:
    """Quality 50 smears the edge; class numbers are lost in it."""
    from PIL import Image

    defect = np.zeros((64, 64), bool)
    defect[21:40, 13:33] = True
    Image.fromarray((defect * 255).astype(np.uint8)).save(tmp_path / "mask.jpg", quality=50)
    assert (read_mask(tmp_path / "mask.jpg") != defect).sum() <= 2
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "mask.jpg")
    assert not read_mask(tmp_path / "mask.jpg").any()
    Image.fromarray((defect * 40).astype(np.uint8)).save(tmp_path / "mask.jpg")
    with pytest.raises(DataError, match="the largest value of this JPEG mask is 4[0-9]; .* save the mask as PNG"):
        read_mask(tmp_path / "mask.jpg")
