"""Networks of others with random weights: keras.applications' and the files that hold them, and torchvision's."""

from __future__ import annotations

import hashlib
import sys
import zlib

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from support.networks import slim, without_values
from support.torch_files import torch_modules


def random_peer(name: str, offset: float = 0.0, **arguments) -> keras.Model:
    """keras.applications' network of that name; none of its weights is 0 or 1 any more.

    Args:
        offset: the mean offset of its batch normalizations, in units of what they scale to.
    """
    arguments = {"weights": None, "classifier_activation": None, **arguments}
    keras.utils.set_random_seed(0)
    return randomized(getattr(keras.applications, name)(**arguments), offset)


def randomized(model: keras.Model, offset: float = 0.0) -> keras.Model:
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


@pytest.fixture(scope="session")
def slim_peer():
    """Makes the same with few filters, for what depends on its layers and not on their sizes."""

    def make(name: str, before: int = 0, **arguments) -> keras.Model:
        def build() -> keras.Model:
            # The network's own convolutions and normalizations are numbered from there on.
            for _ in range(before):
                keras.layers.Conv2D(1, 1), keras.layers.BatchNormalization()
            return getattr(keras.applications, name)(weights=None, **arguments)

        outline = without_values(build)
        keras.utils.set_random_seed(0)
        return randomized(slim(outline))

    return make


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


@pytest.fixture(scope="session")
def torch_peers():
    """torchvision's networks, see support/torch_peers.py."""
    pytest.importorskip("torch")
    from support import torch_peers

    return torch_peers


@pytest.fixture
def torch_names(monkeypatch):
    """PyTorch's names, of which pickles are made, without PyTorch."""
    for name, module in torch_modules().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(scope="session")
def random_tensors():
    """Makes a state dict of names and shapes; each tensor is a function of its name, on every machine."""

    def make(shapes: dict[str, tuple[int, ...]], residual: bool = False) -> dict[str, np.ndarray]:
        # What residual blocks add to each other grows with their number.
        least, most = (0.4, 0.8) if residual else (0.8, 1.2)
        tensors = {}
        for name, shape in shapes.items():
            if name.endswith("num_batches_tracked"):
                tensors[name] = np.zeros((), "int64")
                continue
            values = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
            if name.endswith("running_var"):
                values += 0.5
            elif len(shape) == 1 and name.endswith("weight"):
                values = least + (most - least) * values
            elif len(shape) == 1:
                values = 0.4 * (values - 0.5)
            else:
                # He et al. (2015): what is rectified keeps its variance.
                values *= 2
                values -= 1
                values *= np.sqrt(6 / np.prod(shape[1:]))
            tensors[name] = values.astype("float32")
        return tensors

    return make


@pytest.fixture
def undrawn(monkeypatch):
    """Networks are built of zeros, where all their weights are set: to draw millions takes half a second."""

    def zeros(shape, *_, dtype=None, **__):
        return keras.ops.zeros(shape, dtype)

    for name in ("normal", "truncated_normal", "uniform"):
        monkeypatch.setattr(keras.src.backend.random, name, zeros)


@pytest.fixture(scope="session")
def random_images():
    """Two images of a size in pixels, on every machine the same."""

    def make(size: int) -> np.ndarray:
        return np.random.RandomState(size).standard_normal((2, size, size, 3)).astype("float32")

    return make


@pytest.fixture(scope="session")
def digest_of_tensors():
    """Makes one number of a state dict's names and shapes."""

    def digest(shapes: dict[str, tuple[int, ...]]) -> str:
        lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    return digest
