"""Compares the fast and the exact resizing with the best one, on your photographs.

Square crops of random size and position are resized to 64, 128 and 224 pixels by the methods of `augmentation.resize`,
"bilinear" and "antialias", and compared with Pillow's Lanczos filter. The table shows mean peak signal to noise ratios
in dB, by the crop's length over the result's. "Reduced" first decodes the image at a half, a quarter or an eighth, as
far as the crop's size allows, and then resizes it by "bilinear".

    python benchmarks/resizing.py photographs/
"""

from __future__ import annotations

import argparse
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console
from rich.table import Table

from kerascnn import data
from kerascnn.data.augment.crops import resized
from kerascnn.data.pipeline.decode import RATIOS, TRANSFORM

SIZES = (64, 128, 224)
BOUNDS = (1.0, 1.25, 1.5, 1.75, 2.0, 4.0, 8.0)
PAIRS = ("bilinear – Lanczos", "antialias – Lanczos", "reduced – Lanczos", "bilinear – antialias")


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio in dB."""
    return 10 * np.log10(255**2 / max(np.mean((one - other) ** 2), 1e-6))


def compared(contents: bytes, size: int, generator: np.random.Generator) -> tuple[float, list[float]] | None:
    """The length of a random crop over `size`, and its PSNRs; None if the image is too small."""
    whole = tf.io.decode_jpeg(contents, channels=3, dct_method=TRANSFORM).numpy()
    longest = min(whole.shape[0], whole.shape[1], int(BOUNDS[-1] * size))
    # Whole blocks, so that the reduced image contains the same crop.
    if longest // 8 * 8 <= size:
        return None
    side = generator.integers(size // 8 + 1, longest // 8 + 1) * 8
    top, left = (generator.integers(0, (length - side) // 8 + 1) * 8 for length in whole.shape[:2])
    ratio = max(ratio for ratio in RATIOS if side // ratio >= size)
    reduced = tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method=TRANSFORM)
    part = slice(top // ratio, (top + side) // ratio), slice(left // ratio, (left + side) // ratio)
    crop = whole[top : top + side, left : left + side]
    best = np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS), np.float32)
    fast, exact = (resized(tf.constant(crop), size, resize).numpy() for resize in ("bilinear", "antialias"))
    smaller = resized(reduced[part], size, "bilinear").numpy()
    pairs = (fast, best), (exact, best), (smaller, best), (fast, exact)
    return side / size, [psnr(one, other) for one, other in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", help="a folder or an archive, as kerascnn train --data takes it")
    parser.add_argument("--limit", type=int, default=300, help="maximal number of photographs (default: 300)")
    options = parser.parse_args()
    examples = data.load(options.photographs).training
    generator = np.random.default_rng(0)
    found = []
    for path in examples.paths[examples.plain][: options.limit]:
        with open(path, "rb") as file:
            contents = file.read()
        found += [result for size in SIZES for _ in range(2) if (result := compared(contents, size, generator))]
    table = Table("crop / view", "crops", *PAIRS)
    for low, high in itertools.pairwise(BOUNDS):
        rows = [pairs for scale, pairs in found if low <= scale < high]
        if rows:
            means = np.mean(rows, axis=0)
            table.add_row(f"{low:g} – {high:g}", str(len(rows)), *(f"{mean:.1f}" for mean in means))
    Console().print(table)


if __name__ == "__main__":
    main()
