"""Every network, with its builder's layers and a few filters in each: made deployable and exported to every format."""

import importlib.util

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn.applications import registry
from kerascnn.evaluation import open_predictor
from kerascnn.export import deployable
from kerascnn.export.file_measurements import operations_of
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import Graphs, write_tflite
from kerascnn.layers import Preprocessing
from support import bounds
from support.networks import DISTINCT, size_of, slim, without_values

pytestmark = pytest.mark.slow

# Kernels of 11 significant bits, of 8 bits; the share of the largest score. Networks with random weights are no
# classifiers: this test finds broken files; the tolerance of an export limits rounding in trained networks.
EXACT = 1e-4
# Seen on three kinds of CPU: 0.0035, 0.12 and 0.05; a broken file takes about all of it.
ROUNDING = {"float16": 0.015, "dynamic": 0.4, "int8": 0.4, "int16x8": 0.15}

FILES = {"savedmodel": "saved_model", "onnx": "model.onnx"}

# Activations in 16 bits run on reference kernels, slowly.
IN_16_BITS = ("alexnet", "googlenet", "resnet20")

# Through every format; the layers of the others are among theirs, as test_registry.py shows. Inception v2
# differs from them in its auxiliary classifier, which is not exported.
WHOLE = [name for name in DISTINCT if name != "inceptionv2"]
CASES = [
    *((name, {}) for name in WHOLE),
    ("alexnet", {"groups": 2, "norm": "batch", "pool_first": False}),
    ("resnet18", {"shortcut": "A"}),
]
# ResNet-1202 is in test_resnet1202.py.
OTHERS = [name for name in registry.list_models() if name not in (*WHOLE, "resnet1202")]

# The other quantizer, on local response normalization, grouped convolutions, concatenations.
BY_LITERT = ("alexnet", "googlenet")

HAVE_ONNX = importlib.util.find_spec("tf2onnx") is not None
HAVE_LITERT = importlib.util.find_spec("ai_edge_quantizer") is not None


def formats_of(name, arguments):
    onnx = ["onnx"] if HAVE_ONNX else []
    in_16_bits = ["int16x8"] if name in IN_16_BITS and not arguments else []
    by_litert = ["int8 by litert"] if HAVE_LITERT and name in BY_LITERT else []
    return ["savedmodel", *onnx, "none", "float16", "dynamic", "int8", *in_16_bits, *by_litert]


def with_passing_kernels(model):
    """Gives a network kernels that pass their input on: each filter one channel, and a little of the others.

    So signals keep their size and images stay different in a network of any depth, as in a trained one; random kernels
    alone lose both.
    """
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            inputs = np.prod(shape[:-1])
            kernel = generator.normal(0, 0.5 * inputs**-0.5, shape)
            center = tuple(length // 2 for length in shape[:-2])
            for out in range(shape[-1]):
                kernel[(*center, generator.integers(shape[-2]), out)] += 1
            layer.kernel.assign(kernel)


def assembled(name, arguments, size):
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = Preprocessing((3,), std=60.0, name="preprocessing")(pixels)
    return kerascnn.applications.create(name, input_tensor=scaled, classes=3, classifier_activation=None, **arguments)


def network(name, arguments, size):
    keras.utils.set_random_seed(0)
    model = slim(without_values(assembled, name, arguments, size))
    with_passing_kernels(model)
    model.get_layer("preprocessing").mean.assign([127.0] * 3)
    return model


def keep_size(model, images):
    """Makes every batch normalization divide by the size of its input, channel by channel."""
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    means = [np.asarray(layer.moving_mean) for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, mean in zip(normalizations, means, strict=True):
        square = np.asarray(layer.moving_variance) + np.square(layer.moving_mean)
        layer.moving_variance.assign(np.maximum(square, 0.01 * square.mean()))
        layer.moving_mean.assign(mean * np.sqrt(square))


@pytest.fixture
def checked(name, arguments, randomize):
    """A deployable network, images, and the network's logits for them, which differ from image to image."""
    size = size_of(name)
    model = network(name, arguments, size)
    # Patches of colors.
    patches = np.random.default_rng(1).uniform(0, 255, (8, 4, 4, 3)).astype("float32")
    images = np.kron(patches, np.ones((1, size // 4 + 1, size // 4 + 1, 1), "float32"))[:, :size, :size]
    randomize(model)
    keep_size(model, images)
    expected = np.asarray(model(images))
    assert np.abs(expected - expected[:1]).max() > 0.05 * np.abs(expected).max()
    small = deployable(model)
    bounds.check(small(images), expected, EXACT, relative=True)
    # AlexNet normalizes the output of ReLU.
    normalizations = [layer.name for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert normalizations == (["norm1", "norm2"] if "norm" in arguments else [])
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in small.layers)
    return small, images, expected


@pytest.mark.parametrize(("name", "arguments"), [(name, {}) for name in OTHERS], ids=OTHERS)
def test_deployable_is_the_network(checked):
    small, images, expected = checked
    assert small(images[:1]).shape == (1, expected.shape[1])


@pytest.mark.parametrize(
    ("name", "arguments"), [pytest.param(*case, id="-".join((case[0], *case[1]))) for case in CASES]
)
def test_every_format_computes_the_same(name, arguments, checked, tmp_path):
    small, images, expected = checked
    with Graphs(small) as graphs:
        for target in formats_of(name, arguments):
            path = tmp_path / FILES.get(target, f"{target}.tflite")
            if target == "savedmodel":
                write_saved_model(small, path)
            elif target == "onnx":
                write_onnx(small, path)
            else:
                target, _, quantizer = target.partition(" by ")
                shown = [images] if target.startswith("int") else ()
                write_tflite(graphs, path, target, calibration=shown, quantizer=quantizer or "tensorflow")
            found = open_predictor(path).probabilities(images)
            bounds.check(found, expected, ROUNDING.get(target, EXACT), relative=True)
            if target != "savedmodel":
                assert operations_of(path).custom_ops == ()
