"""The networks in place of keras.applications': its own tests with other imports, argument by argument."""

import importlib
import inspect

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils as keras_utils

import kerascnn.applications
from kerascnn import InputError
from kerascnn.applications import (
    VGG16,
    InceptionV3,
    ResNet18,
    ResNet20,
    create,
    imagenet_utils,
    preprocess_input,
)
from kerascnn.applications.weights import load as weight_files
from support.messages import mentioning
from support.networks import small, without_values

# keras.applications' MODEL_LIST: the network, the channels of its last map, the module.
MODELS = [
    ("VGG16", 512, "vgg16"),
    ("VGG19", 512, "vgg19"),
    ("ResNet50", 2048, "resnet50"),
    ("ResNet101", 2048, "resnet"),
    ("ResNet152", 2048, "resnet"),
    ("InceptionV3", 2048, "inception_v3"),
]
FORMATS = ["channels_last", "channels_first"]


@pytest.fixture(params=FORMATS)
def image_data_format(request):
    keras.config.set_image_data_format(request.param)
    yield request.param
    keras.config.set_image_data_format("channels_last")


def shape_in(data_format, height, width, channels):
    return (height, width, channels) if data_format == "channels_last" else (channels, height, width)


# The others have the layers of these.
@pytest.mark.parametrize(("name", "channels", "module"), [MODELS[0], MODELS[2]])
def test_features(name, channels, module, image_data_format):
    """Its tests of variable and other channels, other sizes, an input tensor, and pooling."""
    app = getattr(importlib.import_module(f"kerascnn.applications.{module}"), name)
    maps = (None, *shape_in(image_data_format, None, None, channels))
    for input_channels in (1, 4, None):
        shape = input_channels and shape_in(image_data_format, None, None, input_channels)
        model = without_values(app, weights=None, include_top=False, input_shape=shape)
        assert model.output.shape == maps
        assert model.input_shape == (None, *shape_in(image_data_format, None, None, input_channels or 3))
    model = without_values(app, include_top=False, input_shape=shape_in(image_data_format, 123, 123, 3))
    assert channels in model.output.shape

    def on_a_tensor():
        inputs = keras.Input(shape_in(image_data_format, 200, 200, 4), name="custom_input")
        return app(include_top=False, input_tensor=keras.layers.Conv2D(3, 2, strides=2)(inputs))

    assert channels in without_values(on_a_tensor).output.shape
    assert without_values(app, include_top=False, pooling="max").output.shape == (None, channels)


@pytest.mark.parametrize(("name", "channels", "module"), MODELS)
def test_the_classifier(name, channels, module):
    """Its test of the last layer's activation; names, shapes and defaults are those of its networks."""
    ours = getattr(importlib.import_module(f"kerascnn.applications.{module}"), name)
    theirs = getattr(importlib.import_module(f"keras.applications.{module}"), name)
    logits = {"classifier_activation": None, "classes": 7}
    for arguments in [{}, logits, {"classifier_activation": keras.ops.sigmoid}] if name == "VGG16" else [{}]:
        model, peer = (without_values(app, weights=None, **arguments) for app in (ours, theirs))
        last, expected = model.layers[-1], peer.layers[-1]
        assert model.name == peer.name and model.get_layer("predictions") is last
        assert isinstance(last, keras.layers.Dense) and last.activation is expected.activation
        assert [weight.shape for weight in last.weights] == [weight.shape for weight in expected.weights]
        assert (model.input_shape, model.output_shape) == (peer.input_shape, peer.output_shape)
    assert channels == model.layers[-1].kernel.shape[0] or module.startswith("vgg")
    if name == "VGG16":
        again = without_values(keras.saving.deserialize_keras_object, keras.saving.serialize_keras_object(model))
        assert len(again.weights) == len(model.weights)


@pytest.mark.parametrize("module", sorted({module for _, _, module in MODELS} | {"imagenet_utils"}))
def test_functions_of_modules(module, monkeypatch):
    ours, theirs = (importlib.import_module(f"{root}.applications.{module}") for root in ("kerascnn", "keras"))
    assert getattr(kerascnn.applications, module) is ours
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4, 3))
    for x in (pixels[0, 0], pixels[0], pixels, pixels[0].astype("float32")):
        np.testing.assert_allclose(ours.preprocess_input(x), theirs.preprocess_input(x.copy()), rtol=1e-6, atol=1e-5)
    first = np.moveaxis(pixels, -1, 1)
    for x in (first, first[:, :, 0]):
        expected = theirs.preprocess_input(x.copy(), data_format="channels_first")
        np.testing.assert_allclose(ours.preprocess_input(x=x, data_format="channels_first"), expected, atol=1e-5)
    index = {str(number): [f"n{number:08}", f"name {number}"] for number in range(1000)}
    monkeypatch.setattr(keras_utils, "CLASS_INDEX", index)
    scores = np.random.default_rng(1).random((2, 1000)).astype("float32")
    assert ours.decode_predictions(preds=scores, top=3) == theirs.decode_predictions(preds=scores, top=3)
    assert ours.decode_predictions(scores.tolist(), top=3) == [
        [(*names, pytest.approx(score)) for *names, score in image]
        for image in theirs.decode_predictions(scores, top=3)
    ]


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_modes(mode):
    """Its test of images and batches, in both formats, of integers and floats, as arrays, tensors and in a model."""
    for shape in ((2, 10, 10, 3), (10, 10, 3)):
        x = np.random.default_rng(0).uniform(0, 255, shape)
        for values in (x, x.astype("int32")):
            expected = keras_utils.preprocess_input(values.copy(), mode=mode)
            np.testing.assert_allclose(imagenet_utils.preprocess_input(values, mode=mode), expected, atol=1e-5)
            moved = imagenet_utils.preprocess_input(np.moveaxis(values, -1, -3), "channels_first", mode=mode)
            np.testing.assert_allclose(np.moveaxis(moved, -3, -1), expected, atol=1e-5)
            tensor = imagenet_utils.preprocess_input(keras.ops.convert_to_tensor(values), mode=mode)
            np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-4)
        inputs = keras.Input(x.shape[-3:])
        assert imagenet_utils.preprocess_input(inputs, mode=mode).shape == inputs.shape
    with mentioning(InputError, "mode", "'caffe', 'tf' or 'torch'", "'some_unknown_mode'"):
        imagenet_utils.preprocess_input(x, mode="some_unknown_mode")


def test_channels_of_one_scale_need_not_be_rgb():
    gray = np.full((2, 4, 4, 1), 255, "uint8")
    np.testing.assert_array_equal(preprocess_input("inception_v3", gray), 1.0)
    np.testing.assert_array_equal(preprocess_input("inception_v3", [[[0, 255]]]), [[[-1.0, 1.0]]])


def test_arguments_are_those_of_keras_applications():
    for name in ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "InceptionV3"):
        ours, theirs = (inspect.signature(getattr(package.applications, name)) for package in (kerascnn, keras))
        for parameter in theirs.parameters.values():
            # Weights are downloaded there by default.
            if parameter.name != "weights":
                assert ours.parameters[parameter.name].default == parameter.default, (name, parameter.name)
        assert list(ours.parameters)[: len(theirs.parameters)] == list(theirs.parameters)


@pytest.mark.parametrize("tensor", [np.zeros((1, 32, 32, 3)), "pixels", [keras.Input((32, 32, 3))], 3], ids=type)
def test_an_input_tensor_is_a_keras_tensor(tensor):
    for app in (ResNet20, VGG16, InceptionV3):
        with mentioning(InputError, app.__name__, "input_tensor", "keras.Input", type(tensor).__name__):
            app(include_top=False, input_tensor=tensor)
    with pytest.raises(ValueError, match="KerasTensor"):
        keras.applications.ResNet50(weights=None, include_top=False, input_tensor=tensor)


@pytest.fixture
def weight_file(tmp_path):
    path = tmp_path / "resnet20.weights.h5"
    ResNet20().save_weights(path)
    return path


def test_pretrained_classifiers_have_a_softmax_or_logits(weight_file):
    for activation in (None, keras.activations.softmax):
        ResNet20(weights=weight_file, classifier_activation=activation)
    for activation in ("sigmoid", keras.activations.tanh):
        with mentioning(InputError, "ResNet20", "classifier_activation", "None or 'softmax'", "include_top=False"):
            ResNet20(weights=weight_file, classifier_activation=activation)
        with mentioning(InputError, "classifier_activation"):
            create("resnet50", weights="imagenet", classifier_activation=activation)
        # Without weights, any will do.
        last = without_values(ResNet20, classifier_activation=activation).layers[-1]
        assert last.activation is keras.activations.get(activation)
    # Without the classifier, its activation does not matter.
    ResNet20(weights=weight_file, include_top=False, classifier_activation="sigmoid")
    with mentioning(InputError, "ResNet20", "classifier_activation='softmx'"):
        ResNet20(classifier_activation="softmx")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"classes": "10"}, ("classes='10'", "whole number")),
        ({"classes": 2.5}, ("classes=2.5",)),
        ({"classes": None}, ("classes=None",)),
        ({"input_shape": 224}, ("input_shape", "224")),
        ({"input_shape": ("a", 32, 3)}, ("input_shape", "'a'")),
        ({"input_shape": (32.5, 32, 3)}, ("input_shape", "32.5")),
        ({"input_shape": (32, 32, 0)}, ("input_shape", "(32, 32, 0)")),
        ({"input_shape": (3, 224, 224)}, ("not 3 x 224", "(height, width, channels)")),
        ({"pooling": ["avg"]}, ("pooling", "['avg']")),
        ({"weights": 5}, ("weights", "'5'")),
        ({"shortcut": ["A"]}, ("shortcut", "['A']")),
    ],
)
def test_values_of_other_types_name_the_function(arguments, parts):
    with mentioning(InputError, "ResNet18", *parts):
        ResNet18(**arguments)


def test_type_errors_name_the_function():
    for call in (lambda: ResNet18(no_such=1), lambda: create("resnet18", no_such=1), lambda: ResNet18(*[None] * 9)):
        with pytest.raises(TypeError, match=r"ResNet18\(\)"):
            call()
    for function in ("preprocess_input", "decode_predictions"):
        for module in ("vgg16", "resnet", "inception_v3", "imagenet_utils"):
            with pytest.raises(TypeError, match=rf"{function}\(\)"):
                getattr(getattr(kerascnn.applications, module), function)(no_such=1)


@pytest.mark.parametrize("name", ["resnet20", "googlenet"])
def test_classifiers_are_dense_layers_in_float32(name):
    """The main one is called `predictions` in every network, and mixed precision ends before it."""
    model = without_values(small, name, dtype="mixed_bfloat16", **({"aux_heads": True} if name == "googlenet" else {}))
    for output in keras.tree.flatten(model.output):
        last = output._keras_history.operation
        assert isinstance(last, keras.layers.Dense) and last.activation is keras.activations.softmax
        assert last.compute_dtype == last.kernel.dtype == output.dtype == "float32"
    assert model.get_layer("predictions").weights


def test_a_vgg_is_built_as_its_file_is(tmp_path, monkeypatch):
    """Batch normalization is found in tensors and in layers; an argument that is given is not overridden."""
    from kerascnn.applications import VGG11
    from kerascnn.applications.weights.tensor_files import write_safetensors
    from kerascnn.applications.weights.torch_layouts import to_torch

    shape, read = {"input_shape": (32, 32, 3), "include_top": False}, []
    for name in ("read_tensors", "_array"):
        one = getattr(weight_files, name)
        monkeypatch.setattr(weight_files, name, lambda source, one=one: read.append(source) or one(source))
    for batch_norm in (True, False):
        model = VGG11(batch_norm=batch_norm, **shape)
        # Normalization in a file of layers is found too.
        files = [tmp_path / "mine.safetensors", *[tmp_path / "mine.weights.h5"] * batch_norm]
        write_safetensors(files[0], to_torch("VGG11", model.layers))
        if batch_norm:
            model.save_weights(files[1])
        for file in files:
            read.clear()
            again = VGG11(weights=file, **shape)
            # Once, though normalization is looked up before.
            assert len(read) == (1 if file.suffix == ".safetensors" else len(model.weights))
            assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
            for one, other in zip(again.weights, model.weights, strict=True):
                np.testing.assert_array_equal(one, other)
    with mentioning(InputError, "mine.safetensors", "VGG11"):
        VGG11(weights=files[0], batch_norm=True, **shape)
    monkeypatch.setattr(weight_files, "read_tensors", lambda path: pytest.fail("nothing is read if it is given"))
    source = weight_files.source_of("VGG11", files[0])
    assert weight_files.with_batch_norm(source, {"batch_norm": False}) is source


@pytest.mark.parametrize("weights", ["x" * 5000, "timm/" + "y" * 300, "y" * 300 + ".pth", "\0"])
def test_weights_that_no_file_can_have(weights):
    with mentioning(InputError, "no", "weights"):
        VGG16(weights=weights)
