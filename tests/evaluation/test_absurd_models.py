"""Files of models that nobody would make, or that are damaged in the middle: each ends in one sentence."""

import json
import random
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.applications.weights import load as weights
from kerascnn.evaluation import open_predictor
from kerascnn.evaluation.keras_models import _limited_weights, load_keras
from kerascnn.evaluation.model_digests import digest_before, with_digest
from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, ModelMetadata
from kerascnn.export.inference_network import deployable
from kerascnn.export.keras_file import write_keras
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning
from tests.hostile.attack import peak_megabytes


@pytest.fixture(scope="module")
def model():
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    x = keras.layers.UpSampling2D((1, 1), name="grown")(x)
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
    # 1.2 GB of weights, and 12 TB between two layers.
    "weights": lambda config: changed(config, "dense", units=10**8),
    "values": lambda config: changed(config, "grown", size=[10**6, 10**6]),
    "pixels": lambda config: changed(config, "pixels", batch_shape=[None, 10**6, 10**6, 3]),
}


def with_config(model, folder, change):
    """The model's file with another config.json, which `change` makes of the parsed one."""
    model.save(folder / "whole.keras")
    path = folder / "absurd.keras"
    with zipfile.ZipFile(folder / "whole.keras") as whole, zipfile.ZipFile(path, "w") as absurd:
        for entry in whole.namelist():
            contents = whole.read(entry)
            absurd.writestr(entry, change(json.loads(contents)) if entry == "config.json" else contents)
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_absurd_configs(model, tmp_path, name):
    path = with_config(model, tmp_path, CONFIGS[name])
    started, before = time.perf_counter(), peak_megabytes()
    with pytest.raises(InputError) as refusal:
        open_predictor(path)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 600
    assert time.perf_counter() - started < 5 and peak_megabytes() - before < 500


@pytest.mark.parametrize("layer", [
    {"class_name": "StringLookup", "config": {"vocabulary": "/etc/hostname"}},
    {"class_name": "TextVectorization", "config": {"vocabulary": "/etc/hostname"}},
    {"class_name": "TFSMLayer", "config": {"filepath": "saved_model", "call_endpoint": "serve"}},
])  # fmt: skip
def test_layers_that_read_files(model, tmp_path, layer):
    """The first layer is replaced by one that opens a file of the user's."""

    def replaced(config):
        config["config"]["layers"][1] |= {"module": "keras.layers", **layer}
        return json.dumps(config)

    with mentioning(InputError, "absurd.keras"):
        open_predictor(with_config(model, tmp_path, replaced))


def test_limits_of_weights_are_of_one_thread_and_end(model, tmp_path):
    model.save(tmp_path / "whole.keras")
    before = keras.layers.Layer.add_weight
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(load_keras, [tmp_path / "whole.keras"] * 8))) == 8
        assert keras.layers.Layer.add_weight is before
        with _limited_weights(1 << 10):
            # Of another thread, and by the shapes of TensorFlow.
            threads.submit(keras.layers.Dense(1000).build, (None, 10)).result()
            keras.layers.Layer().add_weight(tf.TensorShape((16, 8)))
            with pytest.raises(MemoryError):
                keras.layers.Dense(1000).build((None, 10))


@pytest.mark.parametrize("values", [
    {"image_size": 0}, {"image_size": "8"}, {"image_size": [8, -8]}, {"image_size": 8.0}, {"channels": 10**9},
    {"crop_fraction": 0}, {"crop_fraction": float("nan")}, {"crop_fraction": [1]}, {"threshold": "a"},
    {"threshold": 2}, {"quantization": None}, {"float_fallback_layers": [1]}, {"float_fallback_layers": 1},
    {"more": 1}, {"class_names": ["a"]},
])  # fmt: skip
def test_metadata_that_no_model_has(values):
    whole = {"image_size": 8, "crop_fraction": 0.875, "channels": 3}
    assert ModelMetadata.from_files(json.dumps(whole), "a\nb\n").class_names == ("a", "b")
    with pytest.raises((ValueError, TypeError)):
        ModelMetadata.from_files(json.dumps(whole | values), "a\nb\n")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".tflite"])
@pytest.mark.parametrize("lie", [{"image_size": 16}, {"channels": 1}, "a\nb\n"])
def test_metadata_of_another_model(model, tmp_path, suffix, lie):
    network, path = deployable(model), tmp_path / f"lies{suffix}"
    (write_keras if suffix == ".keras" else write_tflite)(network, tmp_path / f"whole{suffix}")
    contents = (tmp_path / f"whole{suffix}").read_bytes()
    path.write_bytes(contents)
    with zipfile.ZipFile(path) as whole:
        metadata, labels = (whole.read(name).decode() for name in (METADATA_FILE, LABELS_FILE))
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA_FILE, json.dumps(json.loads(metadata) | lie) if isinstance(lie, dict) else metadata)
        archive.writestr(LABELS_FILE, lie if isinstance(lie, str) else labels)
    with mentioning(InputError, path, "does not classify"):
        open_predictor(path)


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
        extras.writestr(LABELS_FILE, whole.read(LABELS_FILE))
        metadata = whole.read(METADATA_FILE).decode()
        # Of a file that somebody has made so.
        extras.writestr(METADATA_FILE, with_digest(metadata, digest_before(path, path.stat().st_size)))
    with mentioning(InputError, path):
        open_predictor(path).probabilities(np.zeros((1, 8, 8, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".tflite", ".onnx", ""])
def test_a_bit_that_flips_in_a_model_is_noticed(model, tmp_path, suffix):
    write = {".keras": write_keras, ".tflite": write_tflite, ".onnx": write_onnx, "": write_saved_model}[suffix]
    model_path = tmp_path / f"flipped{suffix}"
    write(deployable(model), model_path)
    if model_path.is_dir():
        # As a Mac adds them to folders that it shows.
        for folder in (model_path, model_path / "variables", model_path / "assets"):
            (folder / ".DS_Store").write_bytes(b"Bud1")
    path = model_path / "saved_model.pb" if model_path.is_dir() else model_path
    contents, chance = path.read_bytes(), random.Random(0)
    open_predictor(model_path)
    # Kernels are in the middle of the file, and at the end of a zip archive is what nobody needs.
    for place in chance.sample(range(len(contents) // 10, len(contents) * 8 // 10), 30):
        flipped = bytearray(contents)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with mentioning(InputError, model_path):
            open_predictor(model_path)


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
