"""Data sets by name: scikit-learn's digits, those of `keras.datasets` and of TensorFlow Datasets."""

import contextlib
import difflib
import importlib
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerascnn.data.dataset import ArrayExamples, DataSet
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.folder import ingest_folder
from kerascnn.data.ingestion.sources import resolve_source, slug
from kerascnn.data.ingestion.splits import split_arrays
from kerascnn.data.labeled_images import joined
from kerascnn.errors import InputError, closest
from kerascnn.files.progress import untracked, untracked_bytes
from kerascnn.files.temporary import TemporaryFolder

DIGITS = tuple("0123456789")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR100 = tuple(CIFAR100_FINE.split())
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

TORONTO = "https://www.cs.toronto.edu/~kriz/"
GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
FASHION_FILES = "{train,t10k}-{labels-idx1,images-idx3}-ubyte.gz"


class _KerasDataSet(NamedTuple):
    """A data set of keras.datasets: `origin` is the URL that Keras downloads, `file` its path below Keras' folder."""

    class_names: tuple[str, ...]
    origin: str
    file: str
    allows_horizontal_flip: bool


KERAS = {
    "cifar10": _KerasDataSet(CIFAR10, f"{TORONTO}cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive", True),
    "cifar100": _KerasDataSet(CIFAR100, f"{TORONTO}cifar-100-python.tar.gz", "cifar-100-python-target_archive", True),
    "mnist": _KerasDataSet(DIGITS, f"{GOOGLE}mnist.npz", "mnist.npz", False),
    "fashion_mnist": _KerasDataSet(CLOTHES, f"{GOOGLE}{FASHION_FILES}", f"fashion-mnist/{FASHION_FILES}", True),
}

# Data sets of TensorFlow Datasets whose classes are characters: mirrored, they are other characters or none.
CHARACTERS = ("emnist", "kmnist", "mnist", "mnist_corrupted", "omniglot", "qmnist", "svhn_cropped")
CATALOG = "https://www.tensorflow.org/datasets/catalog"
HELD_OUT = ("validation", "test")


def load_named(source: str, options: DataOptions = DataOptions()) -> DataSet:
    """A data set by its name; Keras or TensorFlow Datasets downloads it on first use and caches it.

    The source is "digits", which needs no network connection; "keras:" with cifar10, cifar100, mnist or fashion_mnist;
    or "tfds:" with a name of TensorFlow Datasets, "tfds:oxford_flowers102" or "tfds:name/config:version", which needs
    the extra `tfds`. The data set has its own split: training, and the test images as validation (of TensorFlow
    Datasets: the validation images if there are any; a fifth of the training images if there is neither). If the
    options choose a share or a fold of the training images, published validation or test images are the data set's test
    images; the digits have none. Grayscale images become RGB.

    InputError if the name is unknown, cannot be downloaded, or is not an image classification data set.
    """
    if source == "digits":
        digits = _load_digits()
        pooled = joined([digits.training, digits.validation])
        return _with_split(digits, pooled, None, options) if options.chooses_validation else digits
    kind, _, name = source.partition(":")
    if kind not in ("keras", "tfds") or not name:
        raise InputError(f"'{source}' is not a data set; give one like 'keras:cifar10' or 'tfds:oxford_flowers102'.")
    if kind == "tfds":
        return _load_tfds(source, name, options)
    found = _load_keras(source, name)
    return _with_split(found, found.training, found.validation, options) if options.chooses_validation else found


def _with_split(data: DataSet, images: ArrayExamples, test: ArrayExamples | None, options: DataOptions) -> DataSet:
    training, validation = split_arrays(images, options)
    return replace(data, training=training, validation=validation, test=test)


def _load_digits() -> DataSet:
    """scikit-learn's copy of the UCI optical digits, 1,797 images of 8 x 8 in 17 grays, enlarged to 32 x 32 x 3.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    The split into 1,437 training and 360 validation images is stratified and always the same.
    """
    from PIL import Image
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    grays = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = np.stack([Image.fromarray(gray).resize((32, 32), Image.Resampling.BILINEAR) for gray in grays])
    split = train_test_split(images, digits.target, test_size=0.2, stratify=digits.target, random_state=0)
    training, validation = _examples(*split[::2]), _examples(*split[1::2])
    return DataSet("digits", "digits", DIGITS, training, validation, allows_horizontal_flip=False)


def _load_keras(source: str, name: str) -> DataSet:
    if name not in KERAS:
        raise InputError(f"Keras has no image data set '{name}'; {closest(name, KERAS)}")
    known = KERAS[name]
    module = importlib.import_module(f"keras.datasets.{name}")
    try:
        # Keras shows its download on standard output, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            training, validation = module.load_data()
    # Without a network connection it raises a bare Exception.
    except Exception as error:
        path = Path(os.environ.get("KERAS_HOME", "~/.keras"), "datasets", known.file)
        raise InputError(
            f"{source} cannot be loaded ({_first_line(error)}); it needs {known.origin}, which Keras stores as {path}."
        ) from error
    splits, flips = (_examples(*training), _examples(*validation)), known.allows_horizontal_flip
    return DataSet(name, source, known.class_names, *splits, allows_horizontal_flip=flips)


def _examples(images: np.ndarray, labels: np.ndarray) -> ArrayExamples:
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    elif images.shape[1] == 3:
        # Keras' configuration asks for channels first.
        images = images.transpose(0, 2, 3, 1)
    return ArrayExamples(np.ascontiguousarray(images, np.uint8), labels.reshape(-1).astype(int))


def _load_tfds(source: str, name: str, options: DataOptions) -> DataSet:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError(f"{source} needs TensorFlow Datasets; install it with pip install 'kerascnn[tfds]'.") from None
    builder = _prepared(tfds, source, name)
    features = builder.info.features
    image, label = builder.info.supervised_keys or ("image", "label")
    if not (
        {image, label} <= set(features)
        and isinstance(features[image], tfds.features.Image)
        and isinstance(features[label], tfds.features.ClassLabel)
    ):
        raise InputError(f"{source} is not an image classification data set; it has {', '.join(features)}.")
    workspace = TemporaryFolder()
    images = Path(workspace.name, "images")
    held_out = next((split for split in HELD_OUT if split in builder.info.splits), None)
    for split in filter(None, ("train", held_out)):
        # Without a held-out split the class folders are at the top, and a part of each class is held out.
        folder = images / split if held_out else images
        _write(tfds, builder, split, folder, image, label)
    resolved = resolve_source(str(images), Path(workspace.name), None, untracked_bytes)
    data = ingest_folder(resolved, "skip", untracked, options).data
    return replace(
        data,
        name=slug(name),
        source=source,
        class_names=tuple(features[label].names[int(number)] for number in data.class_names),
        allows_horizontal_flip=re.split("[/:]", name)[0] not in CHARACTERS,
        workspace=workspace,
    )


def _prepared(tfds, source: str, name: str):
    """The data set's builder, after its download."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder = tfds.builder(name)
            builder.download_and_prepare()
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(name, tfds.list_builders())
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {CATALOG} for the data sets."
        raise InputError(f"TensorFlow Datasets has no data set '{name}'; {hint}") from None
    # Downloads and preparations fail in as many ways as there are data sets.
    except Exception as error:
        raise InputError(f"{source} cannot be prepared: {_first_line(error)}.") from error
    return builder


def _write(tfds, builder, split: str, folder: Path, image: str, label: str) -> None:
    """Writes the encoded images, one folder per class, numbered so that their order stays."""
    examples = builder.as_dataset(split=split, decoders={image: tfds.decode.SkipDecoding()}, shuffle_files=False)
    for number, example in enumerate(tfds.as_numpy(examples)):
        contents = example[image]
        class_folder = folder / f"{example[label]:06d}"
        class_folder.mkdir(parents=True, exist_ok=True)
        suffix = ".jpg" if contents.startswith(b"\xff\xd8") else ".png"
        (class_folder / f"{number:09d}{suffix}").write_bytes(contents)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
