"""Every network, with the layers of its builder and a few filters in each: deployed, and through every format."""

import importlib.util

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn.applications import registry
from kerascnn.evaluation import open_predictor
from kerascnn.export import deployable
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.operations import operations_of
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import Preprocessing

FILTERS = 16

# Kernels of 11 significant bits, of 8 bits; the share of the largest score. Networks with random weights are no
# classifiers: this tells a broken file from a rounded one, and what rounding may do to trained networks is the gate's.
EXACT = 1e-4
ROUNDING = {"float16": 0.01, "dynamic": 0.2, "int8": 0.2, "int16x8": 0.1}

FILES = {"savedmodel": "saved_model", "onnx": "model.onnx"}

# Networks of no other layers than another one here, which is named, go through the form that is held to most.
LIKE_ANOTHER = {
    **dict.fromkeys(("vgg13", "vgg16", "vgg16c", "vgg19"), "vgg11"),
    "inceptionv2": "inceptionv3",
    **dict.fromkeys(("plain18", "plain34", "resnet18", "resnet34"), "resnet18 with shortcut A"),
    **dict.fromkeys(("resnet101", "resnet152"), "resnet50"),
    **dict.fromkeys(("plain20", "plain32", "plain44", "plain56"), "resnet20"),
    **dict.fromkeys(("resnet32", "resnet44", "resnet56", "resnet110"), "resnet20"),
}

# Activations in 16 bits run on reference kernels, slowly.
IN_16_BITS = ("alexnet", "googlenet", "resnet20")

# ResNet-1202 is in test_deep_export.py.
CASES = [
    *((name, {}) for name in registry.list_models() if name != "resnet1202"),
    ("alexnet", {"groups": 2, "norm": "batch", "pool_first": False}),
    ("resnet18", {"shortcut": "A"}),
]

# The other quantizer, on local response normalization, grouped convolutions, concatenations.
BY_LITERT = ("alexnet", "googlenet")

HAVE_ONNX = importlib.util.find_spec("tf2onnx") is not None
HAVE_LITERT = importlib.util.find_spec("ai_edge_quantizer") is not None


def forms_of(name, arguments):
    if name in LIKE_ANOTHER and not arguments:
        return ["none"]
    onnx = ["onnx"] if HAVE_ONNX else []
    in_16_bits = ["int16x8"] if name in IN_16_BITS and not arguments else []
    by_litert = ["int8 by litert"] if HAVE_LITERT and name in BY_LITERT else []
    return ["savedmodel", *onnx, "none", "float16", "dynamic", "int8", *in_16_bits, *by_litert]


def slim(model):
    """The same layers, none with more than a few filters, and kernels that pass on what they are given.

    Each filter passes one channel, the others a little. So signals keep their size and pictures stay different however
    deep the network, as they do in one that is trained; through kernels of chance alone, either is lost.
    """

    def clone(layer):
        config = layer.get_config()
        config.update({key: min(config[key], FILTERS) for key in ("filters", "units") if key in config})
        return layer.__class__.from_config(config)

    small = keras.models.clone_model(model, clone_function=clone)
    generator = np.random.default_rng(0)
    for layer in small.layers:
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            inputs = np.prod(shape[:-1])
            kernel = generator.normal(0, 0.5 * inputs**-0.5, shape)
            centre = tuple(length // 2 for length in shape[:-2])
            for out in range(shape[-1]):
                kernel[(*centre, generator.integers(shape[-2]), out)] += 1
            layer.kernel.assign(kernel)
    return small


def network(name, arguments, size):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = Preprocessing((3,), std=60.0, name="preprocessing")(pixels)
    model = slim(
        kerascnn.applications.create(name, input_tensor=scaled, classes=3, classifier_activation=None, **arguments)
    )
    model.get_layer("preprocessing").mean.assign([127.0] * 3)
    return model


def keep_size(model, images):
    """Has every batch normalization divide by the size of what it is given, channel by channel."""
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    means = [np.asarray(layer.moving_mean) for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, mean in zip(normalizations, means, strict=True):
        square = np.asarray(layer.moving_variance) + np.square(layer.moving_mean)
        layer.moving_variance.assign(np.maximum(square, 0.01 * square.mean()))
        layer.moving_mean.assign(mean * np.sqrt(square))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [pytest.param(*case, id="-".join((case[0], *case[1])), marks=pytest.mark.slow) for case in CASES],
)
def test_every_form_answers_like_the_network(name, arguments, size, randomize, tmp_path):
    model = network(name, arguments, size)
    # Patches of colours.
    patches = np.random.default_rng(1).uniform(0, 255, (8, 4, 4, 3)).astype("float32")
    images = np.kron(patches, np.ones((1, size // 4 + 1, size // 4 + 1, 1), "float32"))[:, :size, :size]
    randomize(model)
    keep_size(model, images)
    expected = np.asarray(model(images))
    scale = np.abs(expected).max()
    # The pictures are told apart.
    assert np.abs(expected - expected[:1]).max() > 0.05 * scale
    small = deployable(model)
    assert np.abs(np.asarray(small(images)) - expected).max() <= EXACT * scale
    # AlexNet normalizes what is rectified already.
    normalizations = [layer.name for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert normalizations == (["norm1", "norm2"] if "norm" in arguments else [])
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in small.layers)
    for form in forms_of(name, arguments):
        path = tmp_path / FILES.get(form, f"{form}.tflite")
        if form == "savedmodel":
            write_saved_model(small, path)
        elif form == "onnx":
            write_onnx(small, path)
        else:
            form, _, quantizer = form.partition(" by ")
            shown = [images] if form.startswith("int") else ()
            write_tflite(small, path, form, calibration=shown, quantizer=quantizer or "tensorflow")
        difference = np.abs(open_predictor(path).probabilities(images) - expected).max() / scale
        assert difference <= ROUNDING.get(form, EXACT), form
        if form != "savedmodel":
            assert operations_of(path).foreign == ()
