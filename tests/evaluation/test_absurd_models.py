"""Files of models that nobody would make, or that are damaged in the middle: each ends in one sentence."""

import json
import zipfile

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications.weights import load as weights
from kerascnn.evaluation import open_predictor
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning


@pytest.fixture(scope="module")
def model():
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    x = keras.layers.Dense(3, activation="softmax", name="dense")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(pixels, ClassLabels(["a", "b", "c"], name="labels")(x), name="tiny")


def changed(config, name, **values):
    for layer in config["config"]["layers"]:
        if layer["config"]["name"] == name:
            layer["config"] |= values
    return json.dumps(config)


CONFIGS = {
    "empty": lambda config: "{}",
    "nothing": lambda config: "",
    "list": lambda config: "[]",
    "null": lambda config: "null",
    "no layers": lambda config: json.dumps(config | {"config": {}}),
    "deep": lambda config: '{"config":' * 5_000 + "0" + "}" * 5_000,
    "digits": lambda config: changed(config, "dense", units="N").replace('"N"', "9" * 5_000),
    "units": lambda config: changed(config, "dense", units=10**30),
    "negative": lambda config: changed(config, "dense", units=-1),
    "no rank": lambda config: changed(config, "pixels", batch_shape=None),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_absurd_configs(model, tmp_path, name):
    model.save(tmp_path / "whole.keras")
    path = tmp_path / "absurd.keras"
    with zipfile.ZipFile(tmp_path / "whole.keras") as whole, zipfile.ZipFile(path, "w") as absurd:
        for entry in whole.namelist():
            contents = whole.read(entry)
            absurd.writestr(entry, CONFIGS[name](json.loads(contents)) if entry == "config.json" else contents)
    with pytest.raises(InputError) as refusal:
        open_predictor(path)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 600


def test_a_zip_bomb(model, tmp_path):
    path = tmp_path / "bomb.keras"
    model.save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(50_000_000))
    with mentioning(InputError, path, "zip bomb"):
        open_predictor(path)
    with mentioning(InputError, path, "zip bomb"):
        weights.read(path)


def test_a_tensor_without_data(model, tmp_path):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    write_tflite(model, tmp_path / "whole.tflite")
    contents = (tmp_path / "whole.tflite").read_bytes()
    network = schema.ModelT.InitFromPackedBuf(contents, 0)
    for buffer in network.buffers:
        buffer.data = None
    builder = flatbuffers.Builder()
    builder.Finish(network.Pack(builder), b"TFL3")
    path = tmp_path / "empty.tflite"
    path.write_bytes(bytes(builder.Output()))
    with zipfile.ZipFile(tmp_path / "whole.tflite") as whole, zipfile.ZipFile(path, "a") as extras:
        for entry in whole.namelist():
            extras.writestr(entry, whole.read(entry))
    with mentioning(InputError, path):
        open_predictor(path).probabilities(np.zeros((1, 8, 8, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 1, 100, 0.3, 0.9])
@pytest.mark.parametrize("suffix", [".keras", ".tflite"])
def test_files_that_are_cut(model, tmp_path, suffix, cut):
    path = tmp_path / f"cut{suffix}"
    (model.save if suffix == ".keras" else lambda file: write_tflite(model, file))(path)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(cut if cut >= 1 else cut * len(contents))])
    with mentioning(InputError, path):
        open_predictor(path)
