"""Networks of the registry, small."""

import keras
import numpy as np
import pytest

# Small pictures, where size is not the point; other networks take 16 x 16.
SIZE = {
    "alexnet": 67,
    "alexnetv2": 63,
    "zfnet": 53,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg16c", "vgg19"), 32),
    **dict.fromkeys(("plain18", "plain34", "resnet18", "resnet34"), 32),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), 64),
    "googlenet": 72,
    "bninception": 32,
    **dict.fromkeys(("inceptionv2", "inceptionv3"), 107),
}


@pytest.fixture
def size(name) -> int:
    """Height and width of a network's pictures."""
    yield SIZE.get(name, 16)
    keras.backend.clear_session(free_memory=True)


@pytest.fixture(scope="session")
def randomize():
    """Gives every batch normalization and bias values that a mistake would show in."""

    def values(model):
        generator = np.random.default_rng(0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                shape = layer.moving_mean.shape
                scale = [generator.uniform(0.6, 1.2, shape)] if layer.scale else []
                offset = [generator.normal(0, 0.2, shape)] if layer.center else []
                statistics = [generator.normal(0, 0.2, shape), generator.uniform(0.5, 1.5, shape)]
                layer.set_weights([*scale, *offset, *statistics])
            elif getattr(layer, "use_bias", False):
                layer.bias.assign(generator.normal(0, 0.1, layer.bias.shape))

    return values
