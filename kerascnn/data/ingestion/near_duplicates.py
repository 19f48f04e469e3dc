"""Finds images that look the same though their files differ, by a hash of what they show."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

# Side of the gray image whose cosine transform is taken, and of the square of its lowest frequencies.
SIDE, FREQUENCIES = 32, 16
BITS = 128

# An image with fewer frequencies of at least half a gray level is plain, or a plain shape: its signs are accidental.
LEAST_AMPLITUDE, LEAST_FREQUENCIES = 0.5, 64

# Recompressed, resized and slightly brightened copies of photographs differ in up to 7 of 128 signs. Of two hashes
# that differ in at most 7 bits, one of 8 bands of 16 bits is equal.
MAX_DISTANCE = 7
BANDS = 8

# Hashes in the same band that each is compared with: the cost grows with the number of images, not with its square.
NEIGHBORS = 64

# A larger group, as a share of all images and as a number, holds images that the hash cannot tell apart.
MAX_SHARE, MAX_SIZE = 0.1, 20


def _transform() -> tuple[np.ndarray, np.ndarray]:
    """The cosines of the lowest frequencies, and the places of the first `BITS` of them after the mean.

    The places are in zigzag order, dealt out to the bands in turn, so that every band has low and high frequencies.
    """
    frequency, place = np.arange(FREQUENCIES)[:, None], np.arange(SIDE)[None]
    cosines = np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE)) * (2 / SIDE)
    row, column = np.divmod(np.arange(FREQUENCIES**2), FREQUENCIES)
    lowest = np.lexsort((row, row + column))[1 : BITS + 1]
    return cosines.astype(np.float32), lowest.reshape(-1, BANDS).T.reshape(-1)


COSINES, LOWEST = _transform()


def perceptual_hash(image) -> str:
    """The signs of a `PIL.Image.Image`'s 128 lowest frequencies, in hexadecimal; empty for a plain image."""
    from PIL import Image

    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    gray = np.asarray(small, np.float32)
    amplitudes = (COSINES @ gray @ COSINES.T).reshape(-1)[LOWEST]
    if np.count_nonzero(np.abs(amplitudes) >= LEAST_AMPLITUDE) < LEAST_FREQUENCIES:
        return ""
    return np.packbits(amplitudes > 0).tobytes().hex()


def near_duplicates(hashes: Sequence[str]) -> list[list[int]]:
    """Groups of images whose hashes differ in at most `MAX_DISTANCE` bits from that of one among them.

    That one is the first by its hash, so that a series of small changes does not join images that differ much, and
    the groups do not depend on the order. Images without a hash are in no group.
    """
    indices = np.array([index for index, digits in enumerate(hashes) if digits], int)
    words = np.frombuffer(bytes.fromhex("".join(filter(None, hashes))), ">u8").reshape(-1, BITS // 64)
    distinct, number_of = np.unique(words, axis=0, return_inverse=True)
    neighbors = defaultdict(list)
    for one, other in _close_pairs(distinct.astype(np.uint64)):
        neighbors[one].append(other)
        neighbors[other].append(one)
    first_of: dict[int, int] = {}
    for number in sorted(neighbors):
        if number not in first_of:
            first_of.update((other, number) for other in (number, *neighbors[number]) if other not in first_of)
    group_of = np.arange(len(distinct))
    group_of[list(first_of)] = list(first_of.values())
    group_of = group_of[number_of.reshape(-1)]
    sizes = np.bincount(group_of, minlength=1)
    chosen = np.flatnonzero((sizes[group_of] > 1) & (sizes[group_of] <= max(MAX_SIZE, MAX_SHARE * len(hashes))))
    groups = defaultdict(list)
    for index in chosen.tolist():
        groups[group_of[index]].append(int(indices[index]))
    return list(groups.values())


def _close_pairs(words: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of hashes, uint64 (count, 2), that differ in few bits; a pair may come more than once."""
    bands = words.view(np.uint16)
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        keys, low, high = bands[order, band], words[order, 0], words[order, 1]
        for offset in range(1, NEIGHBORS + 1):
            equal = keys[offset:] == keys[:-offset]
            if not equal.any():
                break
            distances = np.bitwise_count(low[offset:] ^ low[:-offset]) + np.bitwise_count(
                high[offset:] ^ high[:-offset]
            )
            (places,) = np.nonzero(equal & (distances <= MAX_DISTANCE))
            yield from zip(order[places].tolist(), order[places + offset].tolist(), strict=True)
