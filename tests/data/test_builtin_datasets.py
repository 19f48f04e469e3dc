"""Built-in data sets without downloads: Keras' loaders and TensorFlow Datasets are replaced."""

import importlib
import io
import re
import sys
import types
import urllib.error

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.data import builtin_datasets
from kerascnn.data.builtin_datasets import load_named
from kerascnn.data.ingestion.sources import normalized
from support.messages import mentioning


def random_images(count, *shape, classes=10):
    generator = np.random.default_rng(count)
    return generator.integers(0, 256, (count, *shape), np.uint8), np.arange(count, dtype=np.uint8) % classes


@pytest.mark.parametrize(
    ("name", "shape", "classes", "last", "allows_horizontal_flip"),
    [
        ("cifar10", (32, 32, 3), 10, "truck", True),
        ("cifar100", (32, 32, 3), 100, "worm", True),
        ("mnist", (28, 28), 10, "9", False),
        ("fashion_mnist", (28, 28), 10, "Ankle boot", True),
    ],
)
def test_keras_sets(monkeypatch, capsys, name, shape, classes, last, allows_horizontal_flip):
    training, validation = random_images(200, *shape, classes=classes), random_images(100, *shape, classes=classes)
    column = validation[0], validation[1][:, None]

    def load_data():
        print("Downloading data")
        return training, column if shape[-1] == 3 else validation

    monkeypatch.setattr(importlib.import_module(f"keras.datasets.{name}"), "load_data", load_data)
    data = load_named(f"keras:{name}")
    assert (data.name, data.source, data.allows_horizontal_flip) == (name, f"keras:{name}", allows_horizontal_flip)
    assert len(data.class_names) == classes and data.class_names[-1] == last
    assert data.training.images.shape == (200, *shape[:2], 3)
    assert data.validation.images.shape == (100, *shape[:2], 3)
    for channel in range(3):
        expected = training[0][..., channel] if shape[-1] == 3 else training[0]
        np.testing.assert_array_equal(data.training.images[..., channel], expected)
    np.testing.assert_array_equal(data.validation.labels, validation[1])
    assert capsys.readouterr().out == ""


def test_channels_first(monkeypatch):
    images, labels = random_images(20, 3, 32, 32)
    module = importlib.import_module("keras.datasets.cifar10")
    monkeypatch.setattr(module, "load_data", lambda: ((images, labels), (images, labels)))
    loaded = load_named("keras:cifar10").training.images
    np.testing.assert_array_equal(loaded[..., 2], images[:, 2])


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_class_names_are_those_of_keras_documentation(name):
    described = importlib.import_module(f"keras.datasets.{name}").load_data.__doc__
    rows = re.findall(r"\|\s*(\d+)\s*\|\s*([^|]+?)\s*\|", described)
    if name == "cifar100":
        # Its documentation has no table; the names are in alphabetical order.
        rows = [(str(number), label) for number, label in enumerate(sorted(builtin_datasets.CIFAR100))]
        assert len(set(rows)) == 100
    assert [label for _, label in sorted(rows, key=lambda row: int(row[0]))] == list(
        builtin_datasets.KERAS[name].class_names
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_without_a_network_the_error_names_the_file_and_its_path(monkeypatch, tmp_path, name):
    from keras.src.utils import file_utils

    wanted = []

    def urlretrieve(origin, target, *rest):
        wanted.append((origin, target))
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", urlretrieve)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(InputError) as raised:
        load_named(f"keras:{name}")
    sentence = str(raised.value)
    assert sentence.startswith(f"keras:{name} ") and "URL fetch failure" in sentence and "\n" not in sentence
    ((origin, target),) = wanted
    assert covered(origin, sentence) and covered(target, sentence)


def covered(part, sentence):
    """Whether the sentence contains `part`, or a pattern like a/{b,c} that matches it."""
    for word in sentence.rstrip(".").split():
        pattern = re.escape(word.rstrip(",")).replace(r"\{", "(").replace(r"\}", ")").replace(",", "|")
        if re.fullmatch(pattern, part):
            return True
    return False


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("keras:cifar1", ("Keras", "'cifar1'", "did you mean cifar10")),
        ("keras:imdb", ("Keras", "'imdb'")),
        ("keras:", ("'keras:'", "'keras:cifar10'")),
        ("torch:cifar10", ("'torch:cifar10'", "'keras:cifar10'")),
    ],
)
def test_unknown_names(source, parts):
    with mentioning(InputError, *parts):
        load_named(source)


def test_tfds_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with mentioning(InputError, "tfds:oxford_flowers102", "TensorFlow Datasets", "pip install 'kerascnn[tfds]'"):
        load_named("tfds:oxford_flowers102")


class NotFoundError(ValueError):
    pass


class ImageFeature:
    pass


class LabelFeature:
    names = ("rose", "a/b", "tulip")


def encoded(seed, kind):
    generator, buffer = np.random.default_rng(seed), io.BytesIO()
    size = generator.integers(8, 20, 2)
    Image.fromarray(generator.integers(0, 256, (*size, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


class Builder:
    """A data set of TensorFlow Datasets with images of many sizes."""

    def __init__(self, splits, features=None, keys=("image", "label"), failure=None):
        features = features or {"image": ImageFeature(), "label": LabelFeature(), "file_name": object()}
        self.info = types.SimpleNamespace(features=features, supervised_keys=keys, splits=splits)
        self.failure = failure

    def download_and_prepare(self):
        print("Downloading")
        if self.failure:
            raise self.failure

    def as_dataset(self, split, decoders, shuffle_files):
        assert decoders == {"image": "undecoded"} and not shuffle_files
        kinds = ("JPEG", "PNG")
        for number in range(self.info.splits[split]):
            yield {"image": encoded(number + len(split), kinds[number % 2]), "label": np.int64(number % 3)}


@pytest.fixture
def tfds(monkeypatch):
    """A replacement for TensorFlow Datasets with the builders in `known`."""
    known = {}

    def builder(name):
        if name not in known:
            raise NotFoundError(f"Dataset {name} not found.\nAvailable datasets:\n\t- abc")
        return known[name]

    fake = types.SimpleNamespace(
        known=known,
        builder=builder,
        list_builders=lambda: ["flowers", "mnist"],
        core=types.SimpleNamespace(DatasetNotFoundError=NotFoundError),
        features=types.SimpleNamespace(Image=ImageFeature, ClassLabel=LabelFeature),
        decode=types.SimpleNamespace(SkipDecoding=lambda: "undecoded"),
        as_numpy=lambda examples: examples,
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    return fake


@pytest.mark.parametrize("held_out", [{"validation": 6, "test": 9}, {"test": 6}])
def test_tfds_with_its_own_split(tfds, capsys, held_out):
    tfds.known["flowers/small:1.0.0"] = Builder({"train": 12, **held_out})
    data = load_named("tfds:flowers/small:1.0.0")
    assert (data.name, data.source) == ("flowers-small-1.0.0", "tfds:flowers/small:1.0.0")
    assert data.class_names == ("rose", "a/b", "tulip")
    assert (len(data.training), len(data.validation)) == (12, 6)
    assert data.training.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    with open(data.training.paths[4], "rb") as file:
        assert file.read() == encoded(1 + len("train"), "PNG")
    assert data.allows_horizontal_flip and capsys.readouterr().out == ""


def test_tfds_without_a_split_to_hold_out(tfds):
    tfds.known["mnist"] = Builder({"train": 30}, keys=None)
    data = load_named("tfds:mnist")
    assert len(data.training) + len(data.validation) == 30
    assert min(np.bincount(data.validation.labels, minlength=len(data.class_names))) >= 1
    assert data.class_names == ("rose", "a/b", "tulip") and not data.allows_horizontal_flip


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("flower", ("TensorFlow Datasets", "'flower'", "did you mean flowers")),
        ("xyz", ("'xyz'", "https://", "/catalog")),
        ("broken", ("tfds:broken", "no network")),
        ("text", ("tfds:text", "classification", "text, label")),
    ],
)
def test_tfds_data_sets_that_cannot_be_loaded(tfds, name, parts):
    tfds.known["broken"] = Builder({"train": 3}, failure=ConnectionError("no network.\nmore"))
    tfds.known["text"] = Builder({"train": 3}, {"text": object(), "label": LabelFeature()})
    with mentioning(InputError, *parts) as raised:
        load_named(f"tfds:{name}")
    assert "\n" not in str(raised.value)


def test_a_folder_of_the_same_name_is_another_source(tmp_path, monkeypatch):
    """It is named by a path; evaluations then know which of the two a model was trained on."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "keras:mnist", "photos"):
        (tmp_path / name).mkdir()
    assert [normalized(name) for name in ("digits", "keras:mnist")] == ["digits", "keras:mnist"]
    assert [normalized(name) for name in ("./digits", "photos")] == [str(tmp_path / "digits"), str(tmp_path / "photos")]
