"""JAX compiles every shape of every operation; here without most optimizations, because each runs once."""

import os

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")

import numpy as np
import pytest


@pytest.fixture
def drawn_by_numpy(monkeypatch):
    """Draws initial weights with NumPy: compiling JAX's random functions takes most of the time of building."""
    import keras

    generator = np.random.default_rng(0)

    def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        return keras.ops.convert_to_tensor(generator.normal(mean, stddev, shape).astype(dtype or keras.config.floatx()))

    monkeypatch.setattr(keras.src.backend.random, "normal", normal)
