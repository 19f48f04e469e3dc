"""Reads and applies the EXIF orientation of JPEG files in TensorFlow operations: TensorFlow has none for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# JPEG markers (application segment, start of the pixels) and the EXIF tag.
APP1, START_OF_SCAN, ORIENTATION = 0xE1, 0xDA, 0x0112

# The orientations whose image is flipped; orientations from 5 on are transposed first.
FLIPPED_HORIZONTALLY, FLIPPED_VERTICALLY = (2, 3, 6, 7), (3, 4, 7, 8)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image, (height, width, channels), by its orientation, int, 1 to 8 (EXIF 2.3, section 4.6.4)."""
    import tensorflow as tf

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for axis, flipped in ((1, FLIPPED_HORIZONTALLY), (0, FLIPPED_VERTICALLY)):
        image = tf.where(tf.reduce_any(orientation == flipped), tf.reverse(image, [axis]), image)
    return image


def exif_orientation(contents: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a file's contents, string (): int64, 1 to 8; 1 (upright) if it is no JPEG or has none."""
    import tensorflow as tf

    file = tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int64)
    size = tf.size(file, tf.int64)

    def byte(at):
        inside = (at >= 0) & (at < size)
        return tf.where(inside, tf.gather(tf.concat([file, [0]], 0), tf.where(inside, at, size)), 0)

    def number(at, digits, little=False):
        index = tf.range(digits, dtype=tf.int64)
        digit = byte(at[..., None] + tf.where(little, digits - 1 - index, index))
        return tf.reduce_sum(digit * 256 ** (digits - 1 - index), axis=-1)

    def is_exif(at):
        return (byte(at + 1) == APP1) & (number(at + 4, 6) == int.from_bytes(b"Exif\0\0", "big"))

    def is_other_segment(at):
        return (at < size) & (byte(at) == 0xFF) & (byte(at + 1) != START_OF_SCAN) & ~is_exif(at)

    def next_segment(at):
        # Any number of fill bytes 0xFF may precede a segment.
        return tf.where(byte(at + 1) == 0xFF, at + 1, at + 2 + number(at + 2, 2))

    segment = tf.while_loop(is_other_segment, lambda at: [next_segment(at)], [tf.constant(2, tf.int64)])[0]
    tiff = segment + 10
    little = byte(tiff) == ord("I")
    order = tf.where(little, int.from_bytes(b"II", "big"), int.from_bytes(b"MM", "big"))
    valid = (number(tiff, 2) == tf.cast(order, tf.int64)) & (number(tiff + 2, 2, little) == 42)
    directory = tiff + number(tiff + 4, 4, little)
    entries = directory + 2 + 12 * tf.range(number(directory, 2, little))
    values = tf.where(number(entries, 2, little) == ORIENTATION, number(entries + 8, 2, little), 1)
    found = tf.reduce_max(tf.concat([values, [1]], 0))
    is_jpeg = number(tf.constant(0, tf.int64), 2) == 0xFFD8
    return tf.where(is_jpeg & is_exif(segment) & valid & (found <= 8), found, 1)
