"""`.keras` files of Keras' own layers: the same function, opened by Keras without kerascnn."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import InputError
from kerascnn.export import deployable, export
from kerascnn.export.keras_file import stock_model, write_keras
from kerascnn.training import Recipe
from kerascnn.training.assembly import build
from support.messages import mentioning
from support.networks import size_of, slim

# Between them, every layer that other networks have: LRN, batch normalization, both kinds of shortcut, branches.
KINDS = ("googlenet", "resnet18", "resnet20")

# Opens all files in one process that cannot import kerascnn.
PROGRAM = """
import sys
sys.modules["kerascnn"] = None
import keras, numpy as np
for file in sys.argv[1:]:
    model = keras.models.load_model(file)
    np.save(file + ".npy", model.predict(np.load(file + ".images.npy"), verbose=0))
"""


def trained(name, mean="channel", channels=3):
    """The slim network of a recipe, with random means, statistics and weights."""
    recipe = Recipe.for_model(name).with_values(image_size=size_of(name))
    recipe = replace(recipe, pixels=replace(recipe.pixels, mean=mean), channels=channels)
    model = slim(build(recipe, ["a", "b", "c"]))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 0.3, weight.shape) for weight in model.get_weights()])
    return deployable(model)


@pytest.mark.slow
def test_keras_alone_opens_every_kind_of_network(tmp_path):
    models = {name: trained(name) for name in KINDS}
    models |= {"mean image": trained("resnet20", "pixel"), "gray": trained("resnet20", "middle", channels=1)}
    files = []
    for name, model in models.items():
        files.append(str(tmp_path / f"{name}.keras"))
        write_keras(model, tmp_path / f"{name}.keras")
        images = np.random.default_rng(1).uniform(0, 255, (3, *model.input_shape[1:])).astype("float32")
        np.save(f"{files[-1]}.images.npy", images)
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    for file, model in zip(files, models.values(), strict=True):
        expected = model.predict(np.load(f"{file}.images.npy"), verbose=0)
        np.testing.assert_allclose(np.load(f"{file}.npy"), expected, atol=1e-5, err_msg=file)


def test_an_export_is_verified_and_keeps_its_labels(tiny_digits_run, few_digits, tmp_path):
    exported = export(tiny_digits_run.model, few_digits, tmp_path / "mine", formats=["keras"])
    assert [result.format for result in exported.verification.results] == ["Keras", "Keras file"]
    model = kerascnn.load(tmp_path / "mine")
    assert model.class_names == tuple("0123456789")
    assert "load_model" in (tmp_path / "mine" / "model_card.md").read_text()
    with zipfile.ZipFile(tmp_path / "mine" / "mine.keras") as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")
        assert "kerascnn" not in json.dumps(json.loads(archive.read("config.json")))


def test_layers_that_keras_lacks_are_refused(tmp_path):
    class Mine(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    pixels = keras.Input((8, 8, 3))
    with mentioning(InputError, "Mine"):
        stock_model(keras.Model(pixels, Mine()(pixels)))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("filters", "strides"), [(5, 2), (3, 2), (5, 1)])
def test_the_parameter_free_shortcut(data_format, filters, strides):
    shape = (7, 6, 3) if data_format == "channels_last" else (3, 7, 6)
    x = keras.Input(shape)
    layer = kerascnn.layers.SubsampledIdentity(filters, strides, data_format)
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    ours = keras.Model(x, layer(x))
    if data_format == "channels_last":
        np.testing.assert_array_equal(stock_model(ours)(images), ours(images))
    assert stock_model(ours).output_shape == ours.output_shape
