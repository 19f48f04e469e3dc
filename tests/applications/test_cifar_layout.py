"""The CIFAR ResNets' public PyTorch layout: akamaster's network in NumPy computes the same from the same tensors."""

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import ResNet20, ResNet32, preprocess_input
from kerascnn.applications.weights.sources import source_of
from kerascnn.applications.weights.tensor_files import read_tensors, write_safetensors
from kerascnn.applications.weights.torch_layouts import tensor_shapes, to_torch
from support.messages import mentioning
from support.networks import without_values
from support.torch_files import archive, row, tensor

FILTERS = (16, 32, 64)


def convolved(x, kernel, stride):
    """Batch, channels, height, width; zeros on every side."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("bchwij,ocij->bohw", windows, kernel, optimize=True)


def normalized(x, tensors, name):
    gamma, beta, mean, variance = (
        tensors[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def relu(x):
    return np.maximum(x, 0)


def akamaster(tensors, x, blocks):
    """The logits of resnet.py of akamaster/pytorch_resnet_cifar10, with its option A."""
    x = relu(normalized(convolved(x, tensors["conv1.weight"], 1), tensors, "bn1"))
    for stage, filters in enumerate(FILTERS, start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = relu(normalized(convolved(x, tensors[f"{name}.conv1.weight"], stride), tensors, f"{name}.bn1"))
            y = normalized(convolved(y, tensors[f"{name}.conv2.weight"], 1), tensors, f"{name}.bn2")
            if stride == 2:
                # F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))
                x = np.pad(x[:, :, ::2, ::2], ((0, 0), (filters // 4,) * 2, (0, 0), (0, 0)))
            x = relu(x + y)
    return x.mean(axis=(2, 3)) @ tensors["linear.weight"].T + tensors["linear.bias"]


@pytest.fixture
def tensors(random_tensors):
    return random_tensors(tensor_shapes("ResNet20", without_values(ResNet20).layers), residual=True)


def test_the_same_function(tensors, random_images, tmp_path):
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"} < set(
        tensors
    )
    assert tensors["layer2.0.conv1.weight"].shape == (32, 16, 3, 3) and tensors["linear.weight"].shape == (10, 64)
    write_safetensors(tmp_path / "resnet20.safetensors", tensors)
    model = ResNet20(weights=tmp_path / "resnet20.safetensors", classifier_activation=None)
    images = random_images(32)
    expected = akamaster(tensors, images.transpose(0, 3, 1, 2).astype("float64"), blocks=3)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-4)
    # Back again, bit for bit.
    written = to_torch("ResNet20", model.layers)
    assert set(written) == set(tensors)
    for name, array in written.items():
        np.testing.assert_array_equal(array, tensors[name], name)
    # Its programs scale pixels as for ImageNet.
    pixels = np.full((1, 32, 32, 3), 255.0)
    white = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(preprocess_input(model, pixels)[0, 0, 0], white, rtol=1e-5)


def test_a_checkpoint_named_th(tensors, tmp_path, torch_names):
    """As published: the prefix of DataParallel, and the best accuracy next to the state dict."""
    kinds = {"float32": "FloatStorage", "int64": "LongStorage"}
    state = {f"module.{name}": tensor(one, name, kinds[one.dtype.name]) for name, one in tensors.items()}
    checkpoint = {"state_dict": state, "best_prec1": tensor(np.float32([91.7]), "best")}
    for suffix, write in ((".th", row), (".TH", archive), (".pth.tar", archive)):
        path = tmp_path / f"resnet20-12fca82f{suffix}"
        write(path, checkpoint)
        read = read_tensors(path)
        assert set(read) == set(tensors)
        np.testing.assert_array_equal(read["linear.weight"], tensors["linear.weight"])
        ResNet20(weights=path)


def test_other_networks_are_rejected(tensors, tmp_path):
    path = tmp_path / "resnet20.safetensors"
    write_safetensors(path, tensors)
    with mentioning(InputError, "akamaster's ResNet20", "shortcut='A'"):
        ResNet20(weights=path, shortcut="B")
    with mentioning(InputError, path, "ResNet32", "'layer1.3.conv1.weight'"):
        ResNet32(weights=path)
    with mentioning(InputError, path, "10 classes", "classes=7"):
        ResNet20(weights=path, classes=7)
    assert without_values(ResNet20, weights=path, include_top=False, pooling="avg").output.shape == (None, 64)
    assert source_of("ResNet20", path).preprocessing == "torch"


def test_the_command_converts_both_ways(tensors, command, tmp_path, torch_names):
    write_safetensors(tmp_path / "resnet20.safetensors", tensors)
    convert = ("convert", tmp_path / "resnet20.safetensors", "--model", "resnet20", "--to", tmp_path / "resnet20.keras")
    assert command(*convert).status == 0
    outcome = command("convert", tmp_path / "resnet20.keras", "--to", tmp_path / "back.safetensors")
    assert outcome.status == 0, outcome.err
    back = read_tensors(tmp_path / "back.safetensors")
    assert set(back) == set(tensors)
    assert all(np.array_equal(back[name], array) for name, array in tensors.items())
