"""keras.applications' networks with random weights, and the files that hold them."""

from __future__ import annotations

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group


def random_peer(name: str, offset: float = 0.0, **arguments) -> keras.Model:
    """keras.applications' network of that name; none of its weights is 0 or 1 any more.

    Args:
        offset: the mean offset of its batch normalizations, in units of what they scale to.
    """
    arguments = {"weights": None, "classifier_activation": None, **arguments}
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(**arguments)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.beta.shape
            scale = generator.uniform(0.3, 0.6, shape) if layer.scale else np.ones(shape)
            shift = offset * scale + generator.normal(0, 0.1, shape)
            statistics = [generator.normal(0, 0.1, shape), generator.uniform(0.5, 1.5, shape)]
            layer.set_weights([scale] * layer.scale + [shift, *statistics])
        elif layer.weights:
            kernel, *biases = layer.get_weights()
            layer.set_weights([kernel, *(generator.normal(0, 0.1, bias.shape) for bias in biases)])
    return model


@pytest.fixture(scope="session")
def keras_peer():
    """Makes one of keras.applications' networks, see `random_peer`."""
    return random_peer


@pytest.fixture
def published_file(tmp_path):
    """Writes a network's weights as keras.applications publishes them; they may be large, so they do not stay."""
    path = tmp_path / "weights_tf_dim_ordering_tf_kernels.h5"

    def write(model: keras.Model):
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
        return path

    yield write
    path.unlink(missing_ok=True)
