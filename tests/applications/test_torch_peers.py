"""torchvision's networks compared with this package's: the same tensors give the same outputs, of auxiliary heads too.

PyTorch is not required by the tests; `pip install 'kerascnn[torch]'` installs it. The tensor names of torchvision's
modules, and some outputs, are stored in torchvision.json, with which test_torch_layouts.py compares this package where
PyTorch is missing. KERASCNN_STORE_TORCHVISION=1 in the environment stores them again.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

from kerascnn.applications import create
from kerascnn.applications.weights.torch_layouts import from_torch, to_torch

torch = pytest.importorskip("torch", reason="pip install 'kerascnn[torch]' for the comparison with PyTorch")

STORED = Path(__file__).with_name("torchvision.json")
TOLERANCE = 1e-4
CLASSES = 5


class Case(NamedTuple):
    """A network.

    Attributes:
        name, arguments: of our builder.
        size: of its images, in pixels.
        peer: the function of `torch_peers`, and its arguments before the classes.
        stored: whether the outputs are stored.
    """

    name: str
    arguments: dict
    size: int
    peer: tuple
    stored: bool = False


VGG = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BOTTLENECKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
VARIANT = {"variant": "torchvision"}

# Where something is flattened, it is of several pixels; 97 leaves maps of odd size, 224 pools that overlap.
CASES = {
    "alexnet": Case("alexnetv2", {}, 127, ("alexnet", 3), stored=True),
    **{name: Case(name, {}, 64, ("vgg", stages, False, 2), stored=name == "vgg11") for name, stages in VGG.items()},
    **{f"{name}_bn": Case(name, {"batch_norm": True}, 64, ("vgg", stages, True, 2)) for name, stages in VGG.items()},
    **{
        name: Case(name, {}, 65, ("ResNet", blocks, False), stored=name == "resnet18") for name, blocks in BASIC.items()
    },
    **{
        name: Case(name, {"stride_in": "3x3"}, 64, ("ResNet", blocks, True), stored=name == "resnet50")
        for name, blocks in BOTTLENECKS.items()
    },
    "googlenet": Case("googlenettorchvision", {}, 97, ("GoogLeNet", False), stored=True),
    "googlenet with heads": Case("googlenettorchvision", {"aux_heads": True}, 224, ("GoogLeNet", True), stored=True),
    "inception_v3": Case("inceptionv3", VARIANT, 107, ("Inception3", False)),
    "inception_v3 with head": Case(
        "inceptionv3", VARIANT | {"aux_heads": True}, 299, ("Inception3", True), stored=True
    ),
}

PUBLISHED = {
    "alexnet": (("alexnet", 6), 61_100_840),
    "vgg11": (("vgg", VGG["vgg11"], False, 7), 132_863_336),
    "vgg11_bn": (("vgg", VGG["vgg11"], True, 7), 132_868_840),
    "vgg16": (("vgg", VGG["vgg16"], False, 7), 138_357_544),
    "vgg16_bn": (("vgg", VGG["vgg16"], True, 7), 138_365_992),
    "resnet18": (("ResNet", BASIC["resnet18"], False), 11_689_512),
    "resnet34": (("ResNet", BASIC["resnet34"], False), 21_797_672),
    "resnet50": (("ResNet", BOTTLENECKS["resnet50"], True), 25_557_032),
    "resnet101": (("ResNet", BOTTLENECKS["resnet101"], True), 44_549_160),
    "resnet152": (("ResNet", BOTTLENECKS["resnet152"], True), 60_192_808),
    "googlenet": (("GoogLeNet", False), 6_624_904),
    "inception_v3": (("Inception3", True), 27_161_264),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_peers_have_the_parameters_that_torchvision_publishes(name, torch_peers):
    (function, *arguments), expected = PUBLISHED[name]
    with torch.device("meta"):
        peer = getattr(torch_peers, function)(*arguments, 1000)
    assert sum(parameter.numel() for parameter in peer.parameters()) == expected


@pytest.fixture
def peer(request, torch_peers, random_tensors):
    """A case, its network in PyTorch with random tensors, and these."""
    case = CASES[request.param]
    function, *arguments = case.peer
    network = getattr(torch_peers, function)(*arguments, CLASSES).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = random_tensors(shapes, residual="resnet" in case.name)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    return request.param, case, network, tensors


@pytest.mark.slow
@pytest.mark.parametrize("peer", CASES, indirect=True)
def test_inference(peer, random_images, digest_of_tensors):
    label, case, network, tensors = peer
    pixels = random_images(case.size)
    with torch.inference_mode():
        expected = named(network(torch.from_numpy(pixels).permute(0, 3, 1, 2)))
    ours = build(case)
    load(ours, from_torch(public(case), tensors, ours.layers))
    outputs = named(ours(pixels))
    assert outputs.keys() == expected.keys()
    for output, logits in expected.items():
        # They are of order 1, and of the images.
        assert np.abs(logits[0] - logits[1]).max() > 0.05
        np.testing.assert_allclose(outputs[output], logits, rtol=0, atol=TOLERANCE)
    check_stored(label, case, expected, digest_of_tensors({name: tensor.shape for name, tensor in tensors.items()}))

    # And back: the very tensors, which PyTorch takes strictly.
    written = to_torch(public(case), ours.layers)
    assert written.keys() == network.state_dict().keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(written[name], tensor)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in written.items()}, strict=True)


def build(case):
    keras.utils.set_random_seed(1)
    size = (case.size, case.size, 3)
    return create(case.name, input_shape=size, classes=CLASSES, classifier_activation=None, **case.arguments)


def public(case):
    from kerascnn.applications import info

    return info(case.name).builder


def load(model, stored):
    for name, arrays in stored.items():
        model.get_layer(name).set_weights(arrays)


def named(outputs):
    outputs = outputs if isinstance(outputs, dict) else {"main": outputs}
    return {name: np.asarray(logits) for name, logits in outputs.items()}


def check_stored(label, case, expected, digest):
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {}
    if os.environ.get("KERASCNN_STORE_TORCHVISION"):
        stored[label] = {"name": case.name, "arguments": case.arguments, "size": case.size, "tensors": digest}
        if case.stored:
            stored[label]["logits"] = {name: np.round(logits, 6).tolist() for name, logits in expected.items()}
        STORED.write_text(json.dumps(stored, indent=1) + "\n")
    assert stored[label]["tensors"] == digest
    for name, logits in stored[label].get("logits", {}).items():
        np.testing.assert_allclose(logits, expected[name], rtol=0, atol=1e-5)
