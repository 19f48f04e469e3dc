"""What holds for every network of the registry."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import InputError
from kerascnn.applications import registry

# Small pictures and few classes, where size is not the point.
SIZE = {
    "alexnet": 67,
    "alexnetv2": 63,
    "zfnet": 53,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg16c", "vgg19"), 32),
    **dict.fromkeys(("plain18", "plain34", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), 32),
    "googlenet": 72,
    "bninception": 32,
    **dict.fromkeys(("inceptionv2", "inceptionv3"), 107),
}
# What Keras calls layers that nobody named.
AUTOMATIC = {
    "conv2d",
    "dense",
    "batch_normalization",
    "activation",
    "add",
    "concatenate",
    "max_pooling2d",
    "average_pooling2d",
    "global_average_pooling2d",
    "zero_padding2d",
    "flatten",
    "input_layer",
    "local_response_normalization",
    "subsampled_identity",
}

# One network of each family is enough for the fast tests.
FAST = ("alexnetv2", "resnet20", "googlenet")


class Lesson(NamedTuple):
    """How a tiny batch is overfitted."""

    learning_rate: float = 1e-3
    steps: int = 30
    # Networks without batch normalization need pixels in their own scale.
    pixel_scale: float = 1.0
    batch_norm: bool = False


LESSONS = {
    **dict.fromkeys(("alexnet", "alexnetv2", "zfnet"), Lesson(1e-4, 60, 60.0)),
    **dict.fromkeys(("vgg11", "vgg13"), Lesson(1e-4, 60, 60.0)),
    # Deeper than thirteen layers, they do not leave their first plateau within seconds without normalization.
    **dict.fromkeys(("vgg16", "vgg16c", "vgg19"), Lesson(1e-4, 60, 60.0, batch_norm=True)),
}


def small(name, **arguments):
    size = SIZE.get(name, 16)
    return kerascnn.applications.create(name, input_shape=(size, size, 3), classes=3, **arguments)


def everyone():
    return [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in registry.list_models()]


def one_hot(model, count):
    labels = keras.utils.to_categorical(np.arange(count) % 3, 3)
    return dict.fromkeys(model.output, labels) if isinstance(model.output, dict) else labels


def images(model, count):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


@pytest.mark.parametrize("name", everyone())
def test_layers_are_named_by_hand(name):
    model = small(name)
    automatic = [layer.name for layer in model.layers if layer.name.rstrip("0123456789_") in AUTOMATIC]
    assert automatic == []
    names = [layer.name for layer in model.layers]
    assert len(names) == len(set(names))


def trained_form(name, **more):
    return small(name, **({"aux_heads": True} if registry.info(name).aux_heads else {}), **more)


@pytest.mark.parametrize("name", everyone())
def test_every_weight_gets_a_gradient(name):
    keras.utils.set_random_seed(0)
    model = trained_form(name)
    x, y = LESSONS.get(name, Lesson()).pixel_scale * images(model, 6), one_hot(model, 6)
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        pairs = zip(tf.nest.flatten(y), tf.nest.flatten(outputs), strict=True)
        loss = tf.add_n([tf.reduce_mean(keras.losses.categorical_crossentropy(*pair)) for pair in pairs])
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    pairs = zip(model.trainable_weights, gradients, strict=True)
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []


@pytest.mark.parametrize("name", everyone())
def test_a_tiny_batch_is_overfitted(name):
    keras.utils.set_random_seed(0)
    lesson = LESSONS.get(name, Lesson())
    model = trained_form(name, **({"batch_norm": True} if lesson.batch_norm else {}))
    x, y = lesson.pixel_scale * images(model, 6), one_hot(model, 6)
    model.compile(keras.optimizers.Adam(lesson.learning_rate), "categorical_crossentropy", jit_compile=False)
    history = model.fit(x, y, batch_size=6, epochs=lesson.steps, verbose=0).history["loss"]
    # The last losses are averaged, because dropout makes single ones jump.
    assert np.mean(history[-3:]) < 0.5 * history[0]


@pytest.mark.parametrize("name", everyone())
def test_file_round_trip_is_exact(name, tmp_path):
    model = small(name)
    x = images(model, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(x), again(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["resnet20", "googlenet"])
def test_mixed_precision_ends_in_float32(name, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = small(name)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("conv1").compute_dtype == policy.removeprefix("mixed_")
    probabilities = np.asarray(model(images(model, 2)))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_names():
    assert registry.info("GoogLeNet") is registry.info("googlenet")
    assert registry.info("ResNet-20").builder == "ResNet20"
    with pytest.raises(InputError, match="no model 'googelnet'; did you mean googlenet"):
        registry.info("googelnet")
    for name, entry in registry.REGISTRY.items():
        assert getattr(kerascnn.applications, entry.builder) is registry.builder(name)
    with pytest.raises(AttributeError):
        _ = kerascnn.applications.LeNet
