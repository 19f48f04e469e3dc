"""What `weights="path"` takes, and what it refuses; that the results are right is in test_keras_peers.py."""

import zipfile

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import VGG16, VGG19, GoogLeNet, InceptionV3, ResNet20, ResNet32, ResNet50, ResNet101
from kerascnn.layers import ClassLabels, Preprocessing

SMALL = {"input_shape": (32, 32, 3), "classes": 7}


def assert_same_weights(ours, theirs):
    assert len(ours.weights) == len(theirs.weights)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def randomize(model):
    generator = np.random.default_rng(3)
    model.set_weights([generator.uniform(0.5, 1, weight.shape) for weight in model.weights])
    return model


@pytest.fixture(scope="module")
def resnet20():
    return randomize(ResNet20())


@pytest.fixture(scope="module")
def resnet50_files(keras_peer, tmp_path_factory):
    """A ResNet-50 of keras.applications in both layouts, by how they were written."""
    folder = tmp_path_factory.mktemp("resnet50")
    peer = keras_peer("ResNet50", **SMALL)
    # A whole model: what Keras 2 called `save`.
    peer.save(folder / "model.h5")
    peer.save_weights(folder / "peer.weights.h5")
    keras.Model(peer.input, peer.layers[-3].output).save_weights(folder / "notop.weights.h5")
    return folder


@pytest.mark.parametrize("kind", ["model.weights.h5", "model.keras", "model.h5"])
def test_own_files(kind, resnet20, tmp_path):
    (resnet20.save_weights if "weights" in kind else resnet20.save)(tmp_path / kind)
    assert_same_weights(ResNet20(weights=tmp_path / kind), resnet20)
    assert_same_weights(ResNet20(weights=str(tmp_path / kind)), resnet20)


def test_what_surrounds_the_network_does_not_matter(resnet20, tmp_path):
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

    # What comes before the network keeps its weights.
    scaled = keras.layers.Dense(3, kernel_initializer="ones", name="own")(pixels)
    model = ResNet20(weights=tmp_path / "trained.keras", input_tensor=scaled)
    np.testing.assert_array_equal(model.get_layer("own").kernel, np.ones((3, 3)))
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, resnet20.get_layer("conv1").kernel)


def test_top_and_auxiliary_heads_may_be_left_out(tmp_path):
    arguments = {"input_shape": (72, 72, 3), "classes": 3}
    training = GoogLeNet(aux_heads=True, **arguments)
    training.save_weights(tmp_path / "training.weights.h5")
    for model in (
        GoogLeNet(weights=tmp_path / "training.weights.h5", **arguments),
        GoogLeNet(weights=tmp_path / "training.weights.h5", include_top=False),
    ):
        for layer in model.layers:
            for ours, theirs in zip(layer.weights, training.get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_16_bit_weights(tmp_path):
    model = ResNet20(dtype="bfloat16")
    model.save_weights(tmp_path / "model.weights.h5")
    assert_same_weights(ResNet20(weights=tmp_path / "model.weights.h5", dtype="bfloat16"), model)


def test_layouts_of_keras_applications_agree(resnet50_files):
    legacy, current = (ResNet50(weights=resnet50_files / name, **SMALL) for name in ("model.h5", "peer.weights.h5"))
    assert_same_weights(legacy, current)
    for name in ("model.h5", "peer.weights.h5", "notop.weights.h5"):
        assert_same_weights(
            ResNet50(weights=resnet50_files / name, include_top=False),
            keras.Model(legacy.input, legacy.get_layer("conv5_3_relu").output),
        )


def test_a_published_resnet_may_call_its_classifier_probs(keras_peer, published_file):
    peer = keras_peer("ResNet50", **SMALL)
    classifier = peer.get_layer("predictions")
    features = keras.layers.Dense(7, name="probs")
    peer = keras.Model(peer.input, features(classifier.input))
    model = ResNet50(weights=published_file(peer), **SMALL)
    np.testing.assert_array_equal(model.get_layer("fc").kernel, features.kernel)


def test_biases_and_epsilon_are_absorbed(keras_peer, published_file):
    peer = keras_peer("ResNet50", **SMALL)
    model = ResNet50(weights=published_file(peer), **SMALL)
    bias = np.asarray(peer.get_layer("conv3_block1_0_conv").bias)
    gamma, beta, mean, variance = peer.get_layer("conv3_block1_0_bn").get_weights()
    assert np.abs(bias).max() > 0.1
    ours = model.get_layer("conv3_1_shortcut_bn").get_weights()
    for absorbed, expected in zip(ours, [gamma, beta, mean - bias, variance + 1e-8], strict=True):
        np.testing.assert_allclose(absorbed, expected, rtol=1e-7)


def refusal(builder, path, **arguments) -> str:
    with pytest.raises(InputError) as refused:
        builder(weights=path, **arguments)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.slow
def test_files_that_do_not_fit(resnet50_files):
    path = resnet50_files / "model.h5"
    classes = "its 'fc' has 7 classes, and classes=1000 was asked for"
    assert classes in refusal(ResNet50, path)
    assert classes in refusal(ResNet50, resnet50_files / "peer.weights.h5")
    assert "it has no 'conv4_7_1'" in refusal(ResNet101, path, **SMALL)
    assert "'conv2_1_shortcut' has no counterpart" in refusal(ResNet50, path, shortcut="A", **SMALL)
    assert "it has no 'conv2_2_shortcut'" in refusal(ResNet50, path, shortcut="C", **SMALL)
    assert "this VGG16: its layer 'conv1_conv' has no counterpart" in refusal(VGG16, path, **SMALL)
    assert "this ResNet20: it has no 'conv1'" in refusal(ResNet20, path)
    no_top = refusal(ResNet50, resnet50_files / "notop.weights.h5", **SMALL)
    assert "it has no 'fc', which include_top=False does without" in no_top


def test_own_files_that_do_not_fit(resnet20, tmp_path):
    path = tmp_path / "resnet20.weights.h5"
    resnet20.save_weights(path)
    assert "its 'fc' has 10 classes, and classes=7 was asked for" in refusal(ResNet20, path, classes=7)
    assert "it has no 'conv2_4_1'" in refusal(ResNet32, path)
    assert "shape (3, 3, 3, 16), where (7, 7, 3, 64) and (64,) is needed" in refusal(GoogLeNet, path)
    assert "its layer 'conv1_bn' has no counterpart" in refusal(VGG16, path, **SMALL)
    ResNet32().save_weights(path)
    assert "'conv2_4_1_bn' has no counterpart" in refusal(ResNet20, path)


def test_vgg_files_that_do_not_fit(keras_peer, published_file):
    path = published_file(keras_peer("VGG16", include_top=False))
    assert "it has no 'conv3_4'" in refusal(VGG19, path, include_top=False)
    assert "it has no 'conv1_1_bn'" in refusal(VGG16, path, include_top=False, batch_norm=True)
    assert "it has no 'fc6', which include_top=False does without" in refusal(VGG16, path, **SMALL)
    wider = published_file(keras_peer("VGG16", input_shape=(32, 64, 3), classes=7))
    assert "its 'fc6' is of shape (1024, 4096) and (4096,), where (512, 4096)" in refusal(VGG16, wider, **SMALL)


@pytest.mark.slow
def test_inception_files(keras_peer, published_file, tmp_path):
    arguments = {"input_shape": (107, 107, 3), "classes": 7}
    peer = keras_peer("InceptionV3", **arguments)
    path = published_file(peer)
    model = InceptionV3(weights=path, **arguments)
    # Numbered anew, as in every second network that a program builds, and in the other layout.
    keras_peer("InceptionV3", **arguments).save_weights(tmp_path / "peer.weights.h5")
    assert_same_weights(InceptionV3(weights=tmp_path / "peer.weights.h5", **arguments), model)
    features = InceptionV3(weights=path, include_top=False)
    assert_same_weights(features, keras.Model(model.input, model.get_layer("mixed10").output))
    assert "it has no 'aux_conv1'" in refusal(InceptionV3, path, aux_heads=True, **arguments)
    assert "shape (1, 1, 64, 80), where (3, 3, 64, 80)" in refusal(InceptionV3, path, stem="paper", **arguments)
    assert "its 'fc' has 7 classes" in refusal(InceptionV3, path)


def test_two_networks_in_a_file_are_not_guessed_between(tmp_path):
    pixels = keras.Input((32, 32, 3))
    ensemble = keras.Model(pixels, [ResNet20(name="one")(pixels), ResNet20(name="two")(pixels)])
    ensemble.save_weights(tmp_path / "ensemble.weights.h5")
    assert "two layers 'conv1_bn'" in refusal(ResNet20, tmp_path / "ensemble.weights.h5")


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_damaged_files(kind, resnet20, tmp_path):
    path = tmp_path / f"model.{kind}"
    (resnet20.save_weights if "weights" in kind else resnet20.save)(path)
    whole = path.read_bytes()
    for content in (b"", b"garbage" * 1000, whole[:100], whole[: len(whole) // 2], whole[:-1000]):
        path.write_bytes(content)
        assert "is damaged, or neither an HDF5 weight file nor a .keras file" in refusal(ResNet20, path)


def test_other_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    assert "neither an HDF5 weight file" in refusal(ResNet20, tmp_path / "archive.zip")


def test_files_that_are_not_there():
    with pytest.raises(InputError, match=r"no weights 'nowhere\.h5', and there is no such file"):
        VGG16(weights="nowhere.h5")


def test_a_model_is_not_loaded_by_halves(resnet20, tmp_path):
    from kerascnn.applications import weight_files

    resnet20.save_weights(tmp_path / "resnet20.weights.h5")
    model = ResNet20(classes=7)
    before = model.get_weights()
    with pytest.raises(InputError, match="classes=7"):
        weight_files.load("ResNet20", model.layers, tmp_path / "resnet20.weights.h5")
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
