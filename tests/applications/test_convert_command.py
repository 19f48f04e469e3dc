"""The command `kerascnn convert`."""

import json

import keras
import numpy as np
import pytest

from kerascnn.applications import VGG16, GoogLeNetTorchvision, ResNet18
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.tensor_files import read_tensors, write_safetensors
from kerascnn.applications.weights.torch_layouts import to_torch
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import refused

SIZE = 32
CLASSES = 3


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    """A model as `kerascnn train` makes it, with its file."""
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    scaled = Preprocessing((3,), name="preprocessing")(pixels)
    network = ResNet18(input_tensor=scaled, classes=CLASSES)
    model = keras.Model(pixels, ClassLabels(["a", "b", "c"], name="labels")(network.output), name=network.name)
    generator = np.random.default_rng(2)
    model.set_weights([generator.uniform(0.5, 1, weight.shape) for weight in model.weights])
    path = tmp_path_factory.mktemp("resnet18") / "model.keras"
    model.save(path)
    return model, path


@pytest.mark.slow
def test_to_torchvision_and_back(resnet18, command, tmp_path):
    model, path = resnet18
    outcome = command("convert", path, "--to", tmp_path / "mine.safetensors", "--json")
    assert outcome.status == 0, outcome.err
    report = json.loads(outcome.out)
    # As torchvision publishes them, without 997 classes, and two statistics for each of 4,800 normalized channels.
    assert report["values"] == 11_689_512 - 997 * 513 + 2 * 4_800
    assert (report["model"], report["layout"]) == ("resnet18", "torchvision")
    assert "pixel scaling and class names" in outcome.err
    tensors = read_tensors(tmp_path / "mine.safetensors")
    assert tensors["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert tensors["layer2.0.downsample.1.num_batches_tracked"].shape == ()

    back = ("convert", tmp_path / "mine.safetensors", "--model", "ResNet-18", "--image-size", SIZE)
    for name in ("back.keras", "back.weights.h5"):
        outcome = command(*back, "--to", tmp_path / name)
        assert outcome.status == 0, outcome.err
        again = ResNet18(weights=tmp_path / name, classes=CLASSES, input_shape=(SIZE, SIZE, 3))
        for layer in again.layers:
            for ours, before in zip(layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(ours, before)


@pytest.mark.slow
def test_to_keras_and_back(command, tmp_path):
    model = VGG16(include_top=False)
    model.save_weights(tmp_path / "mine.weights.h5")
    there = ("convert", tmp_path / "mine.weights.h5", "--model", "vgg16", "--to", tmp_path / "vgg16.h5")
    outcome = command(*there, "--layout", "keras")
    assert outcome.status == 0, outcome.err
    assert list(weight_files.read(tmp_path / "vgg16.h5"))[:3] == ["block1_conv1", "block1_conv2", "block2_conv1"]
    back = ("convert", tmp_path / "vgg16.h5", "--model", "vgg16", "--to", tmp_path / "back.weights.h5")
    assert command(*back).status == 0
    assert_same_layers(weight_files.read(tmp_path / "back.weights.h5"), model)


@pytest.mark.slow
def test_heads_and_variant_of_the_file(command, tmp_path):
    model = GoogLeNetTorchvision(aux_heads=True, classes=CLASSES, input_shape=(65, 65, 3))
    there = tmp_path / "googlenet.safetensors"
    write_safetensors(there, to_torch("GoogLeNet", model.layers))
    back = ("convert", there, "--model", "googlenet", "--image-size", 65, "--to", tmp_path / "back.weights.h5")
    outcome = command(*back)
    assert outcome.status == 0, outcome.err
    assert_same_layers(weight_files.read(tmp_path / "back.weights.h5"), model)


def test_weights_of_another_variant_are_not_written(command, tmp_path):
    model = ResNet18(shortcut="A", include_top=False, input_shape=(SIZE, SIZE, 3))
    model.save(tmp_path / "model.keras")
    outcome = command("convert", tmp_path / "model.keras", "--to", tmp_path / "mine.safetensors")
    refused(outcome, "torchvision", "ResNet18", "shortcut='B'")


def assert_same_layers(stored, model):
    layers = [layer for layer in model.layers if layer.weights]
    assert stored.keys() == {layer.name for layer in layers}
    for layer in layers:
        for array, before in zip(stored[layer.name], layer.get_weights(), strict=True):
            np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nowhere.keras", "--to", "x.h5"], ["nowhere.keras", "file of weights"]),
        (["{file}", "--to", "x.npz"], [".weights.h5", ".keras", ".safetensors"]),
        (["{file}", "--to", "x.h5", "--layout", "torchvision"], ["x.h5", ".safetensors"]),
        (["{file}", "--to", "x.h5"], ["keras.applications", "ResNet18", "VGG16"]),
        (["{file}", "--to", "x.safetensors", "--model", "vgg16"], ["torchvision", "VGG16", "layer"]),
        (["{file}", "--to", "x.safetensors", "--model", "vgg61"], ["'vgg61'", "did you mean vgg"]),
        (["{file}", "--to", "x.safetensors", "--image-size", "64"], ["--image-size", "files of weights"]),
        (["{text}", "--to", "x.safetensors"], ["weights.h5", "--model NAME"]),
        (["{text}", "--to", "x.safetensors", "--model", "vgg16"], ["weights.h5", "damaged"]),
        (["{file}"], ["--to"]),
    ],
)
def test_mistakes_are_one_sentence(arguments, parts, resnet18, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.weights.h5").write_text("no weights")
    places = {"file": resnet18[1], "text": tmp_path / "mine.weights.h5"}
    outcome = command("convert", *(argument.format(**places) for argument in arguments))
    refused(outcome, *parts)
    assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.weights.h5"]
