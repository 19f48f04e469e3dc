"""How costs grow: seconds at several places of a curve, and the memory until there; no other library takes part."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen
from benchmarks.parts.training_step import kerascnn_step
from benchmarks.photographs import temporary_folder


class Curve(NamedTuple):
    """What grows: a function, the argument that does with its values, the others, and the x of a value.

    Places that take long have fewer rounds.
    """

    prepare: Any
    argument: str
    places: tuple[int, ...]
    others: dict[str, Any]
    x: Any = int
    rounds: int | None = None


STEP = {"network": "resnet18", "size": 224, "batch": 16, "classes": 1000, "policy": "mixed_bfloat16"}
CIFAR = STEP | {"size": 32, "classes": 10}
DEPTHS = tuple(f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202))


def _depth(network: str) -> int:
    return int(network.removeprefix("resnet"))


def _step_seconds(**arguments: Any) -> Measure:
    prepared = kerascnn_step(**arguments)
    return lambda: arguments["batch"] / prepared.measure()


def step_seconds(**arguments: Any) -> Measure:
    """Seconds of a training step."""
    return _step_seconds(**arguments)


def square_step(side: int, **arguments: Any) -> Measure:
    """The same on images of so many pixels in height and width."""
    return _step_seconds(**arguments | {"size": side})


def first_step(seconds: float, **arguments: Any) -> Measure:
    """Seconds from building a network to the end of its first steps, libraries imported."""
    import keras
    import tensorflow  # noqa: F401

    import kerascnn.training  # noqa: F401

    def measure() -> float:
        keras.backend.clear_session(free_memory=True)
        start = time.perf_counter()
        kerascnn_step(seconds=0, **arguments)
        return time.perf_counter() - start

    return measure


def ingesting(images: int, classes: int, again: bool) -> Measure:
    """Seconds of `kerascnn ingest` on tiny JPEG files; again, when a manifest is there already."""
    import numpy as np
    from PIL import Image

    folder, generator = temporary_folder(), np.random.default_rng(0)
    for number in range(images):
        path = folder / "images" / f"class {number % classes:05}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path, quality=30)
    numbers = itertools.repeat(0) if again else itertools.count()

    def measure() -> float:
        store, start = folder / f"store{next(numbers)}", time.perf_counter()
        command = [sys.executable, "-m", "kerascnn", "ingest", str(folder / "images"), "--to", str(store)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    if again:
        measure()
    return measure


def ingesting_classes(classes: int) -> Measure:
    """The same with two images a class."""
    return ingesting(2 * classes, classes, again=False)


def searching(trials: int) -> Measure:
    """Seconds of a search over tiny trainings."""
    from kerascnn.training import Recipe, Space, tune

    recipe = Recipe.for_model("resnet20").with_values(epochs=1, image_size=8, batch_size=16)
    space = Space.from_dict({"optimizer.learning_rate": {"min": 1e-3, "max": 1, "sampling": "log"}}, recipe)

    def measure() -> float:
        start, folder = time.perf_counter(), temporary_folder()
        tune(recipe, "digits", space=space, tuner="random", max_trials=trials, limit=100, searches=folder)
        return time.perf_counter() - start

    return measure


CURVES = {
    "batch": Curve(step_seconds, "batch", (1, 2, 4, 8, 16, 32, 64), STEP),
    "image": Curve(square_step, "side", (64, 128, 256, 512), STEP | {"batch": 4}, lambda side: side**2),
    "depth": Curve(step_seconds, "network", DEPTHS, CIFAR, _depth),
    "depth, first step": Curve(first_step, "network", DEPTHS, CIFAR, _depth, rounds=1),
    "images ingested": Curve(ingesting, "images", (1_000, 10_000, 100_000), {"classes": 100, "again": False}, rounds=1),
    "images ingested again": Curve(
        ingesting, "images", (1_000, 10_000, 100_000), {"classes": 100, "again": True}, rounds=2
    ),
    "classes": Curve(step_seconds, "classes", (10, 100, 1_000, 10_000), STEP | {"size": 64}),
    "classes ingested": Curve(ingesting_classes, "classes", (10, 100, 1_000, 10_000), {}, rounds=2),
    "devices": Curve(step_seconds, "devices", (1, 2, 4), CIFAR | {"network": "resnet20", "batch": 128}),
    "trials": Curve(searching, "trials", (1, 3, 10, 30), {}, rounds=1),
}


def rows(options: Options) -> Iterator[Row]:
    """One row per place, curve by curve."""
    for name in chosen(options.curves, CURVES, "curve"):
        curve = CURVES[name]
        for place in curve.places:
            x = curve.x(place)
            if options.most is None or x <= options.most:
                arguments = curve.others | {curve.argument: place}
                if "policy" in arguments:
                    arguments["seconds"] = options.seconds
                yield Row(name, "s", (Contestant("kerascnn", curve.prepare, arguments),), x, curve.rounds)


PART = Part(
    "how costs grow with batch, image, depth, images, classes, devices, trials", ("curves", "most", "seconds"), rows
)
