"""Data sets from arrays and from a tf.data.Dataset, checked: nothing is trained on pixels or labels of doubt."""

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from kerascnn.data.dataset import MADE_IN_PYTHON, ArrayExamples, DataSet, class_counts
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.splits import split_arrays
from kerascnn.data.pipeline.cache import memory_for_images
from kerascnn.errors import InputError, closest, first_of, is_real

# Images that are converted at a time.
PORTION = 1024

SEVERAL = "images have several classes: multi-label data"

# Floats are this far from whole numbers when whole numbers were divided by 255 and multiplied again.
ROUNDING = 1e-3


def from_arrays(
    images: Any,
    labels: Any,
    *,
    class_names: Sequence[str] | None = None,
    validation: tuple[Any, Any] | None = None,
    validation_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    groups: Sequence[Any] | None = None,
    scale: float | None = None,
    name: str = "arrays",
    allows_horizontal_flip: bool = True,
) -> DataSet:
    """A data set from images and labels in memory.

    What is converted is said by a warning: one-hot labels, and pixels that are no whole numbers.

    Args:
        images: (count, height, width, 3) RGB, or (count, height, width) or (count, height, width, 1) gray, as an array,
            a tensor or a list of equal images. Pixels are from 0 to 255, of any type; values of another range need
            `scale`, and so do images that have 0 and 1 only.
        labels: (count,) numbers from 0, or texts; (count, classes) with one 1 per row, or any number of them for
            multi-label data, which a list of lists of texts gives too.
        class_names: in the order of the numbers; None for the texts in alphabetical order, or the numbers as texts.
        validation: images and labels for validation; None to hold out a part of the images, chosen by their pixels as
            in a folder.
        validation_fraction, fold: the share that is held out, a fifth by default, or (k, n) for the k-th of n parts.
        groups: a value for each image, such as the patient; images with the same value are in one split.
        scale: by which pixels are multiplied: 255 for pixels from 0 to 1.
        name: short, for the names of folders.
        allows_horizontal_flip: whether a mirrored image still belongs to its class.

    Raises:
        InputError: pixels or labels of a wrong shape, type, range or length, NaN, a class without training images, or
            names that do not fit.

    Example:
        >>> data = from_arrays(x_train, y_train, class_names=("cat", "dog"), validation=(x_val, y_val))
        >>> data = from_arrays(x_train / 255, y_train, scale=255, groups=patients)
        >>> training.train(Recipe.for_model("resnet20"), data)
    """
    if hasattr(images, "element_spec"):
        raise InputError("images is a tf.data.Dataset; use kerascnn.data.from_dataset(dataset).")
    if validation is not None and (validation_fraction is not None or fold is not None or groups is not None):
        raise InputError("validation has the images that are held out; leave out validation_fraction, fold and groups.")
    options = DataOptions(validation_fraction=validation_fraction, fold=fold)
    read = _read_labels(labels, class_names, "labels")
    examples = _read_examples(images, read.labels, scale)
    if validation is None:
        if groups is not None:
            if not hasattr(groups, "__len__"):
                raise InputError(f"groups must be one value for each image, not {groups!r}.")
            _check_lengths("images", len(examples), "groups", len(groups))
            groups = [str(group) for group in groups]
        training, held_out = split_arrays(examples, options, groups)
    else:
        if not (isinstance(validation, tuple | list) and len(validation) == 2):
            raise InputError(f"validation must be a pair of images and labels, not {type(validation).__name__}.")
        theirs = _like(_read_labels(validation[1], read.class_names, "validation labels"), read)
        training = examples
        held_out = _read_examples(validation[0], theirs.labels, scale, "validation ")
    _check_classes(training.labels, read)
    head = np.asarray(images[:PORTION])
    if head.dtype.kind == "f" and np.abs(head * (scale or 1) - np.rint(head * (scale or 1))).max() > ROUNDING:
        warnings.warn(f"{name}: pixels are rounded to whole numbers from 0 to 255.", stacklevel=2)
    if read.note:
        warnings.warn(f"{name}: {read.note}.", stacklevel=2)
    return DataSet(
        name,
        name + MADE_IN_PYTHON,
        read.class_names,
        training,
        held_out,
        allows_horizontal_flip=allows_horizontal_flip,
        layout=f"{len(read.class_names)} classes from {read.kind} of {len(examples)} arrays",
        options=options,
    )


def from_dataset(
    dataset: Any,
    *,
    class_names: Sequence[str] | None = None,
    validation: Any = None,
    validation_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    scale: float | None = None,
    name: str = "dataset",
    allows_horizontal_flip: bool = True,
) -> DataSet:
    """A data set from a finite `tf.data.Dataset` of images of one size, which are read into memory.

    Args:
        dataset: pairs of an image and its label, or mappings with "image" and "label", single or in batches.
        class_names: as for `from_arrays`; None for those of the dataset, as
            `keras.utils.image_dataset_from_directory` sets them.
        validation: another dataset for validation; None to hold out a part.
        validation_fraction, fold, scale, name, allows_horizontal_flip: as for `from_arrays`.

    Raises:
        InputError: the dataset never ends, has no labels, has images of several sizes or more than fit into memory, or
            as for `from_arrays`.

    Example:
        >>> train, val = keras.utils.image_dataset_from_directory("photos", validation_split=0.2, subset="both", seed=1)
        >>> data = from_dataset(train, validation=val)
    """
    images, labels = _collect(dataset, "dataset")
    return from_arrays(
        images,
        labels,
        class_names=class_names if class_names is not None else getattr(dataset, "class_names", None),
        validation=None if validation is None else _collect(validation, "validation"),
        validation_fraction=validation_fraction,
        fold=fold,
        scale=scale,
        name=name,
        allows_horizontal_flip=allows_horizontal_flip,
    )


class _Labels(NamedTuple):
    """Labels as in `ArrayExamples`, the classes, what they were made from, and what is to be said, or ""."""

    labels: np.ndarray
    class_names: tuple[str, ...]
    kind: str
    note: str = ""


def _like(labels: _Labels, training: _Labels) -> _Labels:
    """Validation labels in the form of the training labels; by chance, they may have one class per image."""
    if labels.labels.ndim > training.labels.ndim:
        raise InputError("validation labels have several classes per image, and training labels have one.")
    if labels.labels.ndim < training.labels.ndim:
        return labels._replace(labels=np.eye(len(labels.class_names), dtype=np.uint8)[labels.labels])
    return labels


def _from_lists(values: Sequence[Sequence[str]], names: tuple[str, ...] | None, what: str) -> _Labels:
    """Labels that list the classes of each image."""
    names = names or tuple(sorted({text for texts in values for text in texts}))
    numbers = {text: number for number, text in enumerate(names)}
    labels = np.zeros((len(values), len(names)), np.uint8)
    for row, texts in enumerate(values):
        for text in texts:
            if text not in numbers:
                raise InputError(f"{what} have the unknown class '{text}'; {closest(text, names)}")
            labels[row, numbers[text]] = 1
    return _Labels(labels, names, "lists of classes", SEVERAL)


def _read_labels(values: Any, class_names: Sequence[str] | None, what: str) -> _Labels:
    lists = isinstance(values, list | tuple) and all(isinstance(row, list | tuple | set) for row in values)
    if lists and any(values) and all(isinstance(text, str) for row in values for text in row):
        return _from_lists(values, _read_names(class_names), what)
    if isinstance(values, list | tuple) and {str, float} <= {*map(type, values)}:
        # NumPy makes the class "nan" of a missing one.
        raise InputError(f"{what} are texts and numbers; leave out images without a label.")
    try:
        labels = np.asarray(values)
    except ValueError:
        raise InputError(f"{what} have rows of different lengths; give one column per class, of 0 and 1.") from None
    values = labels.ravel().tolist() if labels.dtype.kind in "OS" else []
    if values and all(isinstance(value, str | bytes) for value in values):
        texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
        labels = np.array(texts).reshape(labels.shape)
    elif values:
        with contextlib.suppress(TypeError, ValueError):
            labels = labels.astype(float)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or not len(labels):
        raise InputError(f"{what} must have the shape (count,) or (count, classes), not {labels.shape}.")
    names = _read_names(class_names)
    if labels.dtype.kind == "U" and labels.ndim == 1:
        return _from_texts(labels, names, what)
    if labels.dtype.kind not in "biuf":
        raise InputError(f"{what} must be numbers or texts, not {labels.dtype}.")
    if not np.isfinite(labels).all():
        raise InputError(f"{what} have NaN or infinite values; leave out images without a label.")
    return _from_rows(labels, names, what) if labels.ndim == 2 else _from_numbers(labels, names, what)


def _read_names(class_names: Sequence[str] | None) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    is_ordered = isinstance(class_names, Iterable) and not isinstance(class_names, str | Mapping | Set)
    names = tuple(map(str, class_names)) if is_ordered else ()
    if len({*names}) < len(names) or not is_ordered:
        raise InputError(f"class_names must be different names in the order of their numbers, not {class_names!r}.")
    return names


def _from_texts(labels: np.ndarray, names: tuple[str, ...] | None, what: str) -> _Labels:
    found = sorted({*labels.tolist()})
    known = {*(names or found)}
    unknown = [text for text in found if not text.strip() or text not in known]
    if unknown:
        raise InputError(f"{what} have the unknown class '{unknown[0]}'; {closest(unknown[0], names or found[1:])}")
    if len(found) > len(labels) / 2 > 1:
        raise InputError(f"{what} have {len(found)} different texts for {len(labels)} images; they are no classes.")
    names = names or tuple(found)
    numbers = {text: number for number, text in enumerate(names)}
    return _Labels(np.array([numbers[text] for text in labels.tolist()], int), names, "texts")


def _from_rows(labels: np.ndarray, names: tuple[str, ...] | None, what: str) -> _Labels:
    count = labels.shape[1]
    names = names or tuple(map(str, range(count)))
    if len(names) != count:
        raise InputError(f"{what} have {count} columns for {len(names)} classes.")
    if not ((labels == 0) | (labels == 1)).all():
        raise InputError(f"{what} of shape {labels.shape} must be 0 or 1; of probabilities give labels.argmax(axis=1).")
    if (labels.sum(axis=1) == 1).all():
        return _Labels(labels.argmax(axis=1), names, "one-hot labels", "one-hot labels are converted to numbers")
    return _Labels(labels.astype(np.uint8), names, "multi-hot labels", SEVERAL)


def _from_numbers(labels: np.ndarray, names: tuple[str, ...] | None, what: str) -> _Labels:
    whole = labels.astype(int)
    if (whole != labels).any():
        raise InputError(f"{what} must be whole numbers, not {labels[whole != labels][0]:g}.")
    low, high = int(whole.min()), int(whole.max())
    count = len(names) if names else high + 1
    if low < 0 or high >= count or (names is None and low > 0):
        range_text = f"{what} are from {low} to {high}"
        fix = f"subtract {low}" if low > 0 and (names is None or high - low < count) else "give more class_names"
        fix = "give the number of a class to each image" if low < 0 else fix
        raise InputError(f"{range_text}; of {count} classes they must be from 0 to {count - 1}: {fix}.")
    return _Labels(whole, names or tuple(map(str, range(count))), "numbers")


def _check_classes(labels: np.ndarray, read: _Labels) -> None:
    counts = class_counts(labels, len(read.class_names))
    empty = [name for name, count in zip(read.class_names, counts, strict=True) if not count]
    if empty:
        raise InputError(
            f"{len(empty)} of {len(counts)} classes have no training images ({first_of(empty, 5)}); leave out their "
            "names, or give the labels as texts."
        )


def _check_lengths(one: str, count: int, other: str, others: int) -> None:
    if count != others:
        raise InputError(f"there are {count} {one} and {others} {other}; there must be one for each.")


def _read_examples(images: Any, labels: np.ndarray, scale: float | None, kind: str = "") -> ArrayExamples:
    pixels = _read_pixels(images, scale, f"{kind}images")
    _check_lengths(f"{kind}images", len(pixels), f"{kind}labels", len(labels))
    return ArrayExamples(pixels, labels)


def _read_pixels(images: Any, scale: float | None, what: str) -> np.ndarray:
    """The images as uint8 (count, height, width, channels)."""
    if isinstance(images, list | tuple):
        images = [np.asarray(image) for image in images]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            one, other = sorted(shapes, key=str)[:2]
            raise InputError(f"{what} have different shapes, such as {one} and {other}; resize them, or give files.")
    pixels = np.asarray(images)
    if pixels.dtype.kind in "USO":
        raise InputError(f"{what} must be pixels, not {pixels.dtype}; for files use kerascnn.data.from_table.")
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or not pixels.size:
        raise InputError(_shape_sentence(pixels.shape, what))
    if pixels.dtype.kind not in "biuf":
        raise InputError(f"{what} must be whole numbers or floats, not {pixels.dtype}.")
    _check_range(pixels, scale, what)
    if pixels.dtype == np.uint8 and scale in (None, 1):
        return np.ascontiguousarray(pixels)
    read = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), PORTION):
        read[start : start + PORTION] = np.rint(pixels[start : start + PORTION] * float(scale or 1))
    return read


def _shape_sentence(shape: tuple[int, ...], what: str) -> str:
    hint = "; of flat rows of pixels give images.reshape(-1, height, width)" if len(shape) == 2 else ""
    if len(shape) == 4 and shape[1] in (1, 3):
        hint = "; these look like channels first, give images.transpose(0, 2, 3, 1)"
    elif len(shape) == 4 and shape[3] in (2, 4):
        hint = "; leave out the channel of transparency, images[..., :-1]"
    return f"{what} must have the shape (count, height, width, 3), or 1 for gray, not {shape}{hint}."


def _check_range(pixels: np.ndarray, scale: float | None, what: str) -> None:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high):
        raise InputError(f"{what} have NaN or infinite pixels.")
    if scale is not None and not (is_real(scale) and 0 < scale < np.inf):
        raise InputError(f"scale must be a number above 0, not {scale!r}.")
    factor = scale or 1
    if low < 0:
        hint = "give them as they were before they were standardized"
    elif high * factor <= 1:
        hint = "multiply them by 255, or give scale=255"
    elif high * factor > 255.5:
        hint = f"give scale={255 / high:.6g}"
    else:
        return
    times = f" times {factor:g}" if scale else ""
    raise InputError(f"{what} have pixels from {low:g} to {high:g}{times}, and must have 0 to 255; {hint}.")


def _collect(dataset: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and the labels of a `tf.data.Dataset`."""
    if not hasattr(dataset, "element_spec"):
        raise InputError(f"{what} must be a tf.data.Dataset, not {type(dataset).__name__}; of arrays use from_arrays.")
    if int(dataset.cardinality()) == -1:
        raise InputError(f"{what} never ends; give it without repeat().")
    images, labels, size = [], [], 0
    room = memory_for_images()
    for element in dataset:
        image, label = (np.asarray(part) for part in _pair(element, what))
        in_batches = image.ndim == 4
        if images and image.shape[in_batches:] != images[0].shape[1:]:
            raise InputError(
                f"{what} has images of the shapes {images[0].shape[1:]} and {image.shape[in_batches:]}; resize them "
                "with dataset.map, or give their files."
            )
        images.append(image if in_batches else image[None])
        labels.append(label if in_batches else label[None])
        size += image.nbytes
        if size > room:
            raise InputError(f"{what} does not fit into memory ({size / 1e9:.1f} GB so far); give its files.")
    if not images:
        raise InputError(f"{what} is empty.")
    return np.concatenate(images), np.concatenate(labels)


def _pair(element: Any, what: str) -> tuple[Any, Any]:
    if isinstance(element, dict) and {"image", "label"} <= element.keys():
        return element["image"], element["label"]
    if isinstance(element, tuple) and len(element) == 2:
        return element
    found = ", ".join(element) if isinstance(element, dict) else f"{type(element).__name__}"
    parts = f" of {len(element)}" if isinstance(element, tuple) else ""
    raise InputError(f"{what} must have pairs of an image and a label, not {found}{parts}.")
