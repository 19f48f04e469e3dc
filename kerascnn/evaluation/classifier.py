"""Trained models in one line: `load` opens any format, and the `Classifier` takes images in any form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.console import as_text
from kerascnn.errors import InputError, closest
from kerascnn.evaluation.embedding import Embedding, embed_images
from kerascnn.evaluation.image_inputs import images_of
from kerascnn.evaluation.model_options import ModelOptions
from kerascnn.evaluation.prediction import ImagePrediction, predictions
from kerascnn.evaluation.predictors import KerasPredictor, Predictor, open_predictor
from kerascnn.files.run_names import find_run
from kerascnn.image_shape import GRAY
from kerascnn.shown_text import printable

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from kerascnn.evaluation.explanation import ImageHeatmaps
    from kerascnn.evaluation.image_inputs import ImageInput
    from kerascnn.image_shape import Size


def load(
    model: str | Path | keras.Model,
    *,
    weights: str | None = None,
    class_names: Sequence[str] | None = None,
    image_size: Size | None = None,
    scaling: str | None = None,
) -> Classifier:
    """Opens a trained model of any format.

    What has to be assumed of a model of another program is printed on standard error.

    Args:
        model: a run or export folder, a name of a run such as "runs/last" or "resnet18-pets@best", a `.keras`, `.h5`,
            `.tflite` or `.onnx` file, a SavedModel folder, a Keras model, or the name of a network, for its public
            ImageNet weights, which are downloaded once, or of timm's weights such as "timm/resnet50.a1_in1k".
        weights: of a network, which of its public weights, see `kerascnn.applications.list_weights`; None for the
            first. Images are cropped as in their publisher's evaluation.
        class_names, image_size, scaling: of a model of another program that does not say so itself, see
            `kerascnn.evaluation.ModelOptions`.

    Raises:
        InputError: there is nothing of that name, it is no classifier, the network has no such public weights, or
            weights are given for something else; or the model says something else about itself.

    Example:
        >>> model = load("saved_models/resnet18-pets/resnet18-pets.tflite")
        >>> print(model.predict("cat.jpg", top=1))
        image    label  probability
        cat.jpg  Cat         97.12%
    """
    from kerascnn.applications import registry
    from kerascnn.applications.weights import public

    options = ModelOptions(class_names, image_size, scaling)
    if weights is not None and not registry.is_known(str(model)):
        raise InputError(f"weights={weights!r} is for the name of a network; {model} has its own weights.")
    if not isinstance(model, str | Path):
        return Classifier(KerasPredictor(model, options=options))
    path, name = find_run(Path(model).expanduser()), Path(model).as_posix()
    if name.startswith(public.HUB) and public.is_name(name):
        name, weights = public.network_of(name), name
    elif os.path.exists(path) or path.suffix or len(path.parts) > 1:
        return Classifier(open_predictor(path, options))
    if not registry.is_known(name):
        hint = closest(name, registry.list_models())
        raise InputError(f"there is no model at {printable(name)}, and no network of that name; {hint}")
    return Classifier(KerasPredictor(_public_model(name, weights or public.ANY), options=options))


def _public_model(name: str, weights: str) -> keras.Model:
    """A network with its public weights between the scaling of their pixels and the names of ImageNet's classes."""
    from kerascnn.applications import preprocessing, registry
    from kerascnn.applications.weights.public import select_weights
    from kerascnn.evaluation.keras_models import with_labels, with_scaling

    crop_fraction = select_weights(registry.info(name).builder, weights, {}).crop_fraction
    network = registry.create(name, weights=weights)
    scaled = with_scaling(network, preprocessing.SCALINGS[network.preprocessing_mode], crop_fraction)
    return with_labels(scaled, scaled.outputs[0], preprocessing.imagenet_class_names())


@dataclass(frozen=True, repr=False)
class Predictions(Sequence[ImagePrediction]):
    """The predictions for a sequence of images; printed as a table."""

    items: tuple[ImagePrediction, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index):
        return Predictions(self.items[index]) if isinstance(index, slice) else self.items[index]

    def to_json(self) -> str:
        """A JSON list, as of `kerascnn predict --json`: per image its name and its most probable classes."""
        return json.dumps([item.to_dict() for item in self.items], indent=2, ensure_ascii=False)

    def to_pandas(self) -> pd.DataFrame:
        """A data frame with the columns image, rank, label and probability, one row per class of an image.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise InputError(
                "to_pandas needs the package pandas, which is not installed: pip install pandas."
            ) from None
        rows = [row for item in self.items for row in item.rows()]
        return pd.DataFrame(rows, columns=["image", "rank", "label", "probability"])

    def __str__(self) -> str:
        from kerascnn.evaluation.prediction import predictions_table

        return as_text(predictions_table(self.items))

    __repr__ = __str__


class Classifier:
    """A trained model of any format that predicts, embeds and explains images of any form and size.

    Every method takes what `kerascnn.evaluation.image_inputs.images_of` takes: a path, folder, glob, URL, bytes, PIL
    image, array of any size, or an iterable of these. Images are cropped and scaled as in evaluation.

    Attributes:
        predictor: the model behind it, see `kerascnn.evaluation.Predictor`.
        class_names: in the order of the probabilities.
        input_size: height and width of the network's input in pixels.
        channels: of its input: 3 for RGB, 1 for gray; images in any form have either.

    Example:
        >>> model = kerascnn.load("runs/resnet18-pets-20261120-101500")
        >>> model.predict("holiday/*.jpg").to_pandas()
        >>> for frame in model.stream(camera_frames()):
        ...     print(frame.top[0])
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.class_names = predictor.metadata.class_names
        height, width, self.channels = predictor.metadata.image_shape
        self.input_size = (height, width)

    def __repr__(self) -> str:
        height, width = self.input_size
        kind, classes = self.predictor.kind, len(self.class_names)
        color = ", gray" if self.channels == GRAY else ""
        return f"<Classifier: {kind}, {classes} classes, {height} × {width} pixels{color}>"

    def predict(self, x: ImageInput, top: int | None = None, threshold: float | None = None) -> Predictions:
        """Predicts the classes of images.

        Args:
            x: images in any form.
            top: number of classes per image; None for 5, or of a multi-label model for all from the threshold on.
            threshold: of a multi-label model, the least probability of a class; None for the model's own.

        Raises:
            InputError: `x` is no image, or one cannot be read; or `top` is less than 1, or a threshold is given for a
                model of one class per image.

        Example:
            >>> model.predict(np.asarray(PIL.Image.open("cat.jpg")))[0].top
            [('Cat', 0.9712), ('Dog', 0.0288)]
        """
        return Predictions(tuple(self.stream(x, top, threshold)))

    def stream(
        self, x: ImageInput, top: int | None = None, threshold: float | None = None
    ) -> Iterator[ImagePrediction]:
        """As `predict`, one by one, for endless sources: images are read and predicted in batches of 32."""
        return predictions(self.predictor, images_of(x), None if top is None else _checked(top), threshold)

    def embed(self, x: ImageInput) -> Embedding:
        """The images' feature vectors, see `kerascnn.evaluation.embed`; errors are the same.

        Example:
            >>> model.embed("photos").features.shape
            (783, 512)
        """
        return embed_images(self.predictor, images_of(x))

    def explain(self, x: ImageInput, top: int = 3) -> list[ImageHeatmaps]:
        """Grad-CAM of each image's most probable classes, see `kerascnn.evaluation.explanation.Explainer`.

        Args:
            x: images in any form.
            top: number of classes per image.

        Raises:
            InputError: the model's format gives no gradients, `x` is no image, or `top` is less than 1.

        Example:
            >>> model.explain("cat.jpg")[0].figure().savefig("why.png")
        """
        from kerascnn.evaluation.explanation import Explainer, heatmaps

        explainer = Explainer(self.predictor)
        return [heatmaps(explainer, image, _checked(top)) for image in images_of(x)]


def _checked(top: int) -> int:
    if not isinstance(top, Integral) or top < 1:
        raise InputError(f"top must be a whole number of at least 1, not {top!r}.")
    return int(top)
