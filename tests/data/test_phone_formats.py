"""What phones and cameras write, read or named with a remedy: HEIC of every brand, AVIF, raw files, films."""

import importlib.util
import io
import struct

import numpy as np
import pytest
from PIL import Image

from kerascnn.data.ingestion.image_check import check_image
from kerascnn.data.ingestion.image_formats import kind_of, read_image

with_heif = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="needs the extra heif")
HEIF_BRANDS = ("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1")


def red_above_blue(mode="RGB"):
    image = Image.new("RGB", (64, 48), (255, 0, 0))
    image.paste((0, 0, 255), (0, 24, 64, 48))
    return image.convert(mode)


def saved(form, image=None, **options):
    buffer = io.BytesIO()
    (image or red_above_blue()).save(buffer, form, **options)
    return buffer.getvalue()


def box(major, *compatible, size=None):
    """The start of a file of the ISO base media format."""
    body = b"".join(brand.encode() for brand in (major, "\0\0\0\0", *compatible))
    return struct.pack(">I", size or len(body) + 8) + b"ftyp" + body + b"\0\0\0\x10meta" + bytes(8)


def check(tmp_path, name, contents):
    (tmp_path / name).write_bytes(contents)
    return check_image(tmp_path, name)


@pytest.mark.parametrize("brand", HEIF_BRANDS)
def test_every_brand_is_recognized_by_its_bytes(tmp_path, without_heif, brand):
    # The first box is of any length, and the coding's brand may be among the compatible ones only.
    for contents in (box(brand), box(brand, "mif1", "miaf", "MiHB"), box("miaf", brand), box(brand, size=24)):
        entry = check(tmp_path, "IMG_0001.HEIC", contents)
        assert entry.status == "unreadable" and "kerascnn[heif]" in entry.reason


def test_avif_needs_no_extra(tmp_path, without_heif):
    entry = check(tmp_path, "1.avif", saved("AVIF"))
    assert (entry.status, entry.format, entry.width, entry.height, entry.warnings) == ("read", "AVIF", 64, 48, ())
    sequence = saved("AVIF", save_all=True, append_images=[red_above_blue().rotate(180)])
    assert b"ftypavis" in sequence[:12]
    assert check(tmp_path, "2.avif", sequence).warnings == ("first frame of an animation",)
    for brands in (("avif",), ("avis",), ("mif1", "avif")):
        reason = check(tmp_path, "1.avif", box(*brands)).reason
        assert "AVIF" in reason and "damaged" in reason and "heif" not in reason


@with_heif
def test_a_photo_of_a_phone_is_read(tmp_path):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    contents = saved("HEIF", quality=95)
    for brand in HEIF_BRANDS:
        entry = check(tmp_path, f"{brand}.HEIC", contents[:8] + brand.encode() + contents[12:])
        assert (entry.status, entry.format, entry.decoder) == ("read", "HEIF", "pillow")
        assert (entry.width, entry.height, entry.warnings) == (64, 48, ())
    pixels = read_image(tmp_path / "heic.HEIC").astype(int)
    np.testing.assert_allclose(pixels[[5, 40], 30], [(255, 0, 0), (0, 0, 255)], atol=5)
    assert check(tmp_path, "1.jpg", contents).warnings == ("named .jpg and is HEIF",)
    series = saved("HEIF", save_all=True, append_images=[red_above_blue().rotate(180)])
    assert check(tmp_path, "burst.heic", series).warnings == ("the main one of several images",)
    for end in (40, 100, len(contents) // 2, len(contents) - 20):
        entry = check(tmp_path, "cut.heic", contents[:end])
        assert entry.status == "unreadable" and "kerascnn[heif]" not in entry.reason


@with_heif
@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_a_turned_photo_is_turned_once(tmp_path, form):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = red_above_blue()
    image.getexif()[0x0112] = 6
    entry = check(tmp_path, "1.heic", saved(form, image, quality=95, exif=image.getexif().tobytes()))
    assert (entry.width, entry.height) == (48, 64)
    # A quarter to the right: what is above comes to the right.
    pixels = read_image(tmp_path / "1.heic").astype(int)
    np.testing.assert_allclose(pixels[30, [5, 40]], [(0, 0, 255), (255, 0, 0)], atol=8)


def tiff(tags, pixels, order="<"):
    """A TIFF file of one strip: 2 x 2 samples unless the tags say otherwise."""
    one = {256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 2, 279: len(pixels)}
    entries = {tag: [value] for tag, value in one.items()} | tags
    offset = 8 + 2 + 12 * len(entries) + 4
    values = dict(sorted(entries.items())) | {273: [offset]}
    table = b"".join(
        struct.pack(order + "HHI", tag, 3 if tag not in (273, 279) else 4, 1)
        + struct.pack(order + ("I" if tag in (273, 279) else "Hxx"), value[0])
        for tag, value in values.items()
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(values))
    return head + table + bytes(4) + pixels


@pytest.mark.parametrize(
    ("tags", "pixels", "gray"),
    [
        ({}, bytes([10, 20, 30, 255]), [10, 20, 30, 255]),
        ({262: [0]}, bytes([10, 20, 30, 255]), [245, 235, 225, 0]),
        ({258: [16]}, struct.pack("<4H", 0, 0x1234, 0xFF01, 0xFFFF), [0, 0x12, 0xFF, 0xFF]),
        ({258: [16], 262: [0]}, struct.pack("<4H", 0, 0x1234, 0xFF01, 0xFFFF), [255, 0xED, 0, 0]),
        ({258: [12]}, bytes([0x12, 0x3F, 0xFF, 0x00, 0x08, 0x00]), [0x12, 0xFF, 0x00, 0x80]),
    ],
    ids=["8 bits", "8 bits, 0 is white", "16 bits", "16 bits, 0 is white", "12 bits"],
)
def test_gray_keeps_its_upper_8_bits(tmp_path, tags, pixels, gray):
    assert check(tmp_path, "1.tif", tiff(tags, pixels)).status == "read"
    assert read_image(tmp_path / "1.tif")[..., 0].ravel().tolist() == gray


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({258: [16], 339: [2]}, "16-bit signed"),
        ({339: [2]}, "8-bit signed"),
        ({258: [32]}, "32-bit"),
        ({258: [32], 339: [3]}, "floating-point"),
    ],
)
def test_pixels_without_a_known_range(tmp_path, tags, reason):
    found = check(tmp_path, "1.tif", tiff(tags, bytes(16))).reason
    assert reason in found and "range" in found


@pytest.mark.parametrize(
    "contents",
    [
        # The previews in these would be read otherwise.
        tiff({50706: [1]}, bytes(4)),
        tiff({254: [1]}, bytes(4)),
        tiff({262: [32803]}, bytes(4)),
        b"II*\0\x10\0\0\0CR\2\0" + bytes(64),
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        box("crx ", "crx ", "isom"),
    ],
    ids=["DNG", "NEF, ARW", "sensor", "CR2", "RAF", "ORF", "RW2", "CR3"],
)
def test_raw_files_are_named(tmp_path, contents):
    entry = check(tmp_path, "1.dng", contents)
    assert entry.status == "unreadable" and "raw file" in entry.reason and "JPEG" in entry.reason


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<svg>', "SVG"),
        (b"\xef\xbb\xbf <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML"),
        (b"<!DOCTYPE html><svg>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\1", "editor"),
        (b"\x76\x2f\x31\x01", "not supported"),
        (saved("TGA"), "not supported"),
        (bytes(128) + b"DICM", "not supported"),
        (box("qt  "), "video"),
        (box("mp42", "isom"), "video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video"),
        (b"\x1a\x45\xdf\xa3", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b'{"error": "rate limit"}', "JSON"),
        (b"PK\3\4", "zip"),
    ],
)
def test_other_files_are_named(tmp_path, contents, kind):
    entry = check(tmp_path, "1.jpg", contents)
    assert entry.status == "unreadable" and kind in entry.reason
    assert entry.reason == kind_of(contents)
