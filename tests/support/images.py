"""Images that tests draw."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def landscape(seed, size=96):
    """A random image whose amplitudes fall with the frequency, as those of photographs do."""
    chance = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1
    waves = np.real(np.fft.ifft2(np.exp(2j * np.pi * chance.random((size, size))) / frequency**1.2))
    return Image.fromarray(np.uint8(255 * (waves - waves.min()) / np.ptp(waves))).convert("RGB")


def landscapes(folder: Path, count: int, seed: int = 0, classes: Sequence[str] = ("cat", "dog")) -> Path:
    """Makes `count` landscapes of each class, other ones for another seed; returns the folder."""
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            landscape(1000 * seed + 100 * place + number, 40).save(folder / name / f"{number}.png")
    return folder


def clinic(folder: Path, patients: Sequence[str], splits: Sequence[str] | None = None) -> Path:
    """A folder of images with a table of their classes, patients and splits."""
    landscapes(folder, len(patients) // 2, seed=5)
    files = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(len(patients) // 2)]
    rows = [f"{file},{file[:3]},{patient}" for file, patient in zip(files, patients, strict=True)]
    if splits:
        rows = [f"{row},{split}" for row, split in zip(rows, splits, strict=True)]
    head = "file,class,patient,split" if splits else "file,class,patient"
    (folder / "labels.csv").write_text("\n".join([head, *rows]))
    return folder
