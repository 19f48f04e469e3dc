"""The memory that running an exported file adds to a process."""

import sys

import keras
import numpy as np
import pytest

from kerascnn.export.file_measurements import peak_memory
from kerascnn.export.tflite import write_tflite

MEGABYTE = 1e6


def classifier(units):
    """A network whose weights are `units` times 0.0064 megabytes, and nearly nothing else."""
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = keras.layers.Dense(1600, name="fc1")(keras.layers.Flatten(name="flatten")(pixels))
    x = keras.layers.Dense(units, name="fc2")(x)
    return keras.Model(pixels, keras.layers.Dense(2, name="fc3")(x))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux only")
def test_memory_grows_with_the_weights_and_not_with_this_process(tmp_path):
    held = np.ones(30_000_000)
    measured = {}
    for units in (1000, 4000):
        write_tflite(classifier(units), tmp_path / f"{units}.tflite")
        measured[units] = peak_memory(tmp_path / f"{units}.tflite")
    # The interpreter rearranges weights for its kernels, so they may be in memory twice.
    assert 3000 * 0.0064 * MEGABYTE * 0.9 < measured[4000] - measured[1000] < 3000 * 0.0064 * MEGABYTE * 2.2
    assert measured[4000] < held.nbytes


def test_formats_of_tensorflow_are_not_measured(tmp_path):
    assert peak_memory(tmp_path / "saved_model") is None
