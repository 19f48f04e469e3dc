"""Images of phones turned upright, compared with Pillow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kerascnn.data.ingestion.image_formats import decode_image
from kerascnn.export.exif import exif_orientation, upright

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def orientation():
    return tf.function(exif_orientation, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def jpeg(exif=None, format="JPEG", **options):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((40, 24), Image.Resampling.NEAREST).save(
        buffer, format, **({"exif": exif} if exif else {}), **options
    )
    return buffer.getvalue()


def exif(value, byte_order="<", more=False):
    data = Image.Exif()
    data.endian = byte_order
    if more:
        data[0x010F] = "a maker with a long name"
        data[0x0110] = "a model"
        data[0x0131] = "a program"
    data[ORIENTATION] = value
    return data


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize(("byte_order", "more"), [("<", False), (">", True)])
def test_every_orientation(orientation, value, byte_order, more):
    contents = jpeg(exif(value, byte_order, more))
    assert int(orientation(contents)) == value
    image = Image.open(io.BytesIO(contents))
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(upright(tf.constant(np.asarray(image)), orientation(contents)), expected)
    np.testing.assert_array_equal(decode_image(contents), expected)


def after_other_segments(contents):
    """A comment of the longest kind, fill bytes and a segment that is no EXIF, before the segments of the file."""
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    other = b"\xff\xff\xff\xe1" + (2 + 29).to_bytes(2, "big") + b"http://ns.adobe.com/xap/1.0/\0"
    return contents[:2] + comment + other + contents[2:]


def test_wherever_the_segment_is(orientation):
    contents = after_other_segments(jpeg(exif(6)))
    assert decode_image(contents).shape == (40, 24, 3)
    assert int(orientation(contents)) == 6


@pytest.mark.parametrize(
    "contents",
    [
        jpeg(),
        jpeg(exif(0)),
        jpeg(exif(9)),
        jpeg(exif(6)).replace(b"II*\0", b"IIII"),
        jpeg(exif(6)).replace(b"II*\0", b"II\0*"),
        jpeg(exif(6))[:30],
        b"\xff\xd8" + b"\xff" * 40,
        b"\xff\xd8\xff\xe1\0\0Exif\0\0II*\0\xff\xff\xff\xff",
        b"",
        b"Exif\0\0",
        jpeg(exif(6), "PNG"),
        jpeg(exif(6), "WEBP"),
    ],
    ids=["none", "0", "9", "mark", "version", "cut", "fill", "offset", "empty", "short", "png", "webp"],
)
def test_files_without_an_orientation_are_upright(orientation, contents):
    assert int(orientation(contents)) == 1
