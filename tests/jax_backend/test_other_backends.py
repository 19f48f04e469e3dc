"""Batch normalization on the backends without TensorFlow's fused kernel."""

import importlib.util
import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("backend", ["jax", "numpy", "torch"])
def test_falls_back_on_other_backends(backend):
    # Keras' NumPy backend takes its Fourier transforms from JAX.
    needed = {"numpy": "jax"}.get(backend, backend)
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"there is no {needed} here")
    program = """
import keras
import numpy as np
from kerascnn.layers import BatchNormalization
x = np.random.default_rng(0).normal(size=(4, 5, 4, 6)).astype("float32")
ours, theirs = BatchNormalization(), keras.layers.BatchNormalization()
for training in (True, False):
    ours_y, theirs_y = (keras.ops.convert_to_numpy(layer(x, training=training)) for layer in (ours, theirs))
    np.testing.assert_array_equal(ours_y, theirs_y)
for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
    np.testing.assert_array_equal(one, other)
print(keras.backend.backend())
"""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ended.stdout.split() == [backend], ended.stderr
