"""Saved models in the code of Keras users: `keras.models.load_model` after `import kerascnn`."""

import subprocess
import sys

import keras
import pytest

from kerascnn.layers import (
    BatchNormalization,
    ClassLabels,
    LocalResponseNormalization,
    Preprocessing,
    SubsampledIdentity,
)
from kerascnn.training.optimizers import SGD


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A compiled model with every layer and an optimizer of ours."""
    inputs = keras.Input((8, 8, 3))
    x = Preprocessing(mean_shape=(3,), std=58.0)(inputs)
    x = BatchNormalization()(LocalResponseNormalization()(SubsampledIdentity(4, strides=2)(x)))
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, ClassLabels(["cat", "dog"])(x))
    model.compile(SGD(l2=1e-4), "categorical_crossentropy")
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path


# The first two are a user's; a module of ours that imports Keras itself is half imported when Keras is ready.
@pytest.mark.parametrize(
    "imports", ["import kerascnn, keras", "import keras, kerascnn", "import kerascnn.training.schedules, keras"]
)
def test_load_model_knows_our_classes(model_file, imports):
    program = f"{imports}\nmodel = keras.models.load_model({str(model_file)!r})\nprint(model.layers[-1].class_names)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "('cat', 'dog')"


def test_import_starts_neither_keras_nor_tensorflow():
    program = "import kerascnn, sys; sys.exit(bool({'keras', 'tensorflow'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
