"""Every kind of file there is, made here, and the result of its check."""

import contextlib
import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn.data.ingestion import image_facts
from kerascnn.data.ingestion.image_check import check_image, check_images
from kerascnn.data.ingestion.image_formats import read_image


def image(mode="RGB", size=(16, 8)):
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).convert(mode)


def contents(form, mode="RGB", size=(16, 8), **options):
    buffer = io.BytesIO()
    image(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name, body):
    """A part of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def deep_rgb_png():
    """16 bits a channel, which Pillow does not write."""
    rows = b"".join(b"\0" + struct.pack(">6H", *([0x1234, 0x8000, 0xFFFF] * 2)) for _ in range(2))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return contents("JPEG", exif=exif)


def check(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return check_image(tmp_path, name)


def animation(form):
    return contents(form, save_all=True, append_images=[image().rotate(180)])


@pytest.mark.parametrize(
    ("name", "data", "form", "decoder", "warnings"),
    [
        ("plain.jpg", contents("JPEG"), "JPEG", "tensorflow", ()),
        ("PLAIN.JPEG", contents("JPEG", progressive=True), "JPEG", "tensorflow", ()),
        ("gray.jpg", contents("JPEG", "L"), "JPEG", "tensorflow", ("gray",)),
        ("print.jpg", contents("JPEG", "CMYK"), "JPEG", "pillow", ("CMYK",)),
        ("turned.jpg", turned(), "JPEG", "pillow", ("upright",)),
        ("wrong.jpg", contents("PNG"), "PNG", "pillow", (r"\.jpg.*PNG",)),
        ("wrong.png", contents("JPEG"), "JPEG", "tensorflow", (r"\.png.*JPEG",)),
        ("none", contents("JPEG"), "JPEG", "tensorflow", ("without suffix.*JPEG",)),
        ("deep.png", contents("PNG", "I;16"), "PNG", "pillow", ("16-bit",)),
        ("deep_rgb.png", deep_rgb_png(), "PNG", "pillow", ()),
        ("alpha.png", contents("PNG", "RGBA"), "PNG", "pillow", ("transparency.*white",)),
        ("palette.png", contents("PNG", "P"), "PNG", "pillow", ("palette",)),
        ("bits.png", contents("PNG", "1"), "PNG", "pillow", ("gray",)),
        ("moving.gif", animation("GIF"), "GIF", "pillow", ("palette", "first frame")),
        ("moving.webp", animation("WEBP"), "WEBP", "pillow", ("first frame",)),
        ("moving.png", animation("PNG"), "PNG", "pillow", ("first frame",)),
        ("still.webp", contents("WEBP"), "WEBP", "pillow", ()),
        ("still.bmp", contents("BMP"), "BMP", "pillow", ()),
        ("still.tiff", contents("TIFF"), "TIFF", "pillow", ()),
        ("still.tif", contents("TIFF", compression="tiff_lzw"), "TIFF", "pillow", ()),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_readable_files(tmp_path, name, data, form, decoder, warnings):
    entry = check(tmp_path, name, data)
    assert (entry.status, entry.reason) == ("read", None)
    assert (entry.format, entry.decoder) == (form, decoder)
    for warning, pattern in zip(entry.warnings, warnings, strict=True):
        assert re.search(pattern, warning)
    # The manifest has the size that training gets.
    assert read_image(tmp_path / name).shape == (entry.height, entry.width, 3)


def test_images_with_damaged_exif_data_are_read(tmp_path):
    entry = check(tmp_path, "1.jpg", turned().replace(b"II*\0", b"IIII").replace(b"MM\0*", b"MMMM"))
    assert (entry.status, entry.width, entry.height) == ("read", 16, 8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (contents("JPEG", size=(200, 200))[:-500], "truncated"),
        (contents("PNG", size=(200, 200))[:-500], "truncated"),
        (contents("WEBP", size=(200, 200))[:-500], ""),
        (contents("GIF", size=(200, 200))[:-500], "truncated"),
        (contents("BMP", size=(200, 200))[:-500], "truncated"),
        (contents("TIFF", size=(200, 200))[:-500], ""),
        (b"\xff\xd8\xff\xe0", ""),
        (b"just a text", "not an image"),
        (b"\n<!DOCTYPE html><p>404", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (contents("TIFF", "F"), "floating-point"),
    ],
)
def test_unreadable_files(tmp_path, data, reason):
    entry = check(tmp_path, "1.jpg", data)
    assert entry.status == "unreadable"
    assert entry.reason and reason in entry.reason
    assert entry.size == len(data) and len(entry.sha256) == 64


def test_decompression_bombs_are_not_unpacked(tmp_path):
    # 30,000 x 30,000 pixels of nothing in a few kilobytes.
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    assert "decompression bomb" in check(tmp_path, "bomb.png", bomb).reason


def test_huge_files_are_not_read_into_memory(tmp_path):
    with open(tmp_path / "film.jpg", "wb") as file:
        file.truncate(10**12)
    assert check_image(tmp_path, "film.jpg").reason.startswith("1000000 MB")


def test_permissions_links_and_pipes(tmp_path, monkeypatch):
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    assert "link" in check_image(tmp_path, "broken.jpg").reason
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "regular file" in check_image(tmp_path, "pipe.jpg").reason
    (tmp_path / "real.jpg").write_bytes(contents("JPEG"))
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    assert check_image(tmp_path, "link.jpg").status == "read"

    def closed(path, most):
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so that a mode of 0 would prove nothing here.
    monkeypatch.setattr(image_facts, "read_bytes", closed)
    closed_entry = check_image(tmp_path, "real.jpg")
    assert closed_entry.status == "unreadable" and "permission" in closed_entry.reason
    monkeypatch.undo()
    assert check_image(tmp_path, "real.jpg", closed_entry).status == "read"


def test_known_files_are_not_read_again(tmp_path, monkeypatch):
    file = tmp_path / "1.jpg"
    first = check(tmp_path, "1.jpg", contents("JPEG"))
    with monkeypatch.context() as patched:
        patched.setattr(image_facts, "read_bytes", lambda *_: pytest.fail("read again"))
        assert check_image(tmp_path, "1.jpg", first) == first
    with monkeypatch.context() as patched:
        patched.setattr(image_facts, "open_image", lambda contents: pytest.fail("decoded again"))
        os.utime(file, ns=(1, 1))
        touched = check_image(tmp_path, "1.jpg", first)
        assert (touched.sha256, touched.mtime_ns) == (first.sha256, 1)
    file.write_bytes(file.read_bytes()[:-100])
    os.utime(file, ns=(1, 1))
    assert check_image(tmp_path, "1.jpg", first).status == "unreadable"


def test_order_and_number_do_not_depend_on_threads(tmp_path):
    paths = [f"{number:04}.jpg" for number in range(200)]
    for number, path in enumerate(paths):
        (tmp_path / path).write_bytes(b"" if number % 3 else contents("JPEG"))
    counted = []

    def track(items, total, description):
        for item in items:
            counted.append(total)
            yield item

    entries = list(check_images(tmp_path, paths, track=track))
    assert [entry.path for entry in entries] == paths
    assert [entry.status for entry in entries] == ["unreadable" if n % 3 else "read" for n in range(200)]
    assert counted == [200] * 200
    assert list(check_images(tmp_path, [])) == []


@pytest.mark.parametrize("progressive", [False, True])
def test_decoding_at_an_eighth_finds_the_same_damage_as_full_decoding(tmp_path, progressive):
    """The check decodes at an eighth of the size; here both decoders decode in full."""
    import tensorflow as tf

    generator = np.random.default_rng(3)
    whole = contents("JPEG", size=(120, 90), progressive=progressive)
    decodable = []
    for number in range(150):
        data = bytearray(whole)
        position = int(generator.integers(20, len(data)))
        if number % 3 == 0:
            del data[position:]
        elif number % 3 == 1:
            data[position : position + 8] = generator.bytes(8)
        else:
            data[position] ^= 1 << generator.integers(8)
        data = bytes(data)
        pillow = tensorflow = False
        with contextlib.suppress(Exception):
            Image.open(io.BytesIO(data), formats=["JPEG"]).load()
            pillow = True
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            tf.io.decode_jpeg(data, channels=3)
            tensorflow = True
        entry = check(tmp_path, "1.jpg", data)
        assert (entry.status == "read") == pillow
        assert tensorflow or entry.decoder != "tensorflow"
        decodable.append(pillow)
    assert 20 < sum(decodable) < 130
