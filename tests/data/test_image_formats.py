"""One image of every awkward kind, made here, read upright as RGB."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.data.ingestion.image_formats import is_plain_jpeg, open_image, read_image
from support.messages import mentioning

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def halves(mode="RGB"):
    """Red above blue, 8 x 4."""
    image = Image.new("RGB", (8, 4), RED)
    image.paste(BLUE, (0, 2, 8, 4))
    return image.convert(mode)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def close(pixel, color, tolerance=40):
    return np.abs(np.asarray(pixel, int) - color).max() <= tolerance


def is_plain(contents):
    with open_image(contents) as image:
        return is_plain_jpeg(image)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("plain.jpg", "RGB", {"quality": 95}),
        ("cmyk.jpg", "CMYK", {"quality": 95}),
        ("image.png", "RGB", {}),
        ("palette.gif", "P", {}),
        ("image.bmp", "RGB", {}),
        ("image.tiff", "RGB", {}),
        ("image.webp", "RGB", {"lossless": True}),
        ("progressive.jpg", "RGB", {"progressive": True, "quality": 95}),
    ],
)
def test_formats(tmp_path, name, mode, options):
    image = read_image(saved(tmp_path / name, halves(mode), **options))
    assert image.shape == (4, 8, 3) and image.dtype == np.uint8
    assert close(image[0, 0], RED) and close(image[3, 7], BLUE)


def test_a_wrong_suffix_does_not_matter(tmp_path):
    halves().save(tmp_path / "image.png")
    (tmp_path / "image.png").rename(tmp_path / "image.jpg")
    assert close(read_image(tmp_path / "image.jpg")[0, 0], RED)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "turned.jpg", halves(), exif=exif, quality=95)
    image = read_image(path)
    assert image.shape == (8, 4, 3)
    assert close(image[4, 3], RED) and close(image[4, 0], BLUE)
    assert not is_plain(path.read_bytes())


def test_transparency_is_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert close(read_image(saved(tmp_path / "clear.png", clear))[0, 0], WHITE, 0)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *BLUE])
    assert close(read_image(saved(tmp_path / "clear.gif", palette, transparency=0))[0, 0], WHITE, 0)


def test_sixteen_bit_gray_keeps_its_upper_byte(tmp_path):
    gray = Image.fromarray(np.array([[0, 256 * 100 + 7, 65535]], np.uint16))
    np.testing.assert_array_equal(read_image(saved(tmp_path / "deep.png", gray))[0, :, 0], [0, 100, 255])


def test_transparent_sixteen_bit_gray_is_white(tmp_path):
    gray = Image.fromarray(np.array([[0x1234, 0x1235, 0x8000]], np.uint16))
    path = saved(tmp_path / "deep.png", gray, transparency=0x1234)
    with Image.open(path) as image:
        assert image.info["transparency"] == 0x1234
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [255, 0x12, 0x80])


def palette_bmp(bits, rows, compression=0):
    """A BMP file of 4 x 2 pixels with a palette of red, blue and white."""
    colors = b"".join(bytes([*color[::-1], 0]) for color in (RED, BLUE, WHITE)[: 2 if bits == 1 else 3])
    start = 14 + 40 + len(colors)
    head = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, compression, len(rows), 0, 0, len(colors) // 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + head + colors + rows


@pytest.mark.parametrize(
    ("contents", "last"),
    [
        # Rows from the bottom to the top, each padded to four bytes.
        (palette_bmp(8, bytes([1, 1, 1, 2, 0, 0, 0, 0])), WHITE),
        (palette_bmp(4, bytes([0x11, 0x12, 0, 0, 0, 0, 0, 0])), WHITE),
        (palette_bmp(1, bytes([0xF0, 0, 0, 0, 0, 0, 0, 0])), BLUE),
        (palette_bmp(8, bytes([3, 1, 1, 2, 0, 0, 4, 0, 0, 0, 0, 1]), 1), WHITE),
        (palette_bmp(4, bytes([3, 0x11, 1, 0x20, 0, 0, 4, 0, 0, 0, 0, 1]), 2), WHITE),
    ],
    ids=["8 bits", "4 bits", "1 bit", "8 bits, run lengths", "4 bits, run lengths"],
)
def test_palette_bmp(tmp_path, contents, last):
    (tmp_path / "1.bmp").write_bytes(contents)
    pixels = read_image(tmp_path / "1.bmp")
    assert pixels[0].tolist() == [[*RED]] * 4
    assert pixels[1].tolist() == [[*BLUE]] * 3 + [[*last]]


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    second = Image.new("RGB", (8, 4), "green")
    path = saved(tmp_path / "moving.gif", halves(), save_all=True, append_images=[second])
    assert close(read_image(path)[0, 0], RED)


def test_only_upright_gray_and_rgb_jpegs_are_plain():
    def contents(mode, form):
        buffer = io.BytesIO()
        halves(mode).save(buffer, form)
        return buffer.getvalue()

    assert is_plain(contents("RGB", "JPEG")) and is_plain(contents("L", "JPEG"))
    assert not is_plain(contents("CMYK", "JPEG")) and not is_plain(contents("RGB", "PNG"))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [(b"", "0 bytes"), (b"<html>404</html>", "not an image"), (b"\xff\xd8\xff\xe0" + b"\0" * 50, "")],
)
def test_files_that_are_no_images(tmp_path, contents, reason):
    (tmp_path / "bad.jpg").write_bytes(contents)
    with mentioning(InputError, "bad.jpg", reason):
        read_image(tmp_path / "bad.jpg")


def test_truncated_bomb_floating_and_missing(tmp_path, monkeypatch):
    whole = saved(tmp_path / "whole.jpg", halves().resize((64, 64))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-100])
    with mentioning(InputError, "cut.jpg", "truncated"):
        read_image(tmp_path / "cut.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with mentioning(InputError, "whole.jpg", "decompression bomb"):
        read_image(tmp_path / "whole.jpg")
    floating = Image.fromarray(np.ones((4, 4), np.float32))
    with mentioning(InputError, "deep.tiff", "range"):
        read_image(saved(tmp_path / "deep.tiff", floating))
    with mentioning(InputError, "no file", "missing.jpg"):
        read_image(tmp_path / "missing.jpg")
