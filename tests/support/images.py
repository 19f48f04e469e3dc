"""Images that tests draw."""

import numpy as np
from PIL import Image


def landscape(seed, size=96):
    """A random image whose amplitudes fall with the frequency, as those of photographs do."""
    chance = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1
    waves = np.real(np.fft.ifft2(np.exp(2j * np.pi * chance.random((size, size))) / frequency**1.2))
    return Image.fromarray(np.uint8(255 * (waves - waves.min()) / np.ptp(waves))).convert("RGB")
