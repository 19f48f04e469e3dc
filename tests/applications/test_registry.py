"""Properties of every network of the registry."""

import ast
import inspect
import typing
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import InputError
from kerascnn.applications import registry
from support.messages import mentioning
from support.networks import (
    DISTINCT,
    PIXEL_SCALE,
    as_trained,
    kinds,
    outline,
    size_of,
    slim,
    small,
    unnamed,
    without_values,
)

# The networks of the fast tests.
FAST = ("alexnetv2", "resnet20", "googlenet")


def cases(names, fast=FAST):
    return [pytest.param(name, marks=[] if name in fast else [pytest.mark.slow]) for name in names]


def images(model, count):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


def one_hot(model, count):
    labels = keras.utils.to_categorical(np.arange(count) % 3, 3)
    return dict.fromkeys(model.output, labels) if isinstance(model.output, dict) else labels


# ResNet-1202 has the blocks of ResNet-20, takes as long as all others, and is in test_resnet1202.py.
OTHERS = [name for name in registry.list_models() if name != "resnet1202"]


@pytest.mark.parametrize("name", cases(OTHERS, fast=DISTINCT))
def test_layers_are_named_by_hand(name):
    assert unnamed(outline(name)) == []


@pytest.mark.parametrize("name", cases(OTHERS))
def test_features_of_any_size_and_precision(name):
    maps = without_values(small, name, include_top=False, input_shape=(None, None, 3))
    *_, channels = maps.output.shape
    assert maps.output.shape == (None, None, None, channels)
    for pooling, policy in (("avg", "mixed_bfloat16"), ("max", "mixed_float16")):
        pooled = without_values(small, name, include_top=False, pooling=pooling, dtype=policy)
        assert pooled.output.shape == (None, channels)
        assert pooled.get_layer("conv1" if "vgg" not in name else "conv1_1").compute_dtype == policy[6:]
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_every_kind_of_layer_is_in_a_distinct_network():
    """So the checks below on these networks cover the layers of all."""
    checked = set().union(*(kinds(outline(name)) for name in DISTINCT))
    for name in OTHERS:
        others = kinds(outline(name)) - checked
        assert not others, f"{name} has layers of other kinds, so it belongs into support.networks.DISTINCT: {others}"


@pytest.fixture(scope="module", params=cases(DISTINCT))
def network(request):
    """A name, and its slim network as it is trained."""
    keras.utils.set_random_seed(0)
    return request.param, slim(outline(request.param))


def round_trip(model, path):
    model.save(path)
    again = keras.saving.load_model(path)
    for first, second in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(first, second)
    return again


def test_file_round_trip_is_exact(network, tmp_path):
    _, model = network
    again = round_trip(model, tmp_path / "model.keras")
    x = images(model, 2)
    for first, second in zip(tf.nest.flatten(model(x)), tf.nest.flatten(again(x)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OTHERS if name not in DISTINCT])
def test_file_round_trip_of_weights(name, tmp_path):
    round_trip(slim(outline(name)), tmp_path / "model.keras")


def test_a_training_step_reaches_every_weight_and_lowers_the_loss(network):
    name, model = network
    x, y = PIXEL_SCALE.get(name, 1.0) * images(model, 4), one_hot(model, 4)
    with tf.GradientTape() as tape:
        loss = loss_of(model, x, y)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    pairs = list(zip(model.trainable_weights, gradients, strict=True))
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []
    # A step along the gradient that lowers a linear function by one percent.
    step = 0.01 * loss / sum(tf.reduce_sum(gradient**2) for gradient in gradients)
    for weight, gradient in pairs:
        weight.assign_sub(step * gradient)
    assert float(loss_of(model, x, y)) < float(loss)


def loss_of(model, x, y):
    """The sum of all classifiers' losses, with the same dropout each time."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([0, 0])
    outputs = model(x, training=True)
    pairs = zip(tf.nest.flatten(y), tf.nest.flatten(outputs), strict=True)
    return tf.add_n([tf.reduce_mean(keras.losses.categorical_crossentropy(*pair)) for pair in pairs])


@pytest.mark.parametrize("name", cases(DISTINCT))
def test_values_of_any_size(name):
    size = size_of(name)
    maps = slim(without_values(small, name, include_top=False, input_shape=(None, None, 3)))
    assert np.isfinite(np.asarray(maps(np.zeros((1, size, size + 32, 3), "float32")))).all()


@pytest.mark.parametrize("name", cases(DISTINCT))
def test_values_in_bfloat16(name):
    pooled = slim(without_values(small, name, include_top=False, pooling="avg", dtype="mixed_bfloat16"))
    assert np.isfinite(np.asarray(pooled(images(pooled, 1))).astype("float32")).all()


class Lesson(NamedTuple):
    """How a tiny batch is overfitted, with a maximal number of steps."""

    learning_rate: float = 1e-3
    steps: int = 30
    # TensorFlow keeps hundreds of megabytes of every training with dense layers of 4,096 units.
    slim: bool = False


class UntilLearned(keras.callbacks.Callback):
    """Stops at half of the initial and of the chance loss; the last three losses are averaged, because of dropout."""

    def __init__(self, chance):
        super().__init__()
        self.chance, self.losses = chance, []

    @property
    def learned(self):
        return len(self.losses) > 3 and np.mean(self.losses[-3:]) < 0.5 * min(self.losses[0], self.chance)

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])
        self.model.stop_training = self.learned


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("resnet20", Lesson()),
        pytest.param("googlenet", Lesson(), marks=pytest.mark.slow),
        pytest.param("alexnetv2", Lesson(3e-3, 150, slim=True), marks=pytest.mark.slow),
        pytest.param("vgg11", Lesson(1e-3, 150, slim=True), marks=pytest.mark.slow),
        pytest.param("bninception", Lesson(), marks=pytest.mark.slow),
    ],
)
def test_a_tiny_batch_is_overfitted(name, lesson):
    keras.utils.set_random_seed(0)
    model = without_values(small, name, **as_trained(name)) if lesson.slim else small(name, **as_trained(name))
    model = slim(model) if lesson.slim else model
    # Each image has a color: averaged over an image, noise alone is always the same.
    colors = 2 * np.random.default_rng(1).normal(size=(6, 1, 1, 3)).astype("float32")
    x, y = PIXEL_SCALE.get(name, 1.0) * (images(model, 6) + colors), one_hot(model, 6)
    # The few steps of whole networks take less time than the tracing of a graph.
    model.compile(keras.optimizers.Adam(lesson.learning_rate), "categorical_crossentropy", run_eagerly=not lesson.slim)
    seen = UntilLearned(chance=np.log(3) * len(tf.nest.flatten(y)))
    model.fit(x, y, batch_size=6, epochs=lesson.steps, verbose=0, callbacks=[seen])
    assert seen.learned, seen.losses


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["resnet20", "googlenet"])
def test_mixed_precision_ends_in_float32(name, policy):
    model = small(name, dtype=policy)
    assert model.get_layer("conv1").compute_dtype == policy.removeprefix("mixed_")
    probabilities = np.asarray(model(images(model, 2)))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_wrong_dtype_is_an_input_error():
    with mentioning(InputError, "mixed_bfloat16", "mixed_int3"):
        small("resnet20", dtype="mixed_int3")


def test_signatures_are_those_of_keras_applications():
    theirs = list(inspect.signature(keras.applications.ResNet50).parameters)
    for name in registry.list_models():
        parameters = inspect.signature(registry.builder(name)).parameters
        assert list(parameters)[:8] == [*theirs[:7], "name"]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in list(parameters.values())[8:])
        assert parameters["classes"].default == registry.info(name).classes
        assert all(parameter.annotation is not parameter.empty for parameter in parameters.values())


@pytest.mark.parametrize("name", [*registry.list_models(), *registry.UNLISTED])
def test_builders_are_plain_documented_functions(name):
    builder = registry.builder(name)
    assert inspect.isfunction(builder) and builder.__name__ == builder.__qualname__ == registry.info(name).builder
    assert builder.__module__ == f"kerascnn.applications.{registry.info(name).module}"
    hints = typing.get_type_hints(builder)
    assert hints["return"] is keras.Model and hints["pooling"] == typing.Literal["avg", "max"] | None
    example = f">>> model = kerascnn.applications.{builder.__name__}("
    assert example in builder.__doc__, f"the docstring of {builder.__name__} needs an example that begins {example}"
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such_option'"):
        builder(no_such_option=True)


def test_the_package_lists_every_name():
    """The stub, which editors read, and `dir`, which a console completes from."""
    stub = Path(kerascnn.applications.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    named = {alias.asname for node in ast.parse(stub).body for alias in node.names}
    builders = {registry.info(name).builder for name in (*registry.list_models(), *registry.UNLISTED)}
    missing = builders - named
    assert not missing, f"{', '.join(missing)}: not in applications/__init__.pyi as `from .module import Name as Name`"
    assert named == set(dir(kerascnn.applications)) == set(kerascnn.applications.__all__)
    for name in named:
        assert getattr(kerascnn.applications, name) is not None


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"pooling": "sum"}, ("pooling", "None", "'avg'", "'max'", "'sum'")),
        ({"classes": 0}, ("classes=0", "1")),
        ({"weights": "nowhere.h5"}, ("ResNet20", "weights", "'nowhere.h5'")),
        ({"input_shape": (32, 32)}, ("input_shape", "three", "(32, 32)")),
        ({"input_tensor": keras.Input((8,))}, ("three dimensions",)),
        ({"input_shape": (3, 3, 3)}, ("4 x 4", "3 x 3")),
    ],
)
def test_wrong_arguments_are_input_errors(arguments, parts):
    with mentioning(InputError, *parts):
        kerascnn.applications.create("resnet20", **arguments)


def test_names():
    assert registry.info("GoogLeNet") is registry.info("googlenet")
    assert registry.info("ResNet-20").builder == "ResNet20"
    with mentioning(InputError, "'googelnet'", " googlenet"):
        registry.info("googelnet")
    for name, entry in registry.REGISTRY.items():
        assert getattr(kerascnn.applications, entry.builder) is registry.builder(name)
    with pytest.raises(AttributeError):
        _ = kerascnn.applications.LeNet


def test_torchvisions_googlenet_is_found_but_is_not_a_papers_network():
    entry = registry.info("GoogLeNet_Torchvision")
    assert registry.canonical("googlenet-torchvision") == "googlenettorchvision" not in registry.list_models()
    assert entry.preprocessing == "symmetric" and entry.aux_heads
    [accuracy] = entry.accuracies
    assert accuracy == registry.info("googlenet").accuracies[-1] and accuracy.source == registry.TORCHVISION
