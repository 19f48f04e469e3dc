"""One face for every form of a trained model: `.keras` file, SavedModel folder, `.tflite` or `.onnx` file."""

from __future__ import annotations

import json
import zipfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.cores import cores
from kerascnn.errors import InputError
from kerascnn.native_output import discarded_stderr

if TYPE_CHECKING:
    import keras
    from ai_edge_litert.interpreter import Interpreter

# What an exported file carries beside the network: see `ModelMetadata`.
METADATA_FILE = "kerascnn.json"
LABELS_FILE = "labels.txt"

# The form of a model that computes in float32.
UNQUANTIZED = "none"

# The classifier that is kept of a network with several.
MAIN = "main"

BATCH = 64


@dataclass(frozen=True)
class ModelMetadata:
    """What a user of a model must know beside its weights.

    Attributes:
        class_names: in the order of the probabilities.
        image_size: height and width of the input in pixels.
        crop_fraction: how an image is cut to that size, see `kerascnn.data.augment.augmentation.evaluation_view`.
        quantization: "none", or how a `.tflite` file was made smaller, see `kerascnn.export.tflite.write_tflite`.
        quantizer: what did that, "tensorflow" or "litert"; None where nothing did, or a file does not say.
        float_fallback_layers: of a file of integers, the layers to which integers do harm.
    """

    class_names: tuple[str, ...]
    image_size: int
    crop_fraction: float
    quantization: str = UNQUANTIZED
    quantizer: str | None = None
    float_fallback_layers: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The metadata but the class names, which are written to a file of labels."""
        values = asdict(self)
        del values["class_names"]
        return json.dumps(values)

    @staticmethod
    def from_files(metadata: str, labels: str) -> ModelMetadata:
        """The metadata from the contents of the two files beside an exported network."""
        values = json.loads(metadata)
        values["float_fallback_layers"] = tuple(values.get("float_fallback_layers", ()))
        return ModelMetadata(class_names=tuple(labels.splitlines()), **values)


class Predictor(ABC):
    """Class probabilities from pixels.

    Attributes:
        kind: "Keras", "SavedModel", "ONNX" or "TFLite", and how that is quantized.
        path: where the model was read from, or None.
        metadata: class names, input size, cut.
        pixel_type: what the model takes: "float32"; of `.tflite` files perhaps "uint8" or "int8".
    """

    kind: str
    path: Path | None
    metadata: ModelMetadata
    pixel_type = "float32"

    @abstractmethod
    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (count, height, width, 3) in [0, 255] to float32 (count, classes)."""

    def on_one_thread(self) -> Predictor | None:
        """The same model on one processor core; None where threads are the whole process's, as TensorFlow's are."""
        return None

    def size_in_bytes(self) -> int | None:
        """Of the file, or of all files of the folder."""
        if self.path is None:
            return None
        files = [file for file in self.path.rglob("*") if file.is_file()] if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files)


class KerasPredictor(Predictor):
    """A Keras model in this process; of several classifiers, the main one.

    Attributes:
        network: the model up to that classifier.

    Raises:
        InputError: the model does not take square images or does not give probabilities of classes.
    """

    kind = "Keras"

    def __init__(self, model: keras.Model, path: Path | None = None):
        import tensorflow as tf

        from kerascnn.applications.deep import functional

        self.path = path
        self.metadata = model_metadata_of(model)
        self.network = main = functional(model.inputs[0], main_output(model), name=model.name)
        pixels = tf.TensorSpec((None, self.metadata.image_size, self.metadata.image_size, 3), tf.float32)
        # Traced once: a function that is called is told to be traced too often where there are many models.
        self._call = tf.function(lambda images: main(images, training=False)).get_concrete_function(pixels)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        import tensorflow as tf

        batches = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
        return np.concatenate([self._call(tf.constant(batch, tf.float32)).numpy() for batch in batches])


class RoundedInputPredictor(Predictor):
    """Another predictor, shown pixels rounded to whole numbers, as files that take integers are."""

    def __init__(self, predictor: Predictor):
        self.kind, self.path, self.metadata = predictor.kind, predictor.path, predictor.metadata
        self._predictor = predictor

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        return self._predictor.probabilities(np.round(images))


class SavedModelPredictor(Predictor):
    """A SavedModel folder that `kerascnn export` wrote, run by TensorFlow.

    Attributes:
        signatures: its functions by name.

    Raises:
        InputError: the folder is damaged, or is another program's.
    """

    kind = "SavedModel"

    def __init__(self, path: Path):
        import tensorflow as tf

        self.path = path
        try:
            self._module = tf.saved_model.load(str(path))
            self.signatures = self._module.signatures
            self._serve = self.signatures["serve"]
            assets = path / "assets"
            self.metadata = ModelMetadata.from_files(
                (assets / METADATA_FILE).read_text(encoding="utf-8"), (assets / LABELS_FILE).read_text(encoding="utf-8")
            )
        except Exception as error:
            raise InputError(f"{path} is not a SavedModel of kerascnn: {one_line(error)}") from None

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        import tensorflow as tf

        batches = (tf.constant(images[first : first + BATCH]) for first in range(0, len(images), BATCH))
        return np.concatenate([self._serve(batch)["probabilities"].numpy() for batch in batches])


class TFLitePredictor(Predictor):
    """A `.tflite` file that `kerascnn export` wrote, run by LiteRT's interpreter, image by image.

    Raises:
        InputError: the file is damaged, or does not carry its labels.
    """

    kind = "TFLite"

    def __init__(self, path: Path, threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        self.path = path
        try:
            with zipfile.ZipFile(path) as extras:
                self.metadata = ModelMetadata.from_files(
                    extras.read(METADATA_FILE).decode(), extras.read(LABELS_FILE).decode()
                )
            with discarded_stderr():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads or cores())
                self._interpreter.allocate_tensors()
        except (zipfile.BadZipFile, KeyError):
            raise InputError(
                f"{path} is not a TFLite file of kerascnn: it is incomplete, or lacks {LABELS_FILE} or {METADATA_FILE}."
            ) from None
        except Exception as error:
            raise InputError(f"{path} is not a TFLite file of kerascnn: {one_line(error)}") from None
        if self.metadata.quantization != UNQUANTIZED:
            self.kind = f"{self.kind} {self.metadata.quantization}"
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        found = [tuple(map(int, tensor["shape"])) for tensor in (*inputs, *outputs)]
        size, classes = self.metadata.image_size, len(self.metadata.class_names)
        if found != [(1, size, size, 3), (1, classes)]:
            raise InputError(
                f"{path} is no classifier of its {classes} classes: its tensors are {', '.join(map(str, found))}, not "
                f"images {(1, size, size, 3)} and probabilities {(1, classes)}."
            )
        [self._input], [self._output] = inputs, outputs
        self.pixel_type = np.dtype(self._input["dtype"]).name

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        return np.concatenate([run(self._interpreter, image[None]) for image in images])

    def on_one_thread(self) -> TFLitePredictor:
        """The same file on one processor core."""
        return TFLitePredictor(self.path, threads=1)


def run(interpreter: Interpreter, image: np.ndarray) -> np.ndarray:
    """What a `.tflite` file's interpreter makes of float32 (1, height, width, 3) in [0, 255]: float32 (1, classes)."""
    [pixels], [answer] = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(pixels["index"], _encoded(image, pixels))
    interpreter.invoke()
    return _decoded(interpreter.get_tensor(answer["index"]), answer)


def _encoded(values: np.ndarray, tensor: dict) -> np.ndarray:
    """Numbers as a tensor of the interpreter wants them: as they are, or as integers in steps of its scale."""
    if np.issubdtype(tensor["dtype"], np.floating):
        return values.astype(tensor["dtype"])
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    # A scale of 0 says that the integers are not quantized, but the values themselves.
    return np.clip(np.round(values / (scale or 1.0)) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def _decoded(values: np.ndarray, tensor: dict) -> np.ndarray:
    if np.issubdtype(tensor["dtype"], np.floating):
        return values
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def main_output(model: keras.Model) -> keras.KerasTensor | None:
    """The output of a model's only or main classifier; None where there is no telling which it is."""
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) == 1:
        return outputs[0]
    return model.output.get(MAIN) if outputs and isinstance(model.output, dict) else None


def model_metadata_of(model: keras.Model) -> ModelMetadata:
    """What a Keras model knows about its input and its classes.

    A model that does not carry class names gets "class 0", "class 1", …

    Raises:
        InputError: the model does not map square RGB images to classes.
    """
    from kerascnn.layers import ClassLabels, Preprocessing

    output = main_output(model)
    shape = model.inputs[0].shape if output is not None else ()
    takes_images = len(shape) == 4 and shape[3] == 3 and shape[1] == shape[2] and shape[1] is not None
    if not takes_images or len(model.inputs) != 1 or len(output.shape) != 2:
        raise InputError(f"the model '{model.name}' does not map square RGB images of one size to classes.")
    names = next((layer.class_names for layer in model.layers if isinstance(layer, ClassLabels)), None)
    fraction = next((layer.crop_fraction for layer in model.layers if isinstance(layer, Preprocessing)), 1.0)
    return ModelMetadata(names or tuple(f"class {number}" for number in range(output.shape[-1])), shape[1], fraction)


def load_keras(path: Path) -> keras.Model:
    """A Keras model from its file.

    Raises:
        InputError: the file is none.
    """
    import keras

    import kerascnn.applications.deep
    import kerascnn.layers
    import kerascnn.training.optimizers  # noqa: F401  all register what files name

    try:
        return keras.saving.load_model(path)
    except Exception as error:
        raise InputError(f"{path} is not a Keras model: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """The first sentence of an error, on one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:200].rstrip(".") + "."
