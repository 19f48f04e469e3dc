"""Trained models in every format (`.keras`, SavedModel, `.tflite`, `.onnx`) behind one interface."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kerascnn.cores import cores
from kerascnn.errors import InputError, check_installed, is_real, one_line, refused
from kerascnn.evaluation.model_digests import CHANGED, KEY, check_seal, digest_before, saved_model_digest
from kerascnn.evaluation.model_options import NO_OPTIONS, ModelOptions, numbered_classes
from kerascnn.files.run_names import find_run
from kerascnn.files.user_file import checked_file, checked_folder, open_zip, read_text
from kerascnn.image_shape import COLORS, RGB, ImageSize, Size
from kerascnn.native_output import discarded_stderr, logged_from
from kerascnn.shown_text import literal, printable

if TYPE_CHECKING:
    import keras
    from ai_edge_litert.interpreter import Interpreter

    AnyModel = "Predictor | HasPredictor | keras.Model | str | Path"


# The files inside an exported model that hold its `ModelMetadata`.
METADATA_FILE, LABELS_FILE = "kerascnn.json", "labels.txt"

# `ModelMetadata.quantization` of a model that computes in float32.
UNQUANTIZED = "none"

BATCH = 64

# Of an image's shorter side; publishers take 0.8 to 1.
LEAST_CROP = 0.01

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")

# The files that run without TensorFlow.
LIGHT_SUFFIXES = (".tflite", ".onnx")


@dataclass(frozen=True)
class ModelMetadata:
    """Class names and input format of a model."""

    class_names: tuple[str, ...]  # in the order of the probabilities
    image_size: Size  # height and width of the input in pixels: one number for both, or (height, width)
    # How an image is cropped to that size, see `kerascnn.data.augment.augmentation.evaluation_view`.
    crop_fraction: float
    quantization: str = UNQUANTIZED  # "none", or the kind of quantization, see `kerascnn.export.tflite.write_tflite`
    # The library that quantized the model, "tensorflow" or "litert"; None if unquantized or unknown.
    quantizer: str | None = None
    # Layers of an integer model that stay in float32 because integers would harm them.
    float_fallback_layers: tuple[str, ...] = ()
    channels: int = RGB  # of the input: 3 for RGB, 1 for gray
    # Of a multi-label model, the probability from which an image counts as having a class; None if an image has one
    # class.
    threshold: float | None = None

    def __post_init__(self):
        texts = (*self.class_names, self.quantization, self.quantizer or "", *self.float_fallback_layers)
        shares = (self.crop_fraction, 0.0 if self.threshold is None else self.threshold)
        sides = (*ImageSize.of(self.image_size), self.channels)
        if not (
            all(isinstance(side, Integral) and side > 0 for side in sides)
            and self.channels in COLORS
            and all(isinstance(text, str) for text in texts)
            and all(is_real(share) and 0 <= share <= 1 for share in shares)
            and self.crop_fraction >= LEAST_CROP
        ):
            # Files and layers of strangers have said it.
            raise ValueError(f"its image size, crop, threshold or names are such that no model has them: {self}"[:300])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        return *ImageSize.of(self.image_size), self.channels

    @property
    def views(self) -> dict[str, Any]:
        """The arguments of `kerascnn.data.pipeline.view_arrays.views_of` that prepare images for the model."""
        return {"size": self.image_size, "crop_fraction": self.crop_fraction, "channels": self.channels}

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes."""
        return self.threshold is not None

    def with_threshold(self, threshold: float | None) -> ModelMetadata:
        """The same with another threshold, from 0 to 1; None keeps the model's.

        InputError if the model predicts one class per image, or the threshold is not from 0 to 1.
        """
        if threshold is None:
            return self
        if not self.multi_label:
            raise InputError("the model predicts one class per image; a threshold is for multi-label models.")
        if not 0 <= threshold <= 1:
            raise InputError(f"the threshold must be from 0 to 1, not {threshold}.")
        return replace(self, threshold=threshold)

    def to_files(self) -> dict[str, str]:
        """The contents of the two files inside an exported model, by their names; one has the class names."""
        values = asdict(self)
        if self.threshold is None:
            del values["threshold"]
        labels = "".join(f"{literal(name)}\n" for name in values.pop("class_names"))
        return {LABELS_FILE: labels, METADATA_FILE: json.dumps(values)}

    @staticmethod
    def from_files(metadata: str, labels: str) -> ModelMetadata:
        """Parses the contents of these files; raises errors of many types if they are not what `to_files` writes."""
        values = {"float_fallback_layers": (), **json.loads(metadata)}
        values["float_fallback_layers"] = tuple(values["float_fallback_layers"])
        values.pop(KEY, None)
        values["image_size"] = ImageSize.of(values["image_size"]).plain
        return ModelMetadata(class_names=tuple(labels.splitlines()), **values)


class Predictor(ABC):
    """Maps images to class probabilities.

    Attributes:
        kind: "Keras", "SavedModel", "ONNX" or "TFLite" with its quantization.
        path: the file or folder of the model, or None.
        metadata: class names, input size, crop.
        pixel_type: the input's data type: "float32", or for some `.tflite` files "uint8" or "int8"; for these, images
            are rounded.
    """

    kind: str
    path: Path | None
    metadata: ModelMetadata
    pixel_type = "float32"
    has_own_threads = False

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Predicts images of the network's size.

        Args:
            images: (count, height, width, channels) in [0, 255], numbers of any type; see `metadata.image_shape`.
                `kerascnn.load` takes images of other sizes and forms.

        Returns:
            float32 (count, classes).

        Raises:
            InputError: the images have another shape, or are no numbers.
        """
        images, shape = np.asarray(images), self.metadata.image_shape
        # TensorFlow ends the process where a function that was traced gets another shape.
        if images.shape[1:] != shape or images.dtype.kind not in "uif":
            raise InputError(
                f"{self.path or 'the model'} takes numbers of shape (count, {', '.join(map(str, shape))}), not "
                f"{images.dtype} {images.shape}; kerascnn.load takes images of any size."
            )
        if self.pixel_type != "float32":
            images = np.round(images)
        with refused(f"{self.path or 'the model'} cannot be run"):
            batches = [self._probabilities(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(batches) if batches else np.zeros((0, len(self.metadata.class_names)), np.float32)

    @abstractmethod
    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        """As `probabilities`, of one to 64 images whose shape has been checked."""

    def on_one_thread(self) -> Predictor | None:
        """The same model on one CPU core; None if threads cannot be set per model, as in TensorFlow."""
        return type(self)(self.path, threads=1) if self.has_own_threads else None

    def size_in_bytes(self) -> int | None:
        """Size of the file, or of all files in the folder."""
        if self.path is None:
            return None
        files = [file for file in self.path.rglob("*") if file.is_file()] if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files)


class KerasPredictor(Predictor):
    """A Keras model of any origin in this process. If the model has several classifiers, the main one is used.

    Args:
        model: the classifier.
        path: its file, if it has one.
        metadata: None for those in the model's layers.
        options: what a model of another program does not say about itself.

    Attributes:
        network: the model from its input to that classifier.

    Raises:
        InputError: the model does not map RGB or gray images of one size to classes.
    """

    kind = "Keras"

    def __init__(
        self,
        model: keras.Model,
        path: Path | None = None,
        metadata: ModelMetadata | None = None,
        options: ModelOptions = NO_OPTIONS,
    ):
        import tensorflow as tf

        from kerascnn.applications.deep import functional
        from kerascnn.evaluation.keras_models import as_classifier, largest_tensor, main_output
        from kerascnn.files.memory import require_memory

        model = as_classifier(model, options) if metadata is None else model
        self.path = path
        with refused(f"{path or 'the model'} cannot be run"):
            self.metadata = metadata or model_metadata_of(model)
            self.network = main = functional(model.inputs[0], main_output(model), name=model.name)
            require_memory(largest_tensor(main))
            pixels = tf.TensorSpec((None, *self.metadata.image_shape), tf.float32)
            # A concrete function is traced once. TensorFlow warns of repeated tracing if there are many models.
            call = tf.function(lambda images: main(images, training=False), autograph=False)
            self._call = call.get_concrete_function(pixels)

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return self._call(tf.constant(images, tf.float32)).numpy()


class KerasFilePredictor(KerasPredictor):
    """An exported `.keras` file of Keras' own layers, which holds its metadata as files; InputError if damaged."""

    kind = "Keras file"

    def __init__(self, path: Path):
        from kerascnn.evaluation.keras_models import load_keras

        model, metadata = load_keras(path), _metadata_inside(path, "Keras")
        with refused(f"{path} is not a Keras file of kerascnn"):
            _check_shapes(path, metadata, [tensor.shape for tensor in (*model.inputs, *model.outputs)])
        super().__init__(model, path, metadata)


class SavedModelPredictor(Predictor):
    """A SavedModel folder written by `kerascnn export`, run by TensorFlow.

    Attributes:
        signatures: the model's functions by name.

    Raises:
        InputError: the folder is damaged, or another program wrote it.
    """

    kind = "SavedModel"

    def __init__(self, path: Path):
        import tensorflow as tf

        self.path = path
        with refused(f"{path} is not a SavedModel of kerascnn"), logged_from("absl", logging.CRITICAL):
            files = [read_text(path / "assets" / name) for name in (METADATA_FILE, LABELS_FILE)]
            digest = json.loads(files[0]).get(KEY)
            if digest is not None and digest != saved_model_digest(path, path / "assets" / METADATA_FILE):
                raise ValueError(CHANGED)
            # The functions work as long as the loaded module lives.
            self._module = tf.saved_model.load(str(checked_folder(path)))
            self.signatures = self._module.signatures
            self._serve = self.signatures["serve"]
            self.metadata = ModelMetadata.from_files(*files)
            [pixels] = self._serve.structured_input_signature[1].values()
            tensors = [pixels.shape, self._serve.structured_outputs["probabilities"].shape]
            _check_shapes(path, self.metadata, tensors)

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return self._serve(tf.constant(images, tf.float32))["probabilities"].numpy()


class OtherSavedModelPredictor(KerasPredictor):
    """A SavedModel folder of another program: its signature `serving_default`, of one input and one output.

    InputError if the folder is damaged, has no such signature, or is no classifier of images.
    """

    kind = "SavedModel"

    def __init__(self, path: Path, options: ModelOptions = NO_OPTIONS):
        from kerascnn.evaluation.keras_models import load_saved_model

        super().__init__(load_saved_model(path), path, options=options)


class TFLitePredictor(Predictor):
    """A `.tflite` file written by `kerascnn export`, run by LiteRT's interpreter, one image at a time.

    Raises:
        InputError: the file is damaged, or holds no labels.
    """

    kind = "TFLite"
    has_own_threads = True

    def __init__(self, path: Path, threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        self.path = path
        self.metadata = _metadata_inside(path, self.kind)
        with refused(f"{path} is not a TFLite file of kerascnn"), discarded_stderr():
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads or cores())
            self._interpreter.allocate_tensors()
            tensors = [*self._interpreter.get_input_details(), *self._interpreter.get_output_details()]
        if self.metadata.quantization != UNQUANTIZED:
            self.kind = f"{self.kind} {self.metadata.quantization}"
        _check_shapes(path, self.metadata, [tensor["shape"] for tensor in tensors])
        self.pixel_type = np.dtype(tensors[0]["dtype"]).name

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([run(self._interpreter, image[None]) for image in images])


class OnnxPredictor(Predictor):
    """An `.onnx` file written by `kerascnn export`, run by ONNX Runtime.

    InputError if ONNX Runtime is not installed, the file is damaged, or another program wrote it.
    """

    kind = "ONNX"
    has_own_threads = True

    def __init__(self, path: Path, threads: int | None = None):
        check_installed("opening an ONNX file", "onnxruntime", "onnx")
        import onnxruntime

        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        # Log errors only.
        options.log_severity_level = 3
        with refused(f"{path} is not an ONNX file of kerascnn"):
            check_seal(checked_file(path))
            # It would print that it tries the same provider again.
            named = {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}
            self._session = onnxruntime.InferenceSession(path, options, **named)
            stored = self._session.get_modelmeta().custom_metadata_map
            self.metadata = ModelMetadata.from_files(stored[METADATA_FILE], stored[LABELS_FILE])
            shapes = [tensor.shape for tensor in (*self._session.get_inputs(), *self._session.get_outputs())]
            _check_shapes(path, self.metadata, shapes)

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        return self._session.run(["probabilities"], {"pixels": images.astype(np.float32, copy=False)})[0]


def run(interpreter: Interpreter, image: np.ndarray) -> np.ndarray:
    """Runs a `.tflite` classifier on float32 (1, height, width, channels) in [0, 255]; returns float32 (1, classes)."""
    [pixels], [output] = interpreter.get_input_details(), interpreter.get_output_details()
    if np.issubdtype(pixels["dtype"], np.integer):
        scale, zero_point = pixels["quantization"]
        limits = np.iinfo(pixels["dtype"])
        # A scale of 0 means that the integers are the values themselves.
        image = np.clip(np.round(image / (scale or 1.0)) + zero_point, limits.min, limits.max)
    interpreter.set_tensor(pixels["index"], image.astype(pixels["dtype"]))
    interpreter.invoke()
    values = interpreter.get_tensor(output["index"])
    if np.issubdtype(output["dtype"], np.floating):
        return values
    scale, zero_point = output["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def find_model(path: str | Path) -> Path:
    """The file or SavedModel folder that `open_predictor` opens at a path, which may not exist."""
    path = find_run(path)
    # Not `path.is_dir()`, which fails where a path is too long.
    if not os.path.isdir(path):
        return path
    if (path / "model.keras").is_file():
        return path / "model.keras"
    if (path / "saved_model").is_dir():
        return path / "saved_model"
    files = (file for suffix in ("tflite", "onnx", "keras") for file in path.glob(f"*.{suffix}"))
    # The shortest name is that of the unquantized file.
    return min(files, key=lambda file: len(file.stem), default=path)


def open_predictor(path: str | Path, options: ModelOptions = NO_OPTIONS) -> Predictor:
    """Opens a trained model in any format.

    Args:
        path: a `.keras`, `.h5`, `.tflite` or `.onnx` file, a SavedModel folder, a run or export folder, or a name of a
            run such as "runs/last" or "resnet20-digits@best".
        options: what a Keras model or SavedModel of another program does not say about itself.

    Raises:
        InputError: the path does not exist, or holds no model, or the options are not the model's.

    Example:
        >>> open_predictor("saved_models/resnet20-digits/resnet20-digits.tflite").metadata.class_names
        ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    path = find_model(path)
    if not os.path.exists(path):
        raise InputError(f"there is no model at {printable(str(path))}.")
    saved_model = (path / "saved_model.pb").is_file()
    if saved_model and not (path / "assets" / METADATA_FILE).exists():
        return OtherSavedModelPredictor(path, options)
    if path.suffix in KERAS_SUFFIXES and not has_metadata(path):
        from kerascnn.evaluation.keras_models import load_keras

        return KerasPredictor(load_keras(path), path, options=options)
    kinds = {".tflite": TFLitePredictor, ".onnx": OnnxPredictor, ".keras": KerasFilePredictor}
    kind = SavedModelPredictor if saved_model else kinds.get(path.suffix)
    if kind is None:
        raise InputError(
            f"{path} is not a model; give a .keras or .h5 file, a SavedModel folder, a .tflite or .onnx file or a run "
            "folder."
        )
    predictor = kind(path)
    options.check(path, predictor.metadata.class_names, predictor.metadata.image_size)
    return predictor


class HasPredictor(Protocol):
    """A `kerascnn.evaluation.Classifier`; its module imports this one."""

    predictor: Predictor


def predictor_of(model: AnyModel) -> Predictor:
    """The predictor of a trained model in any form; InputError if it is none, or as `open_predictor`."""
    if isinstance(model, str | Path):
        return open_predictor(model)
    if isinstance(model, Predictor):
        return model
    inner = getattr(model, "predictor", None)
    return inner if isinstance(inner, Predictor) else KerasPredictor(model)


def has_metadata(path: Path) -> bool:
    """Whether a file holds a `ModelMetadata`, as exported ones do."""
    with refused(f"{path} cannot be opened as a Keras model"):
        if not zipfile.is_zipfile(checked_file(path)):
            return False
        with open_zip(path) as archive:
            return METADATA_FILE in archive.namelist()


def _metadata_inside(path: Path, kind: str) -> ModelMetadata:
    """Reads the metadata of a file that is also a zip archive; raises InputError if it is none or lacks them."""

    def reason_of(error: Exception) -> str:
        incomplete = isinstance(error, zipfile.BadZipFile | KeyError)
        return f"it is incomplete, or lacks {LABELS_FILE} or {METADATA_FILE}." if incomplete else one_line(error)

    with refused(f"{path} is not a {kind} file of kerascnn", reason_of), open_zip(path) as archive:
        metadata, labels = (archive.read(name).decode() for name in (METADATA_FILE, LABELS_FILE))
        parsed = ModelMetadata.from_files(metadata, labels)
        digest, before = json.loads(metadata).get(KEY), min(entry.header_offset for entry in archive.infolist())
        # A flipped bit in a network may end the process that interprets it, or go unnoticed.
        if digest is not None and digest != digest_before(path, before):
            raise ValueError(CHANGED)
        return parsed


def _check_shapes(path: Path, metadata: ModelMetadata, shapes: Iterable[Sequence]) -> None:
    """InputError unless the tensors of a model, input and output, are images and probabilities as its metadata say."""
    found = [tuple(side if isinstance(side, str | None) else int(side) for side in shape) for shape in shapes]
    images, classes = metadata.image_shape, len(metadata.class_names)
    # The first side is that of a batch, which may have a name.
    batches = all(shape and (isinstance(shape[0], str) or shape[0] in (None, 1)) for shape in found)
    if not batches or [shape[1:] for shape in found] != [images, (classes,)]:
        raise InputError(
            f"{path} does not classify into its {classes} classes: its tensors are {', '.join(map(str, found))}, not "
            f"batches of images {images} and of probabilities {(classes,)}."
        )


def model_metadata_of(model: keras.Model) -> ModelMetadata:
    """Reads a Keras model's metadata from its layers; a model without class names gets "class 0", "class 1", …

    InputError if the model does not map RGB or gray images of one size to classes.
    """
    from kerascnn.evaluation.keras_models import graph_of, labels_of
    from kerascnn.layers import Preprocessing

    graph = graph_of(model)
    shape, classes = graph.inputs[0].shape, graph.output_shape[1]
    labels = labels_of(graph)
    names, threshold = (labels.class_names, labels.threshold) if labels else (None, None)
    fraction = next((layer.crop_fraction for layer in graph.layers if isinstance(layer, Preprocessing)), 1.0)
    names = names or numbered_classes(classes)
    return ModelMetadata(names, ImageSize(*shape[1:3]).plain, fraction, channels=shape[3], threshold=threshold)
