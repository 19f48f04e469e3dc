"""Transfer to other classes: a probe, fine-tuning and training from scratch on few images, by accuracy and seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.data.dataset import DataSet, Examples, limited
from kerascnn.errors import InputError
from kerascnn.evaluation.metrics import Accuracy, accuracy_of
from kerascnn.evaluation.plots import transfer_figure
from kerascnn.experiments.experiment import Arm, Experiment, Scale, recipe_of
from kerascnn.experiments.runs import ArmRun, run_arm
from kerascnn.metric_names import main_accuracy
from kerascnn.training import Recipe
from kerascnn.training.fine_tuning.pretrained import with_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The most test images: every epoch is measured on them.
MOST_TESTED = 1000

# What the probe should reach: this share of the final accuracy, in this share of the time.
SHARE_OF_ACCURACY, SHARE_OF_SECONDS = 0.95, 0.10


def halves(data: DataSet) -> tuple[DataSet, DataSet]:
    """The images of every other class, for pretraining, and those of the other classes.

    Raises:
        InputError: fewer than four classes.

    Example:
        >>> [half.class_names for half in halves(kerascnn.data.load("digits"))]
        [('0', '2', '4', '6', '8'), ('1', '3', '5', '7', '9')]
    """
    if len(data.class_names) < 4:
        raise InputError(
            f"{data.source} has {len(data.class_names)} classes, and half of them are for pretraining; "
            "give at least four, or pretrained weights with --weights."
        )
    return _of_classes(data, 0), _of_classes(data, 1)


def _of_classes(data: DataSet, first: int) -> DataSet:
    wanted = range(first, len(data.class_names), 2)

    def kept(examples: Examples) -> Examples:
        found = examples.take(np.flatnonzero(np.isin(examples.labels, wanted)))
        return replace(found, labels=np.searchsorted(wanted, found.labels))

    names = tuple(data.class_names[number] for number in wanted)
    return replace(data, class_names=names, training=kept(data.training), validation=kept(data.validation), test=None)


def few(data: DataSet, images: int, seed: int) -> DataSet:
    """The data with at most so many training images of each class, drawn by the seed."""
    generator, labels = np.random.default_rng(seed), data.training.labels
    chosen = [generator.permutation(np.flatnonzero(labels == number))[:images] for number in np.unique(labels)]
    return replace(data, training=data.training.take(np.sort(np.concatenate(chosen))))


@dataclass(frozen=True)
class Plan:
    """What a transfer trains: an experiment at a scale, with each seed, from weights or else from its first arm's."""

    experiment: Experiment
    scale: Scale
    seeds: Sequence[int]
    weights: str | None
    settings: Sequence[str]

    def train(self, data: DataSet, folder: Path, report: Callable[[str], Any], **options: Any) -> list[ArmRun]:
        """Trains every arm on each number of images per class with each seed, or takes what is trained already.

        Args:
            data: of all classes; without weights the first arm is trained on half of them, the others on the rest.
            folder: gets a folder per training.
            report: is called with a sentence about each training.
            options: as for `run_arm`.

        Raises:
            InputError: several classes per image; or as `halves` and `run_arm`.
        """
        if data.multi_label:
            raise InputError(
                f"{data.source} has several classes per image, and a transfer draws images of each class; "
                "give data of one class per image."
            )
        source, *arms = self.experiment.arms
        weights, target = self.weights, data
        if weights is None:
            pretraining, target = halves(data)
            report(f"pretraining on {', '.join(pretraining.class_names)}")
            run = run_arm(source, self._recipe(source, 0), pretraining, folder / "source", report=report, **options)
            weights = str(run.folder.path)
        target = replace(target, validation=limited(target.validation, MOST_TESTED))
        found = []
        for arm, part, recipe in self._trainings(arms, target, weights):
            report(f"{arm.name}, seed {recipe.seed}: {len(part.training)} training images")
            name = re.sub(r"[^-.0-9A-Za-z]+", "-", f"{arm.name} seed {recipe.seed}")
            found.append(run_arm(arm, recipe, part, folder / name, report=report, **options))
        return found

    def _trainings(self, arms: Sequence[Arm], data: DataSet, weights: str) -> Iterator[tuple[Arm, DataSet, Recipe]]:
        most = int(np.bincount(data.training.labels).max())
        for seed in self.seeds:
            for images, epochs in self.experiment.images_per_class.items():
                if images > most and images != min(self.experiment.images_per_class):
                    continue
                part = few(data, images, seed)
                for arm in arms:
                    recipe = self._recipe(arm, seed)
                    recipe = with_weights(recipe, weights) if arm.pretrained else recipe.with_values(epochs=epochs)
                    yield replace(arm, name=name_of(arm, images)), part, recipe

    def _recipe(self, arm: Arm, seed: int) -> Recipe:
        return recipe_of(arm, self.scale, seed, self.settings)


def name_of(arm: Arm, images: int) -> str:
    """The name of an arm with so many images per class."""
    return f"{arm.name}, {images} per class"


def curve(run: ArmRun) -> list[tuple[float, float]]:
    """The seconds of training, validation excluded, and the validation accuracy after each epoch of a run."""
    name, seconds, points = main_accuracy(run.folder.history()[0]), 0.0, []
    for number, row in enumerate(run.folder.history()):
        seconds += row["seconds"] + (run.preparation if number == 1 else 0)
        points.append((seconds, row[name]))
    return points


def final(run: ArmRun) -> float:
    """The validation accuracy of the model that the run leaves."""
    return curve(run)[run.exported][1]


@dataclass(frozen=True)
class Result:
    """An arm with one number of images per class: the medians over seeds."""

    arm: str
    images: int
    accuracies: tuple[float, ...]
    seconds: float
    tested: int

    @property
    def accuracy(self) -> float:
        return median(self.accuracies)

    @property
    def interval(self) -> Accuracy:
        """The median with its 95 % interval on the test images."""
        return accuracy_of(round(self.accuracy * self.tested), self.tested)


def results_of(experiment: Experiment, runs: Sequence[ArmRun]) -> list[Result]:
    """The results by images per class, then by arm."""
    found = []
    for images in experiment.images_per_class:
        for arm in experiment.arms[1:]:
            own = [run for run in runs if run.arm.name == name_of(arm, images) and not run.diverged]
            if own:
                seconds = median(curve(run)[-1][0] for run in own)
                accuracies = tuple(final(run) for run in own)
                found.append(Result(arm.name, images, accuracies, seconds, tested_images(own[0])))
    return found


def tested_images(run: ArmRun) -> int:
    """The number of images that a run was validated on."""
    return int(run.folder.read_recipe()[3]["validation_images"])


def sentences(results: Sequence[Result]) -> list[str]:
    """What the results say about the probe's share, about fine-tuning beside it, and about training from scratch."""
    found = []
    by_images: dict[int, dict[str, Result]] = {}
    for one in results:
        by_images.setdefault(one.images, {})[one.arm] = one
    compared = ("probe", "fine-tuned", "from scratch")
    for images, arms in by_images.items():
        if missing := [name for name in compared if name not in arms]:
            found.append(f"{images} per class: not compared, because {' and '.join(missing)} diverged")
            continue
        probe, tuned, scratch = (arms[name] for name in compared)
        accuracy, seconds = probe.accuracy / tuned.accuracy, probe.seconds / tuned.seconds
        reached = accuracy >= SHARE_OF_ACCURACY and seconds <= SHARE_OF_SECONDS
        found.append(
            f"{images} per class: the probe has {accuracy:.1%} of the fine-tuned accuracy after {seconds:.1%} of its "
            f"time ({SHARE_OF_ACCURACY:.0%} in {SHARE_OF_SECONDS:.0%} is {'reached' if reached else 'not reached'})"
        )
        worse = tuned.accuracy < probe.interval.low
        found.append(
            f"fine-tuned minus probe is {tuned.accuracy - probe.accuracy:+.1%}, "
            f"{'below' if worse else 'not below'} the probe's interval from {probe.interval.low:.1%}"
        )
        gains = [f"{one.arm} {one.accuracy - scratch.accuracy:+.1%}" for one in (probe, tuned)]
        found.append(f"beside training from scratch: {', '.join(gains)}")
    return found


def figure_of(experiment: Experiment, runs: Sequence[ArmRun], title: str) -> Figure:
    """Accuracy by seconds of every run, one panel per number of images per class."""
    panels = {
        f"{images} images per class": {
            arm.name: [curve(run) for run in runs if run.arm.name == name_of(arm, images) and not run.diverged]
            for arm in experiment.arms[1:]
        }
        for images in experiment.images_per_class
    }
    kept = {name: arms for name, arms in panels.items() if any(arms.values())}
    return transfer_figure(kept, title)
