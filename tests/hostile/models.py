"""Whole models, damaged: `.keras` and `.h5` files, SavedModel folders, `.tflite` and `.onnx` files."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import marshal
import random
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from kerascnn.evaluation.model_digests import MARK, seal
from tests.hostile.attack import Kind
from tests.hostile.mutations import bytes_damaged, value_damaged

if TYPE_CHECKING:
    from kerascnn.evaluation import Classifier

SIZE = 8  # of the network's images, in pixels
IMAGE = np.zeros((SIZE, SIZE, 3), np.uint8)

# What would write a file beside the folder of the model, were it run.
COMMAND = "touch ../ran"
PROGRAM = base64.b64encode(marshal.dumps(compile(f"__import__('os').system({COMMAND!r})", "model", "exec"))).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"code": PROGRAM, "defaults": None, "closure": None}}
CALLS = (
    {"module": "os", "class_name": "system", "config": COMMAND, "registered_name": None},
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"},
    {"module": "builtins", "class_name": "exec", "config": {"source": f"import os; os.system({COMMAND!r})"}},
    {"module": "subprocess", "class_name": "Popen", "config": {"args": COMMAND, "shell": True}},
    {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "run", "function": LAMBDA}},
    {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "../out", "call_endpoint": "serve"}},
    {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
    {"module": "keras.layers", "class_name": "TextVectorization", "config": {"vocabulary": "/etc/passwd"}},
    {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"},
    {"module": "keras.src.ops.operation", "class_name": "Operation", "config": {}},
    LAMBDA,
)
# Of layers that need no large numbers to be large.
LARGE = (10**5, 10**6, 10**7, 10**9, 2**31, 2**63, 10**30, 10**400)


@functools.cache
def _network() -> Any:
    import keras

    from kerascnn.layers import ClassLabels, Preprocessing

    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    x = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, activation="softmax", name="dense")(x)
    return keras.Model(pixels, ClassLabels(["a", "b", "c"], name="labels")(x), name="tiny")


@functools.cache
def _written(suffix: str) -> dict[str, bytes]:
    """The files of the network in a format, by their names."""
    from kerascnn.export.inference_network import deployable
    from kerascnn.export.onnx_file import write_onnx
    from kerascnn.export.saved_model import write_saved_model
    from kerascnn.export.tflite import write_tflite

    writers = {"": write_saved_model, ".tflite": write_tflite, ".onnx": write_onnx}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"tiny{suffix}"
        if suffix in writers:
            writers[suffix](deployable(_network()), path)
        else:
            _network().save(path)
        files = [path] if suffix else [file for file in path.rglob("*") if file.is_file()]
        return {"" if suffix else str(file.relative_to(path)): file.read_bytes() for file in files}


def make_keras(chance: random.Random) -> tuple[str, bytes]:
    """The suffix and the contents of a Keras model with a hostile config, hostile entries or damaged bytes."""
    suffix = chance.choice((".keras", ".keras", ".keras", ".h5"))
    [contents] = _written(suffix).values()
    if suffix == ".h5" and chance.random() < 0.6:
        changed = io.BytesIO(contents)
        with h5py.File(changed, "r+") as file:
            # Longer attributes have no room in a header.
            config = _config(file.attrs["model_config"].encode(), chance)
            file.attrs["model_config"] = np.void(config) if b"\0" in config else config[:60_000]
        return suffix, changed.getvalue()
    if suffix == ".keras" and chance.random() < 0.8:
        with zipfile.ZipFile(io.BytesIO(contents)) as whole:
            entries = {name: whole.read(name) for name in whole.namelist()}
        name = chance.choice(("config.json", "config.json", "config.json", "model.weights.h5", *entries))
        damage = _config if name == "config.json" else bytes_damaged
        entries[name] = damage(entries[name], chance)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for entry, data in entries.items():
                if chance.random() < 0.98:
                    archive.writestr(entry, data)
        contents = packed.getvalue()
        if chance.random() < 0.8:
            return suffix, contents
    return suffix, bytes_damaged(contents, chance)


def _config(contents: bytes, chance: random.Random) -> bytes:
    """A config.json with values of other types, numbers too large, code instead of layers, or damaged text."""
    config = json.loads(contents)
    layers = config["config"]["layers"]
    for _ in range(chance.choice((1, 1, 2, 4))):
        layer = chance.choice([layer for layer in layers if isinstance(layer.get("config"), dict)])
        match chance.randrange(8):
            case 0 | 1:
                layer["config"] = value_damaged(layer["config"], chance)
            case 2:
                return json.dumps(value_damaged(config, chance), default=str).encode("utf-8", "surrogatepass")
            case 3 | 4 if numbers := [key for key, value in layer["config"].items() if type(value) in (int, list)]:
                number = chance.choice(LARGE)
                layer["config"][chance.choice(numbers)] = chance.choice((number, [number, number], [None, number, 3]))
            case 5:
                layer |= chance.choice(CALLS)
            case 6:
                layer["config"][chance.choice((*layer["config"], "activation"))] = chance.choice(CALLS)
            case 7:
                return bytes_damaged(json.dumps(config, default=str).encode(), chance)
    return json.dumps(config, default=str).encode("utf-8", "surrogatepass")


def read_keras(folder: Path, given: tuple[str, bytes]) -> None:
    """Reads it as a teacher, and opens it as a model, which predicts, embeds and explains an image."""
    from kerascnn.errors import InputError
    from kerascnn.training.distillation.teacher import read_teacher

    suffix, contents = given
    if suffix == ".keras":
        (folder / "teacher.keras").write_bytes(contents)
        with contextlib.suppress(InputError):
            read_teacher(folder / "teacher.keras")
    classifier = _run(folder, f"model{suffix}", {"": contents})
    classifier.embed(IMAGE)
    classifier.explain(IMAGE, 1)


def make_saved_model(chance: random.Random) -> dict[str, bytes]:
    """The files of a SavedModel, one or two of them damaged or missing, half of the times without their digest."""
    files = dict(_written(""))
    if chance.random() < 0.5:
        files["assets/kerascnn.json"] = json.dumps({"image_size": SIZE, "crop_fraction": 1.0}).encode()
    for name in chance.sample(sorted(files), chance.choice((1, 1, 2))):
        files[name] = bytes_damaged(files[name], chance)
        if chance.random() < 0.05:
            del files[name]
    return files


def read_saved_model(folder: Path, files: dict[str, bytes]) -> None:
    """Opens the folder, and runs it on an image."""
    _run(folder, "model", files)


def make_tflite(chance: random.Random) -> bytes:
    """A `.tflite` file with damaged bytes, mostly in front of the labels at its end."""
    return _network_damaged(_written(".tflite")[""], chance)


def make_onnx(chance: random.Random) -> tuple[bytes, bool]:
    """An `.onnx` file with damaged bytes, and whether it gets a digest that fits."""
    return bytes_damaged(_written(".onnx")[""], chance), chance.random() < 0.5


def _network_damaged(contents: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return bytes_damaged(contents, chance)
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        start = min(entry.header_offset for entry in archive.infolist())
    return bytes_damaged(contents[:start], chance) + contents[start:]


def read_tflite(folder: Path, contents: bytes) -> None:
    """Opens it, and runs it on an image."""
    _run(folder, "model.tflite", {"": contents})


def read_onnx(folder: Path, given: tuple[bytes, bool]) -> None:
    """Opens it, and runs it on an image."""
    contents, sealed = given
    if sealed and MARK in contents:
        (folder / "sealed").write_bytes(contents)
        seal(folder / "sealed")
        contents = (folder / "sealed").read_bytes()
    _run(folder, "model.onnx", {"": contents})


def _run(folder: Path, name: str, files: dict[str, bytes]) -> Classifier:
    """Opens a model in the folder, from which a command in it would run, and has it predict an image."""
    from kerascnn.errors import InputError
    from kerascnn.evaluation import load

    for file, contents in files.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
    with contextlib.chdir(folder):
        try:
            classifier = load(name)
            classifier.predict(IMAGE)
            return classifier
        except InputError as refusal:
            assert name.split(".")[0] in str(refusal) or "tiny" in str(refusal), refusal
            raise


KERAS_MODELS, SAVED_MODELS = Kind(make_keras, read_keras), Kind(make_saved_model, read_saved_model)
TFLITE_FILES, ONNX_FILES = Kind(make_tflite, read_tflite), Kind(make_onnx, read_onnx)
