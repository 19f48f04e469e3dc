"""PyTorch's layout of weights without PyTorch: names, positions and outputs; test_torch_peers.py runs PyTorch.

torchvision.json stores the tensor names of torchvision's modules, and their outputs in PyTorch.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import kerascnn.applications
from kerascnn import InputError
from kerascnn.applications import (
    VGG11,
    AlexNetV2,
    GoogLeNet,
    GoogLeNetTorchvision,
    InceptionV3,
    ResNet18,
    ResNet50,
    info,
)
from kerascnn.applications.weights.torch_layouts import from_torch, tensor_shapes, to_torch
from support.messages import mentioning
from support.networks import slim, without_values

STORED = json.loads(Path(__file__).with_name("torchvision.json").read_text())
TOLERANCE = 1e-4
CLASSES = 5

# As torchvision publishes them, for 1000 classes; the channels and pixels that its first dense layer takes at 224 x 224
# pixels; and the inputs of the last one.
PARAMETERS = {
    "alexnet": (61_100_840, 256 * 6 * 6, 4096),
    "vgg11": (132_863_336, 512 * 7 * 7, 4096),
    "vgg11_bn": (132_868_840, 512 * 7 * 7, 4096),
    "vgg13": (133_047_848, 512 * 7 * 7, 4096),
    "vgg13_bn": (133_053_736, 512 * 7 * 7, 4096),
    "vgg16": (138_357_544, 512 * 7 * 7, 4096),
    "vgg16_bn": (138_365_992, 512 * 7 * 7, 4096),
    "vgg19": (143_667_240, 512 * 7 * 7, 4096),
    "vgg19_bn": (143_678_248, 512 * 7 * 7, 4096),
    "googlenet": (6_624_904, None, 1024),
    "resnet18": (11_689_512, None, 512),
    "resnet34": (21_797_672, None, 512),
    "resnet50": (25_557_032, None, 2048),
    "resnet101": (44_549_160, None, 2048),
    "resnet152": (60_192_808, None, 2048),
}
# Four pixels of a VGG's last map are left of 64 x 64 pixels, nine of AlexNet's of 127 x 127.
FLATTENED = {25_088: 512 * 4, 9_216: 256 * 9}


def built(label):
    stored = STORED[label]
    builder = getattr(kerascnn.applications, info(stored["name"]).builder)
    arguments = {"classes": CLASSES, "classifier_activation": None, **stored["arguments"]}
    return builder, {"input_shape": (stored["size"], stored["size"], 3), **arguments}


@pytest.mark.parametrize("label", STORED)
def test_names_and_shapes_are_torchvisions(label, digest_of_tensors):
    builder, arguments = built(label)
    shapes = tensor_shapes(builder.__name__, without_values(builder, **arguments).layers)
    assert digest_of_tensors(shapes) == STORED[label]["tensors"]
    if label in PARAMETERS:
        total, flattened, last = PARAMETERS[label]
        fewer = (1000 - CLASSES) * (last + 1) + (4096 * (flattened - FLATTENED[flattened]) if flattened else 0)
        learnt = [shape for name, shape in shapes.items() if not name.endswith(("_mean", "_var", "_tracked"))]
        assert sum(map(math.prod, learnt)) == total - fewer


# One is enough for the fast tests.
WITH_OUTPUTS = [label for label in STORED if "logits" in STORED[label]]
SLOW = [pytest.param(label, marks=pytest.mark.slow) for label in WITH_OUTPUTS if label != "resnet18"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("label", ["resnet18", *SLOW])
def test_outputs_are_torchvisions(label, random_tensors, random_images):
    builder, arguments = built(label)
    network, model = builder.__name__, builder(**arguments)
    tensors = random_tensors(tensor_shapes(network, model.layers), residual="resnet" in label)
    for layer, arrays in from_torch(network, tensors, model.layers).items():
        model.get_layer(layer).set_weights(arrays)
    outputs = model(random_images(STORED[label]["size"]))
    for name, logits in STORED[label]["logits"].items():
        output = outputs[name] if isinstance(outputs, dict) else outputs
        np.testing.assert_allclose(output, logits, rtol=0, atol=TOLERANCE)

    written = to_torch(network, model.layers)
    assert written.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(written[name], tensor)


@pytest.fixture(scope="module")
def alexnet():
    """With 3 x 3 pixels before its first dense layer."""
    model = AlexNetV2(input_shape=(127, 127, 3), classes=CLASSES)
    return model, to_torch("AlexNetV2", model.layers)


def test_positions(alexnet):
    model, tensors = alexnet
    kernel, tensor = np.asarray(model.get_layer("conv2").kernel), tensors["features.3.weight"]
    dense, flattened = np.asarray(model.get_layer("fc6").kernel), tensors["classifier.1.weight"]
    generator = np.random.default_rng(0)
    for _ in range(50):
        row, column, before, after = generator.integers((5, 5, 64, 192))
        assert tensor[after, before, row, column] == kernel[row, column, before, after]
        row, column, channel, unit = generator.integers((3, 3, 256, 4096))
        # PyTorch flattens channels, rows, columns; Keras rows, columns, channels.
        assert flattened[unit, (channel * 3 + row) * 3 + column] == dense[(row * 3 + column) * 256 + channel, unit]
    np.testing.assert_array_equal(tensors["classifier.6.weight"], np.asarray(model.get_layer("predictions").kernel).T)


def test_half_precision_becomes_single(alexnet):
    model, tensors = alexnet
    stored = from_torch("AlexNetV2", {name: tensor.astype("float16") for name, tensor in tensors.items()}, model.layers)
    assert {array.dtype for arrays in stored.values() for array in arrays} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda tensors: tensors.pop("features.3.bias"), ("no tensor 'features.3.bias'", "'conv2'")),
        (lambda tensors: tensors.update(extra=np.zeros(3)), ("'extra'", "no counterpart")),
        (
            lambda tensors: tensors.update({"classifier.1.weight": np.zeros((4096, 9216), "float32")}),
            ("'classifier.1.weight'", "(4096, 9216)", "(4096, 2304)"),
        ),
        (
            lambda tensors: tensors.update({"classifier.6.weight": np.zeros((1000, 4096), "float32")}),
            ("'classifier.6.weight'", "1000 classes", "classes=5"),
        ),
    ],
    ids=["missing", "left over", "other pixels", "other classes"],
)
def test_mismatches_are_reported(change, parts, alexnet):
    model, tensors = alexnet
    tensors = dict(tensors)
    change(tensors)
    with mentioning(InputError, *parts):
        from_torch("AlexNetV2", tensors, model.layers)


def test_without_top_and_without_heads():
    size = {"input_shape": (65, 65, 3)}
    training = slim(without_values(GoogLeNetTorchvision, aux_heads=True, classes=CLASSES, **size))
    tensors = to_torch("GoogLeNet", training.layers)
    for arguments in ({"classes": CLASSES}, {"include_top": False}):
        layers = without_values(lambda: slim(GoogLeNetTorchvision(**size, **arguments))).layers  # noqa: B023
        stored = from_torch("GoogLeNet", tensors, layers)
        assert set(stored) == {layer.name for layer in layers if layer.weights}
    without = {name: tensor for name, tensor in tensors.items() if not name.startswith("aux2.")}
    with mentioning(InputError, "'aux2.conv.conv.weight'", "'aux_4d_conv'"):
        from_torch("GoogLeNet", without, training.layers)


@pytest.mark.parametrize(
    ("network", "arguments", "parts"),
    [
        (ResNet50, {}, ("shortcut='B'", "stride_in='3x3'")),
        (ResNet18, {"shortcut": "A"}, ("shortcut='B'",)),
        (ResNet18, {"shortcut": "C"}, ("'conv2_2_shortcut'",)),
        (GoogLeNet, {}, ("GoogLeNetTorchvision",)),
        (GoogLeNet, {"batch_norm": True}, ("GoogLeNetTorchvision",)),
        (InceptionV3, {}, ("variant='torchvision'",)),
        (InceptionV3, {"variant": "torchvision", "stem": "paper"}, ("variant='torchvision'",)),
    ],
)
def test_other_variants_are_rejected(network, arguments, parts):
    layers = without_values(network, include_top=False, **arguments).layers
    with mentioning(InputError, "torchvision's", network.__name__, *parts):
        to_torch(network.__name__, layers)
    with mentioning(InputError, "torchvision's", network.__name__, *parts):
        from_torch(network.__name__, {}, layers)


def test_networks_that_torchvision_does_not_have():
    with mentioning(InputError, "torchvision", "ZFNet", "AlexNetV2, VGG11"):
        to_torch("ZFNet", without_values(VGG11, include_top=False).layers)
