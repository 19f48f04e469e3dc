import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import imagenet_utils

from kerascnn import InputError, applications
from kerascnn.applications import REGISTRY, alexnet, cifar_resnet, decode_predictions, preprocess_input, resnet, vgg
from kerascnn.applications.preprocessing import MODES
from support.messages import mentioning

FORMATS = ["channels_last", "channels_first"]
# Red, green, blue.
PIXEL = (0, 255, 51)


def pixels(data_format="channels_last", dtype="float32", batch=(2,)):
    image = np.random.default_rng(0).integers(0, 256, (*batch, 5, 4, 3))
    return (image if data_format == "channels_last" else np.moveaxis(image, -1, -3)).astype(dtype)


@pytest.mark.parametrize("batch", [(2,), ()])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", ["vgg16", "vgg19", "resnet50", "resnet101", "inception_v3"])
def test_equals_keras_applications(name, data_format, batch):
    module = {"resnet50": "resnet", "resnet101": "resnet"}.get(name, name)
    theirs = getattr(keras.applications, module).preprocess_input
    x = pixels(data_format, batch=batch)
    expected = theirs(x.copy(), data_format)
    ours = preprocess_input(name, x, data_format)
    assert isinstance(ours, np.ndarray)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(x, pixels(data_format, batch=batch))
    np.testing.assert_allclose(preprocess_input(name, tf.constant(x), data_format), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("googlenet", (0 - 123.675, 255 - 116.28, 51 - 103.53)),
        ("alexnet", (0 - 123.675, 255 - 116.28, 51 - 103.53)),
        ("alexnetv2", ((0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
        ("vgg11", (51 - 103.939, 255 - 116.779, 0 - 123.68)),
        ("resnet20", (0 - 125.3, 255 - 123.0, 51 - 113.9)),
    ],
)
def test_by_hand(name, expected, data_format):
    shape = (1, 1, 1, 3) if data_format == "channels_last" else (1, 3, 1, 1)
    expected = np.reshape(expected, shape)
    for dtype in ("uint8", "int32", "float32", "float64"):
        array = np.reshape(PIXEL, shape).astype(dtype)
        for x in (array, tf.constant(array)):
            result = preprocess_input(name, x, data_format)
            assert isinstance(result, type(x))
            assert keras.backend.standardize_dtype(result.dtype) == (dtype if dtype == "float64" else "float32")
            np.testing.assert_allclose(result, expected, rtol=1e-5)
        np.testing.assert_array_equal(array, np.reshape(PIXEL, shape))


def test_inside_a_model():
    inputs = keras.Input((5, 4, 3), dtype="uint8")
    for name in ("googlenet", "vgg16"):
        model = keras.Model(inputs, preprocess_input(name, inputs))
        x = pixels(dtype="uint8")
        np.testing.assert_allclose(model(x), preprocess_input(name, x), atol=1e-5)


def test_the_registry_has_known_modes_only():
    assert {entry.preprocessing for entry in REGISTRY.values()} <= set(MODES)


@pytest.mark.parametrize("module", sorted({entry.module for entry in REGISTRY.values()}))
def test_every_family_has_both(module):
    names = [name for name, entry in REGISTRY.items() if entry.module == module]
    family = importlib.import_module(f"kerascnn.applications.{module}")
    classes = REGISTRY[names[0]].classes
    for name in names:
        own = alexnet.preprocess_input_v2 if name == "alexnetv2" else family.preprocess_input
        np.testing.assert_array_equal(own(pixels()), preprocess_input(name, pixels()))
    labels = [str(number) for number in range(classes)]
    [[prediction]] = family.decode_predictions(np.eye(1, classes), top=1, class_names=labels)
    assert prediction == ("0", "0", 1.0)


def test_cifar_names():
    scores = np.array([[0.0, 0.1, 0, 0.6, 0, 0.3, 0, 0, 0, 0], np.eye(10)[9]], "float32")
    best = [("3", "cat", pytest.approx(0.6)), ("5", "dog", pytest.approx(0.3))]
    for predictions in (scores, tf.constant(scores)):
        cats, trucks = cifar_resnet.decode_predictions(predictions, top=2)
        assert cats == best
        assert trucks[0] == ("9", "truck", 1.0)
    assert len(decode_predictions("plain20", scores, top=50)[0]) == 10


def test_other_class_names():
    [[prediction]] = decode_predictions("vgg16", np.array([[0.2, 0.8]]), top=1, class_names=["Katze", "Hündin"])
    assert prediction == ("1", "Hündin", 0.8)


def test_imagenet_names(monkeypatch):
    index = {str(number): [f"n{number:08}", f"name {number}"] for number in range(1000)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", index)
    predictions = np.zeros((2, 1000), "float32")
    predictions[0, [7, 999]] = 0.25, 0.75
    predictions[1, 3] = 1
    first, second = vgg.decode_predictions(predictions, top=2)
    assert first == [("n00000999", "name 999", 0.75), ("n00000007", "name 7", 0.25)]
    assert second[0].name == "name 3"
    assert resnet.decode_predictions(tf.constant(predictions), top=2)[0] == first
    assert [len(image) for image in applications.decode_predictions("googlenet", predictions)] == [5, 5]


def test_imagenet_names_that_cannot_be_downloaded(monkeypatch):
    def unreachable(*arguments, **options):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    monkeypatch.setattr(imagenet_utils.file_utils, "get_file", unreachable)
    with mentioning(InputError, "imagenet_class_index.json", "models", "~/.keras"):
        decode_predictions("vgg16", np.zeros((1, 1000)))


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: preprocess_input("vgg61", pixels()), ("'vgg61'",)),
        (lambda: preprocess_input("vgg16", pixels(), "NHWC"), ("'channels_last'", "'channels_first'", "'NHWC'")),
        (lambda: preprocess_input("vgg16", pixels()[..., :1]), ("channels last", "(2, 5, 4, 1)")),
        (lambda: preprocess_input("resnet20", pixels(), "channels_first"), ("channels first", "(2, 5, 4, 3)")),
        (lambda: preprocess_input("resnet20", pixels()[0, 0]), ("RGB", "(4, 3)")),
        (lambda: decode_predictions("vgg16", np.zeros((1, 10))), ("VGG16", "(images, 1000)", "(1, 10)")),
        (lambda: decode_predictions("resnet20", np.zeros(10)), ("ResNet20", "(images, 10)", "(10,)")),
        (lambda: decode_predictions("resnet20", np.zeros((1, 2)), class_names="abc"), ("(images, 3)", "(1, 2)")),
        (lambda: decode_predictions("resnet20", np.zeros((1, 10)), top=0), ("top", "at least 1", "0")),
    ],
)
def test_rejected_arguments(call, parts):
    with mentioning(InputError, *parts):
        call()
