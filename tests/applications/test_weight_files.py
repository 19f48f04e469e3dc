"""Files that `weights="path"` accepts and rejects; test_keras_peers.py checks the results."""

import functools
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import VGG16, VGG19, GoogLeNet, InceptionV3, ResNet20, ResNet32, ResNet50, ResNet101
from kerascnn.applications.weights import load as weight_files
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, names
from support.networks import slim, without_values

SMALL = {"input_shape": (32, 32, 3), "classes": 7}


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_same_weights(ours, theirs):
    assert_same(ours.weights, theirs.weights)


def randomize(model):
    generator = np.random.default_rng(3)
    model.set_weights([generator.uniform(0.5, 1, weight.shape) for weight in model.weights])
    return model


@pytest.fixture(scope="module")
def resnet20():
    return randomize(ResNet20())


@pytest.fixture(scope="module")
def resnet50_peer(slim_peer):
    return slim_peer("ResNet50", **SMALL)


@pytest.fixture(scope="module")
def resnet50_files(resnet50_peer, tmp_path_factory):
    """A slim ResNet-50 of keras.applications in both layouts, by how they were written."""
    folder = tmp_path_factory.mktemp("resnet50")
    # A whole model: Keras 2's `save`.
    resnet50_peer.save(folder / "model.h5")
    resnet50_peer.save_weights(folder / "peer.weights.h5")
    features = keras.Model(resnet50_peer.input, resnet50_peer.layers[-3].output)
    features.save_weights(folder / "notop.weights.h5")
    return folder


@pytest.fixture(scope="module")
def resnet50():
    """A slim one of ours, for the weights of one file after the other."""
    return slim(without_values(ResNet50, **SMALL))


def loaded(builder, path, **arguments):
    """A slim network with a file's weights; that builders load them by the same function, other tests show."""
    model = slim(without_values(builder, **arguments))
    weight_files.load(builder.__name__, model.layers, path)
    return model


def of_file(path, network, model):
    """The weights of a model after loading a file."""
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    weight_files.load(network, model.layers, path)
    return model.get_weights()


@pytest.mark.parametrize("kind", ["model.weights.h5", "model.keras", "model.h5"])
def test_own_files(kind, resnet20, tmp_path):
    (resnet20.save_weights if "weights" in kind else resnet20.save)(tmp_path / kind)
    assert_same_weights(ResNet20(weights=tmp_path / kind), resnet20)
    assert_same_weights(ResNet20(weights=str(tmp_path / kind)), resnet20)


def test_layers_around_the_network_are_ignored(resnet20, tmp_path):
    pixels = keras.Input((32, 32, 3))
    scaled = Preprocessing((3,), name="preprocessing")(pixels)
    trained = ResNet20(input_tensor=scaled)
    outputs = ClassLabels([*"abcdefghij"], name="labels")(trained.output)
    trained = keras.Model(pixels, outputs)
    trained.set_weights([np.zeros(3), *resnet20.get_weights()])
    trained.compile("adam", "categorical_crossentropy")
    trained.optimizer.build(trained.trainable_variables)
    trained.save(tmp_path / "trained.keras")
    assert_same_weights(ResNet20(weights=tmp_path / "trained.keras"), resnet20)

    nested = keras.Sequential([keras.Input((32, 32, 3)), resnet20])
    nested.save_weights(tmp_path / "nested.weights.h5")
    assert_same_weights(ResNet20(weights=tmp_path / "nested.weights.h5"), resnet20)

    # Layers before the network keep their weights.
    scaled = keras.layers.Dense(3, kernel_initializer="ones", name="own")(pixels)
    model = ResNet20(weights=tmp_path / "trained.keras", input_tensor=scaled)
    np.testing.assert_array_equal(model.get_layer("own").kernel, np.ones((3, 3)))
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, resnet20.get_layer("conv1").kernel)


def test_top_and_auxiliary_heads_may_be_left_out(tmp_path):
    arguments = {"input_shape": (72, 72, 3), "classes": 3}
    training = slim(without_values(GoogLeNet, aux_heads=True, **arguments))
    path = tmp_path / "training.weights.h5"
    training.save_weights(path)
    for model in (loaded(GoogLeNet, path, **arguments), loaded(GoogLeNet, path, include_top=False)):
        for layer in model.layers:
            for ours, theirs in zip(layer.weights, training.get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_16_bit_weights(tmp_path):
    model = ResNet20(dtype="bfloat16")
    model.save_weights(tmp_path / "model.weights.h5")
    assert_same_weights(ResNet20(weights=tmp_path / "model.weights.h5", dtype="bfloat16"), model)


@pytest.mark.slow
def test_layouts_of_keras_applications_agree(resnet50_files, resnet50):
    legacy = of_file(resnet50_files / "model.h5", "ResNet50", resnet50)
    assert_same(of_file(resnet50_files / "peer.weights.h5", "ResNet50", resnet50), legacy)
    # Without its top, a network has the same layers.
    features = keras.Model(resnet50.input, resnet50.get_layer("conv5_3_relu").output)
    for name in ("model.h5", "peer.weights.h5", "notop.weights.h5"):
        assert_same(of_file(resnet50_files / name, "ResNet50", features), legacy[:-2])
    assert_same_weights(loaded(ResNet50, resnet50_files / "notop.weights.h5", include_top=False), features)


def test_a_published_resnet_may_call_its_classifier_probs(resnet50_peer, resnet50, published_file):
    classifier = resnet50_peer.get_layer("predictions")
    probs = keras.layers.Dense(7, name="probs")
    peer = keras.Model(resnet50_peer.input, probs(classifier.input))
    weight_files.load("ResNet50", resnet50.layers, published_file(peer))
    np.testing.assert_array_equal(resnet50.get_layer("predictions").kernel, probs.kernel)


def test_biases_and_epsilon_are_absorbed(resnet50_peer, resnet50, published_file):
    weight_files.load("ResNet50", resnet50.layers, published_file(resnet50_peer))
    bias = np.asarray(resnet50_peer.get_layer("conv3_block1_0_conv").bias)
    gamma, beta, mean, variance = resnet50_peer.get_layer("conv3_block1_0_bn").get_weights()
    assert np.abs(bias).max() > 0.1
    ours = resnet50.get_layer("conv3_1_shortcut_bn").get_weights()
    for absorbed, expected in zip(ours, [gamma, beta, mean - bias, variance + 1e-8], strict=True):
        np.testing.assert_allclose(absorbed, expected, rtol=1e-7)


@functools.cache
def outline(builder, **arguments):
    return without_values(lambda: slim(builder(**arguments)))


def fitted(builder, path, **arguments):
    """Looks whether a file is of a slim network, which needs no values to find out that it is not."""
    weight_files.load(builder.__name__, outline(builder, **arguments).layers, path)


def rejection(load, *arguments, **named) -> str:
    """Returns the one-sentence error of `load`, which takes a file."""
    with pytest.raises(InputError) as rejected:
        load(*arguments, **named)
    sentence = str(rejected.value)
    [path] = [one for one in (*arguments, *named.values()) if isinstance(one, Path)]
    assert str(path) in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.slow
def test_files_that_do_not_fit(resnet50_files):
    path = resnet50_files / "model.h5"
    for file in (path, resnet50_files / "peer.weights.h5"):
        names(rejection(fitted, ResNet50, file, classes=9), "'predictions'", "7 classes", "classes=9")
    names(rejection(fitted, ResNet101, path, **SMALL), "no 'conv4_7_1'")
    names(rejection(fitted, ResNet50, path, shortcut="A", **SMALL), "'conv2_1_shortcut'", "no counterpart")
    names(rejection(fitted, ResNet50, path, shortcut="C", **SMALL), "no 'conv2_2_shortcut'")
    names(rejection(fitted, VGG16, path, **SMALL), "this VGG16", "'conv1_conv'", "no counterpart")
    names(rejection(fitted, ResNet20, path), "this ResNet20", "no 'conv1'")
    names(
        rejection(fitted, ResNet50, resnet50_files / "notop.weights.h5", **SMALL),
        "no 'predictions'",
        "include_top=False",
    )


def test_own_files_that_do_not_fit(resnet20, tmp_path):
    path = tmp_path / "resnet20.weights.h5"
    resnet20.save_weights(path)
    names(rejection(ResNet20, weights=path, classes=7), "'predictions'", "10 classes", "classes=7")
    names(rejection(fitted, ResNet32, path), "no 'conv2_4_1'")
    names(rejection(fitted, GoogLeNet, path), "(3, 3, 3, 16)", "(7, 7, 3, 16) and (16,)")
    names(rejection(fitted, VGG16, path, **SMALL), "'conv1_bn'", "no counterpart")
    slim(without_values(ResNet32)).save_weights(path)
    names(rejection(fitted, ResNet20, path), "'conv2_4_1_bn'", "no counterpart")


def test_vgg_files_that_do_not_fit(slim_peer, published_file):
    path = published_file(slim_peer("VGG16", include_top=False))
    names(rejection(fitted, VGG19, path, include_top=False), "no 'conv3_4'")
    names(rejection(fitted, VGG16, path, include_top=False, batch_norm=True), "no 'conv1_1_bn'")
    names(rejection(fitted, VGG16, path, **SMALL), "no 'fc6'", "include_top=False")
    wider = published_file(slim_peer("VGG16", input_shape=(32, 64, 3), classes=7))
    # 1 x 2 pixels of 16 filters, where there is 1 x 1.
    names(rejection(fitted, VGG16, wider, **SMALL), "'fc6'", "(32, 16) and (16,)", "(16, 16)")


@pytest.mark.slow
def test_inception_files(slim_peer, published_file, tmp_path):
    arguments = {"input_shape": (107, 107, 3), "classes": 7}
    path = published_file(slim_peer("InceptionV3", **arguments))
    model = slim(without_values(InceptionV3, **arguments))
    legacy = of_file(path, "InceptionV3", model)
    # Numbered anew, as in every second network that a program builds, and in the other layout.
    slim_peer("InceptionV3", before=1, **arguments).save_weights(tmp_path / "peer.weights.h5")
    assert_same(of_file(tmp_path / "peer.weights.h5", "InceptionV3", model), legacy)
    features = keras.Model(model.input, model.get_layer("mixed10").output)
    assert_same(of_file(path, "InceptionV3", features), legacy[:-2])
    names(rejection(fitted, InceptionV3, path, aux_heads=True, **arguments), "no 'aux_conv1'")
    paper = rejection(fitted, InceptionV3, path, stem="paper", **arguments)
    names(paper, "(1, 1, 16, 16)", "(3, 3, 16, 16)")
    names(rejection(fitted, InceptionV3, path, classes=9), "'predictions'", "7 classes", "classes=9")


def test_two_networks_in_a_file_are_rejected(tmp_path):
    pixels = keras.Input((32, 32, 3))
    ensemble = keras.Model(pixels, [ResNet20(name="one")(pixels), ResNet20(name="two")(pixels)])
    ensemble.save_weights(tmp_path / "ensemble.weights.h5")
    names(rejection(ResNet20, weights=tmp_path / "ensemble.weights.h5"), "two layers", "'conv1_bn'")


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_damaged_files(kind, resnet20, tmp_path):
    path = tmp_path / f"model.{kind}"
    (resnet20.save_weights if "weights" in kind else resnet20.save)(path)
    whole = path.read_bytes()
    path.write_bytes(b"")
    names(rejection(ResNet20, weights=path), path, "it is empty")
    for content in (b"garbage" * 1000, whole[:100], whole[: len(whole) // 2], whole[:-1000]):
        path.write_bytes(content)
        names(rejection(ResNet20, weights=path), "damaged", "HDF5", ".keras")


def test_other_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    names(rejection(ResNet20, weights=tmp_path / "archive.zip"), "HDF5", ".keras")


def test_missing_files():
    with mentioning(InputError, "'nowhere.h5'", "no such file"):
        VGG16(weights="nowhere.h5")


def test_a_model_is_loaded_completely_or_not_at_all(resnet20, tmp_path):
    resnet20.save_weights(tmp_path / "resnet20.weights.h5")
    model = ResNet20(classes=7)
    before = model.get_weights()
    with mentioning(InputError, "classes=7"):
        weight_files.load("ResNet20", model.layers, tmp_path / "resnet20.weights.h5")
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
