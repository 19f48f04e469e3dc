"""Several models measured by several protocols on the same images, each alone and averaged together."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.evaluation.open_predictor import open_predictor
from kerascnn.evaluation.predictors import Predictor
from kerascnn.evaluation.protocols import Protocol, protocol_of
from kerascnn.evaluation.scores import Scores, evaluate
from kerascnn.files.progress import Track, untracked

# Stands for the protocol of the recipe that the model was trained with.
OF_RECIPE = "recipe"


@dataclass(frozen=True)
class Measurement:
    """One model, or an average of several, by one protocol.

    Attributes:
        models: what was averaged, in the order given.
        kinds: of each, "Keras", "SavedModel" or "TFLite".
        protocol: as it reads in a table.
        views: how many views of an image were passed through networks, all models together: what it costs.
        scores: on the validation images.
        seconds: that it took.
    """

    models: tuple[Path, ...]
    kinds: tuple[str, ...]
    protocol: str
    views: int
    scores: Scores = field(repr=False)
    seconds: float

    @property
    def name(self) -> str:
        """The model, or how many there are."""
        return str(self.models[0]) if len(self.models) == 1 else f"ensemble of {len(self.models)}"


@dataclass(frozen=True)
class Study:
    """Everything measured on one data set.

    Attributes:
        data: whose validation images were used.
        alone: every model by every protocol, model by model.
        together: the average of the first 2, 3, … models by every protocol, protocol by protocol.
    """

    data: DataSet
    alone: tuple[Measurement, ...]
    together: tuple[Measurement, ...] = ()

    @property
    def result(self) -> Measurement:
        """All models together, by the last protocol."""
        return (self.together or self.alone)[-1]

    @property
    def rows(self) -> list[Measurement]:
        """Every model alone, then all of them together."""
        models = {row.models for row in self.alone}
        return [*self.alone, *(row for row in self.together if len(row.models) == len(models))]

    def called(self, row: Measurement) -> str:
        """A row's name in a table: of several models, the path below the folder that all of them lie in."""
        models = {one.models[0] for one in self.alone}
        return row.name if len(row.models) > 1 else short_names(models)[row.models[0]]

    def by_models_and_views(self) -> list[Measurement]:
        """The rows of a table of models and crops: the first model alone, the first two together, …"""
        first = self.alone[0].models
        return [row for row in self.alone if row.models == first] + sorted(
            self.together, key=lambda row: len(row.models)
        )


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """What to call each of several paths: what lies below the folder that all are in; a lone one by its whole path.

    Example:
        >>> short_names([Path("runs/a/model.keras"), Path("runs/b/model.keras")])
        {PosixPath('runs/a/model.keras'): 'a/model.keras', PosixPath('runs/b/model.keras'): 'b/model.keras'}
    """
    different = dict.fromkeys(paths)
    try:
        folder = os.path.commonpath([path.parent for path in different])
    except ValueError:
        # Some are named from the root of the file system, some from the working folder.
        folder = ""
    if len(different) == 1 or not folder:
        return {path: str(path) for path in different}
    return {path: str(path.relative_to(folder)) for path in different}


def study(
    models: Sequence[str | Path],
    data: DataSet,
    protocols: Sequence[Protocol | Literal["recipe"]],
    *,
    track: Track = untracked,
) -> Study:
    """Measures models alone and together.

    Args:
        models: what `open_predictor` takes, in any mixture; only one is held in memory at a time.
        data: its validation images are used.
        protocols: for each model; "recipe" for what the recipe of its run folder says.
        track: shows progress.

    Raises:
        InputError: a model that is none, or that has other classes than the data or the first model.

    Example:
        >>> both = study(["a.keras", "b.tflite"], pets, [Protocol("10 crops")])
        >>> both.result.scores.accuracy()
        0.94
    """
    rows = [row for model in models for row in _alone(Path(model), data, protocols, track)]
    by_protocol = [rows[number :: len(protocols)] for number in range(len(protocols))]
    together = [_together(members[:count]) for members in by_protocol for count in range(2, len(members) + 1)]
    return Study(data, tuple(rows), tuple(together))


def _alone(model: Path, data: DataSet, protocols: Sequence, track: Track) -> list[Measurement]:
    predictor = open_predictor(model)
    rows = []
    for wanted in protocols:
        protocol = _of_recipe(model, predictor) if wanted == OF_RECIPE else wanted
        started = time.perf_counter()
        scores = evaluate(predictor, data, protocol=protocol, track=track)
        seconds = time.perf_counter() - started
        views = protocol.views(predictor.metadata)
        rows.append(Measurement((model,), (predictor.kind,), str(protocol), views, scores, seconds))
    return rows


def _of_recipe(model: Path, predictor: Predictor) -> Protocol:
    from kerascnn.training import RunFolder

    for folder in (model, model.parent):
        if (folder / "recipe.yaml").is_file():
            recipe, *_ = RunFolder.open(folder).read_recipe()
            return protocol_of(recipe, predictor.metadata)
    raise InputError(f"{model} lies in no run folder whose recipe says how to measure; name the crops.")


def _together(members: Sequence[Measurement]) -> Measurement:
    protocols = dict.fromkeys(member.protocol for member in members)
    return Measurement(
        models=tuple(model for member in members for model in member.models),
        kinds=tuple(kind for member in members for kind in member.kinds),
        protocol=" and ".join(protocols),
        views=sum(member.views for member in members),
        scores=ensemble([member.scores for member in members]),
        seconds=sum(member.seconds for member in members),
    )


def ensemble(members: Sequence[Scores]) -> Scores:
    """The scores of probabilities averaged over models, which may have their classes in different orders.

    Args:
        members: scores on the same images.

    Raises:
        InputError: they are of other images, or have other classes.

    Example:
        >>> ensemble([scores_of_vgg16, scores_of_googlenet]).accuracy()
        0.93
    """
    first = members[0]
    total = np.zeros(first.probabilities.shape)
    for member in members:
        if set(member.class_names) != set(first.class_names):
            other = next(iter(set(member.class_names) ^ set(first.class_names)))
            raise InputError(f"models of different classes cannot be averaged: not all of them know '{other}'.")
        columns = [member.class_names.index(name) for name in first.class_names]
        if not np.array_equal(member.true_names, first.true_names):
            raise InputError("scores of different images cannot be averaged.")
        total += member.probabilities[:, columns]
    return Scores(first.class_names, first.labels, (total / len(members)).astype(np.float32), first.sizes)
