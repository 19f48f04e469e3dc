"""What holds for every network of the registry."""

import inspect
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
    **dict.fromkeys(("plain18", "plain34", "resnet18", "resnet34"), 32),
    # Statistics of last maps of one pixel make gradients explode through that many layers.
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), 64),
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

# Networks without batch normalization need pixels in their own scale.
PIXEL_SCALE = dict.fromkeys(("alexnet", "alexnetv2", "zfnet", "vgg11", "vgg13", "vgg16", "vgg16c", "vgg19"), 60.0)


def small(name, **arguments):
    size = SIZE.get(name, 16)
    return kerascnn.applications.create(name, **{"input_shape": (size, size, 3), "classes": 3} | arguments)


def trained_form(name):
    return small(name, **({"aux_heads": True} if registry.info(name).aux_heads else {}))


def everyone():
    return [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in registry.list_models()]


def images(model, count):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


def one_hot(model, count):
    labels = keras.utils.to_categorical(np.arange(count) % 3, 3)
    return dict.fromkeys(model.output, labels) if isinstance(model.output, dict) else labels


@pytest.fixture(scope="module", params=everyone())
def network(request):
    """A name, and its small network as it is trained; one is alive at a time."""
    keras.utils.set_random_seed(0)
    yield request.param, trained_form(request.param)
    keras.backend.clear_session(free_memory=True)


def test_layers_are_named_by_hand(network):
    _, model = network
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name.rstrip("0123456789_") in AUTOMATIC] == []
    assert len(names) == len(set(names))


def test_file_round_trip_is_exact(network, tmp_path):
    _, model = network
    x = images(model, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for first, second in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(first, second)
    for first, second in zip(tf.nest.flatten(model(x)), tf.nest.flatten(again(x)), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_training_step_reaches_every_weight_and_lowers_the_loss(network):
    name, model = network
    x, y = PIXEL_SCALE.get(name, 1.0) * images(model, 4), one_hot(model, 4)
    with tf.GradientTape() as tape:
        loss = loss_of(model, x, y)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    pairs = list(zip(model.trainable_weights, gradients, strict=True))
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []
    # Along the gradient, as far as would lower a straight line by one percent.
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


# The deepest has the blocks of ResNet-20, and takes as long as all others.
@pytest.mark.parametrize("name", [case for case in everyone() if case.values != ("resnet1202",)])
def test_features_of_any_size_pooling_and_precision(name):
    size = SIZE.get(name, 16)
    maps = small(name, include_top=False, input_shape=(None, None, 3))
    wide = np.zeros((1, size, size + 32, 3), "float32")
    features = maps(wide)
    assert features.ndim == 4
    channels = maps.output.shape[-1]
    for pooling, policy in (("avg", "mixed_bfloat16"), ("max", "mixed_float16")):
        pooled = small(name, include_top=False, pooling=pooling, dtype=policy)
        assert pooled.output.shape == (None, channels)
        assert pooled.get_layer("conv1" if "vgg" not in name else "conv1_1").compute_dtype == policy[6:]
        if policy == "mixed_bfloat16":
            assert np.isfinite(np.asarray(pooled(wide[:, :, :size])).astype("float32")).all()
    assert keras.config.dtype_policy().name == "float32"
    keras.backend.clear_session(free_memory=True)


class Lesson(NamedTuple):
    """How a tiny batch is overfitted, in so many steps at most."""

    learning_rate: float = 1e-3
    steps: int = 30


class UntilLearnt(keras.callbacks.Callback):
    """Ends at half the loss of the start and of chance; three are averaged, because dropout makes single ones jump."""

    def __init__(self, chance):
        super().__init__()
        self.chance, self.losses = chance, []

    @property
    def learnt(self):
        return len(self.losses) > 3 and np.mean(self.losses[-3:]) < 0.5 * min(self.losses[0], self.chance)

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])
        self.model.stop_training = self.learnt


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("resnet20", Lesson()),
        pytest.param("googlenet", Lesson(), marks=pytest.mark.slow),
        pytest.param("alexnetv2", Lesson(1e-4, 60), marks=pytest.mark.slow),
        pytest.param("vgg11", Lesson(1e-4, 60), marks=pytest.mark.slow),
        pytest.param("bninception", Lesson(), marks=pytest.mark.slow),
    ],
)
def test_a_tiny_batch_is_overfitted(name, lesson):
    keras.utils.set_random_seed(0)
    model = trained_form(name)
    # Each picture has a colour: averaged over a picture, noise alone is always the same.
    colours = 2 * np.random.default_rng(1).normal(size=(6, 1, 1, 3)).astype("float32")
    x, y = PIXEL_SCALE.get(name, 1.0) * (images(model, 6) + colours), one_hot(model, 6)
    model.compile(keras.optimizers.Adam(lesson.learning_rate), "categorical_crossentropy", jit_compile=False)
    seen = UntilLearnt(chance=np.log(3) * len(tf.nest.flatten(y)))
    model.fit(x, y, batch_size=6, epochs=lesson.steps, verbose=0, callbacks=[seen])
    assert seen.learnt, seen.losses


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["resnet20", "googlenet"])
def test_mixed_precision_ends_in_float32(name, policy):
    model = small(name, dtype=policy)
    assert model.get_layer("conv1").compute_dtype == policy.removeprefix("mixed_")
    probabilities = np.asarray(model(images(model, 2)))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_dtype_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="precision policy such as 'mixed_bfloat16', not 'mixed_int3'"):
        small("resnet20", dtype="mixed_int3")


def test_signatures_are_those_of_keras_applications():
    theirs = list(inspect.signature(keras.applications.ResNet50).parameters)
    for name in registry.list_models():
        parameters = inspect.signature(registry.builder(name)).parameters
        assert list(parameters)[:8] == [*theirs[:7], "name"]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in list(parameters.values())[8:])
        assert parameters["classes"].default == registry.info(name).classes
        assert "{" not in registry.builder(name).__doc__


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pooling": "sum"}, "pooling must be None, 'avg' or 'max', not 'sum'"),
        ({"classes": 0}, "at least 1 class, not classes=0"),
        ({"weights": "nowhere.h5"}, "ResNet20 has no weights 'nowhere.h5'"),
        ({"input_shape": (32, 32)}, "input_shape of three numbers, not \\(32, 32\\)"),
        ({"input_tensor": keras.Input((8,))}, "images of three dimensions"),
        ({"input_shape": (3, 3, 3)}, "at least 4 x 4 pixels, not 3 x 3"),
    ],
)
def test_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        kerascnn.applications.create("resnet20", **arguments)


def test_names():
    assert registry.info("GoogLeNet") is registry.info("googlenet")
    assert registry.info("ResNet-20").builder == "ResNet20"
    with pytest.raises(InputError, match="no model 'googelnet'; did you mean googlenet"):
        registry.info("googelnet")
    for name, entry in registry.REGISTRY.items():
        assert getattr(kerascnn.applications, entry.builder) is registry.builder(name)
    with pytest.raises(AttributeError):
        _ = kerascnn.applications.LeNet
