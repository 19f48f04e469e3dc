"""The linear probe: a classifier fitted to the features of a frozen network, at every place where it can be cut.

Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", 2022: fine-tuning from
a fitted classifier is better than from a random one, whose gradients distort the features first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from kerascnn.applications.cutting import classifier_of, place_named
from kerascnn.console import track
from kerascnn.data.dataset import DataSet, Examples
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder, short_hash
from kerascnn.training.fine_tuning.features import Features, cached_features, features_key
from kerascnn.training.fine_tuning.hold_out import hold_out
from kerascnn.training.fine_tuning.logistic_regression import (
    CrossValidated,
    Head,
    Problem,
    cross_validated,
    fit_head,
)
from kerascnn.training.fine_tuning.pretrained import Pretrained
from kerascnn.training.recipe.fields import BEST, WHOLE
from kerascnn.training.recipe.recipe import Recipe

FLOAT_BYTES = 4


class StageProbe(NamedTuple):
    """A place where a network can be cut, and what its features are worth.

    Attributes:
        place: its layer's name, a value of `--cut`; "none" for the whole network.
        stage: "C4", for a stride of 16.
        width: the number of features.
        accuracy, standard_error, loss: cross-validated on the training images; the mAP of multi-label data.
        penalty, temperature: see `CrossValidated`.
        milliseconds: an image's time in the network cut there, its decoding included, as measured in the pass.
        megabytes: of its weights in float32, with the new classifier.
    """

    place: str
    stage: str
    width: int
    accuracy: float
    standard_error: float
    loss: float
    penalty: float
    temperature: float
    milliseconds: float
    megabytes: float


@dataclass(frozen=True)
class ProbeResult:
    """A fitted classifier, and the table of the places to cut.

    Attributes:
        stages: from the image to the whole network, which is last where its classifier is dense.
        chosen: the one that the classifier is of.
        head: its weights.
        predicted: float32 (images, classes), the probabilities of the training images.
        metrics: of the training images, by their names in the history.
        seconds: of the pass, if it was not cached, and of the fits.
        images_per_second: of the pass.
    """

    stages: tuple[StageProbe, ...]
    chosen: StageProbe
    head: Head
    predicted: np.ndarray
    metrics: dict[str, float]
    seconds: float
    images_per_second: float

    def install(self, model: keras.Model) -> None:
        """Puts the classifier into an assembled model that is cut at the chosen place."""
        classifier_of(model).set_weights([self.head.kernel, self.head.bias])

    def to_dict(self) -> dict[str, Any]:
        """The table and the choice, for JSON and YAML; null where no image could be held out."""
        stages = [stage._asdict().items() for stage in self.stages]
        return {
            "stages": [{name: None if value != value else value for name, value in stage} for stage in stages],
            "cut": self.chosen.place,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }


def linear_probe(
    recipe: Recipe, data: DataSet, pretrained: Pretrained, whole: Callable[[], keras.Model]
) -> ProbeResult:
    """Fits a classifier to every place's features, and the one of the recipe's cut to convergence.

    The images that a fine-tuning holds out to choose by have no part in the comparison of places and penalties, only
    in the last fit. The features, and then the result, are cached on disk. An image is seen once, as in an evaluation:
    with its mirror image too, twice the work, no place of an ImageNet network was more accurate by more than its
    standard error on 805 photographs of cats and dogs.

    Args:
        recipe: with the image size, the scaling of pixels and the precision resolved.
        data: whose training images are used, and no others.
        pretrained: the weights of the network.
        whole: makes the assembled network with these weights, if the features are not cached.

    Raises:
        InputError: the network cannot be cut there, or a feature is not finite.
    """
    cut, examples = recipe.fine_tuning.cut, data.training
    key = features_key(recipe, pretrained.source.file(), examples)
    features = cached_features(key, whole, recipe, data, examples)
    place = _match(features, cut)
    if place is None:
        if cut == WHOLE:
            raise InputError(
                f"the classifier of {recipe.model} is a convolution, which no probe fits; cut the network, with "
                "fine_tuning.cut=auto or at a stage."
            )
        place = place_named(whole(), cut).name
        if place not in features.stages:
            key += f"-{place}"
            features = cached_features(key, whole, recipe, data, examples, place)

    def problem(name: str) -> Problem:
        return problem_of(features.values[name], recipe, data)

    compared = held_in(recipe, examples)
    digest = hashlib.sha256(f"{key} {recipe.balances_classes} {recipe.seed} {len(data.class_names)}".encode())
    for array in (examples.labels, _groups(examples), compared):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    stages, seconds = _compared(digest.hexdigest()[:32], features, lambda name: problem(name).take(compared))
    chosen = _most_accurate(stages) if place == BEST else next(stage for stage in stages if stage.place == place)
    return _fitted(digest.hexdigest()[:32], stages, chosen, problem, features.seconds + seconds, features)


def held_in(recipe: Recipe, examples: Examples) -> np.ndarray:
    """The indices of the images that may choose the place and the penalty: all that a fine-tuning does not hold out."""
    tuning = recipe.fine_tuning
    if not tuning.tunes_after_probe:
        return np.arange(len(examples.labels))
    return hold_out(examples, tuning.hold_out, recipe.seed)[0]


def _compared(key: str, features: Features, problem: Callable[[str], Problem]) -> tuple[tuple[StageProbe, ...], float]:
    """The table of the places, from the cache or by cross-validation, and the seconds that this took."""
    file = cache_folder() / "features" / f"{key}.json"
    # A damaged file is made anew.
    with contextlib.suppress(Exception):
        stored = json.loads(file.read_text())
        return tuple(StageProbe(**stage) for stage in stored["stages"]), stored["seconds"]
    started = time.perf_counter()
    stages, found = [], CrossValidated()
    for name in track(features.stages, len(features.stages), "cross-validation"):
        wanted = problem(name)
        if not np.isfinite(wanted.features).all():
            raise InputError(f"the features of '{name}' are not finite; set precision=float32.")
        # The best penalty is near that of the place before.
        found, width = cross_validated(wanted, found.penalty), wanted.features.shape[1]
        size = FLOAT_BYTES * (features.parameters[name] + (width + 1) * wanted.classes) / 1e6
        scores = found.accuracy, found.standard_error, found.loss, found.penalty, found.temperature
        stages.append(StageProbe(name, features.stages[name], width, *scores, features.milliseconds[name], size))
    seconds = time.perf_counter() - started
    with writing(f"the cache of the probe {file}"), atomic_write(file) as stream:
        stream.write(json.dumps({"stages": [stage._asdict() for stage in stages], "seconds": seconds}).encode())
    return tuple(stages), seconds


def _fitted(
    key: str,
    stages: tuple[StageProbe, ...],
    chosen: StageProbe,
    problem: Callable[[str], Problem],
    seconds: float,
    features: Features,
) -> ProbeResult:
    """The classifier of the chosen place, from the cache or fitted to all training images."""
    file = cache_folder() / "features" / f"{key}-{short_hash(chosen.place)}.npz"
    try:
        head, predicted, metrics = _read_fit(file)
    except Exception:
        started = time.perf_counter()
        wanted = problem(chosen.place)
        head = fit_head(wanted, chosen.penalty, chosen.temperature)
        logits = wanted.features @ head.kernel + head.bias
        measured = wanted.metrics(logits) | {"seconds": time.perf_counter() - started}
        predicted = wanted.probabilities(logits).astype(np.float32)
        with writing(f"the cache of the probe {file}"), atomic_write(file) as stream:
            np.savez(stream, kernel=head.kernel, bias=head.bias, predicted=predicted, metrics=json.dumps(measured))
        head, predicted, metrics = _read_fit(file)
    seconds += metrics.pop("seconds")
    return ProbeResult(stages, chosen, head, predicted, metrics, seconds, len(predicted) / features.seconds)


def _read_fit(file: Path) -> tuple[Head, np.ndarray, dict[str, float]]:
    with np.load(file) as stored:
        head = Head(stored["kernel"], stored["bias"])
        return head, stored["predicted"], json.loads(str(stored["metrics"]))


def _most_accurate(stages: tuple[StageProbe, ...]) -> StageProbe:
    """Of equal accuracies, that of the least loss; the last one where no image could be held out."""
    if np.isnan(stages[-1].accuracy):
        return stages[-1]
    return max(stages, key=lambda stage: (stage.accuracy, -stage.loss))


def _match(features: Features, cut: str) -> str | None:
    """The place of a cut among those that have features, or "auto"; None if its name must be looked up."""
    if cut == BEST or cut in features.stages:
        return cut
    of_stage = [name for name, stage in features.stages.items() if stage == cut.upper()]
    of_block = [name for name in features.stages if name.startswith(f"{cut}_")]
    return next(reversed(of_stage or of_block), None)


def problem_of(features: np.ndarray, recipe: Recipe, data: DataSet) -> Problem:
    """The training images' features and labels, weighted by class if the recipe balances classes."""
    labels, weights = data.training.labels, 1.0
    if recipe.balances_classes:
        weights = data.image_weights().reshape(len(labels), -1)
    return Problem(features, labels, len(data.class_names), _groups(data.training), weights, recipe.seed)


def _groups(examples: Examples) -> np.ndarray | None:
    return getattr(examples, "groups", None)
