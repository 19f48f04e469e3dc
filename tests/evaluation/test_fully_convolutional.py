"""Fully convolutional networks, compared with the original networks."""

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.applications import create
from kerascnn.evaluation import KerasPredictor, Protocol, evaluate
from kerascnn.evaluation.fully_convolutional import fully_convolutional
from kerascnn.layers import ClassLabels, Preprocessing
from support import bounds
from support.messages import mentioning

GENERATOR = np.random.default_rng(0)


def random_images(count, height, width, channels=3):
    return GENERATOR.integers(0, 256, (count, height, width, channels)).astype("float32")


def classifier(name, height, width=None, channels=3, mean=None, **arguments):
    """A network as assembled for training."""
    pixels = keras.Input((height, width or height, channels), name="pixels")
    scale = Preprocessing(() if mean is None else mean.shape, 60.0, 0.875, name="preprocessing")
    network = create(name, input_tensor=scale(pixels), classes=5, **arguments)
    scale.set_mean(120.0 if mean is None else mean)
    return keras.Model(network.input, ClassLabels("abcde", dtype="float32", name="labels")(network.output))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("vgg11", (64, 64)),
        ("alexnet", (67, 99, 1)),
        pytest.param("googlenet", (65, 65), marks=pytest.mark.slow),
        ("resnet18", (64, 96, 1)),
    ],
)
def test_the_same_network_at_its_input_size(name, shape):
    model = classifier(name, *shape, classifier_activation=None)
    images = random_images(3, *shape)
    logits = model.predict(images, verbose=0)
    network = fully_convolutional(model)
    maps = network.predict(images, verbose=0)
    assert maps.shape == (3, 1, 1, 5)
    # Only the order of summation differs.
    bounds.check(maps[:, 0, 0], logits, bounds.of_network(model), relative=True)
    probabilities, of_maps = (keras.ops.softmax(values).numpy() for values in (logits, maps[:, 0, 0]))
    bounds.check(of_maps, probabilities, bounds.of_probabilities(model, probabilities))
    assert network.count_params() == model.count_params()
    assert not any(isinstance(layer, keras.layers.Dense | keras.layers.Flatten) for layer in network.layers)


@pytest.mark.parametrize("ending", ["flatten", "average", "maximum"])
def test_every_position_equals_the_network_on_its_crop(ending):
    """Without padding, the receptive field of a position is one crop."""
    endings = {
        "flatten": [keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(6, activation="relu")],
        "average": [keras.layers.GlobalAveragePooling2D()],
        "maximum": [keras.layers.GlobalMaxPooling2D(), keras.layers.Flatten()],
    }
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            Preprocessing((3,), 60.0),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.MaxPooling2D(2),
            *endings[ending],
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    network = fully_convolutional(KerasPredictor(model).network)
    image = random_images(1, 20, 28)
    maps = network(image).numpy()
    # Strides of 2 and 2 make 4 pixels per position.
    assert maps.shape == (1, 3, 5, 3)
    for row in range(3):
        for column in range(5):
            crop = image[:, 4 * row : 4 * row + 12, 4 * column : 4 * column + 12]
            expected = model(crop).numpy()[0]
            bounds.check(maps[0, row, column], expected, bounds.of_probabilities(model, expected))


def test_a_mean_image_is_resized():
    mean = GENERATOR.uniform(80, 160, (32, 32, 3)).astype("float32")
    model = classifier("resnet20", 32, mean=mean)
    network = fully_convolutional(model)
    images = random_images(2, 32, 32)
    expected = model(images).numpy()
    bounds.check(network(images).numpy()[:, 0, 0], expected, bounds.of_probabilities(model, expected))
    assert network(random_images(1, 40, 52)).shape == (1, 3, 6, 5)


@pytest.mark.slow
def test_probabilities_are_averaged_over_positions_mirror_images_and_scales():
    model = classifier("resnet20", 32)
    # Untrained, its probabilities would be near 0 or 1.
    model.get_layer("predictions").kernel.assign(0.01 * model.get_layer("predictions").kernel)
    images = random_images(20, 32, 32).astype(np.uint8)
    examples = data.ArrayExamples(images, np.arange(20) % 5)
    loaded = data.DataSet("noise", "noise", tuple("abcde"), examples, examples)
    measured = evaluate(KerasPredictor(model), loaded, protocol=Protocol("dense", (32,)))
    expected = (model(images).numpy() + model(images[:, :, ::-1]).numpy()) / 2
    bound = bounds.of_probabilities(model, expected)
    bounds.check(measured.probabilities, expected, bound)
    both, larger = (
        evaluate(KerasPredictor(model), loaded, protocol=Protocol("dense", sides)) for sides in ((32, 40), (40,))
    )
    bounds.check(both.probabilities, (measured.probabilities + larger.probabilities) / 2, bound)
    # At 40 x 40 pixels the last feature map is 10 x 10: 3 x 3 positions of the window of 8.
    assert np.abs(larger.probabilities - measured.probabilities).max() > 1e-4


def test_networks_that_cannot_be_evaluated_densely():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Dense(2),
        ]
    )
    with mentioning(InputError, "'bn'", "flatten", "dense"):
        fully_convolutional(KerasPredictor(model).network)
