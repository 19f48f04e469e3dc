"""Features of a frozen network's blocks: their pooled maps, computed in one pass over the images and cached on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import kerascnn
from kerascnn.applications.cutting import Place, last_features, places, pooled
from kerascnn.applications.deep import functional
from kerascnn.applications.stages import DENSE
from kerascnn.console import messages, print_text, track
from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples
from kerascnn.data.pipeline.cache import memory_for_images
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder
from kerascnn.files.checksums import Checksum
from kerascnn.training.recipe.fields import WHOLE
from kerascnn.training.recipe.recipe import Recipe

BATCH = 32  # Images per step: the number of threads matters more to the speed

# What the features of an image depend on, besides the network's weights and arguments.
PACKAGE = Path(kerascnn.__file__).parent
CODE = {PACKAGE / name: "**/*.py" for name in ("layers", "applications", "data/pipeline")}
CODE[Path(__file__).parent] = "features.py"


@dataclass(frozen=True)
class Features:
    """The features of some images, by the names of the places where they were taken, from the image on.

    The last ones, named "none", are what the dense classifier of the whole network gets, if it has one.

    Attributes:
        values: float32 (images, width); from the cache, an array is read when it is asked for.
        stages: the stage of each place: "C4".
        milliseconds: an image's time from the pixels to the place, its decoding included, measured in the pass.
        parameters: of the layers up to the place.
        seconds: of the pass.
    """

    values: Mapping[str, np.ndarray]
    stages: dict[str, str]
    milliseconds: dict[str, float]
    parameters: dict[str, int]
    seconds: float


def features_key(recipe: Recipe, weights: Path, examples: Examples) -> str:
    """A name for the features: it changes with the weights' file, the network, the scaling and size of the images.

    With the code that makes features of them, and with the images themselves, wherever they are: an archive is unpacked
    into another folder every time.
    """
    network = (recipe.model, recipe.model_arguments, recipe.image_shape, recipe.precision, recipe.pixels)
    described = json.dumps([code_digest(), *network], default=lambda one: vars(one), sort_keys=True)
    return hashlib.sha256(f"{described} {Checksum.of(weights)} {_contents(examples)}".encode()).hexdigest()[:32]


@functools.cache
def code_digest() -> str:
    """A digest of the code that decodes and scales images, builds networks and pools their maps.

    Where the package was installed without source files, its version stands for them.
    """
    digest = hashlib.sha256(kerascnn.__version__.encode())
    for folder, pattern in CODE.items():
        for file in sorted(folder.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def cached_features(
    key: str, model: Callable[[], keras.Model], recipe: Recipe, data: DataSet, examples: Examples, more: str = ""
) -> Features:
    """The features of `examples` from the cache, or from the model that is made if they are not there.

    The cost is shown on standard error before the pass, from its first batches, and its progress on a terminal. `more`
    is a place besides the network's own, whose key must be another one. InputError if the features cannot be stored.
    """
    file = cache_folder() / "features" / f"{key}.npz"
    # A damaged file is made anew.
    with contextlib.suppress(Exception):
        return _load(file)
    found = compute_features(model(), recipe, data, examples, more)
    facts = {"stages": found.stages, "milliseconds": found.milliseconds, "parameters": found.parameters}
    with writing(f"the cache of features {file}"), atomic_write(file) as stream:
        np.savez(stream, facts=json.dumps(facts | {"seconds": found.seconds}), **found.values)
    return found


def _load(file: Path) -> Features:
    stored = np.load(file)
    found = Features(stored, **json.loads(str(stored["facts"])))
    # Arrays are read later.
    if set(found.stages) - set(stored) or zipfile.ZipFile(file).testzip():
        raise ValueError
    return found


def compute_features(model: keras.Model, recipe: Recipe, data: DataSet, examples: Examples, more: str = "") -> Features:
    """Passes the evaluation views of all images once through the network, one block after the other."""
    blocks = _blocks(model, more)
    *size, channels = recipe.image_shape
    view = {"size": size, "channels": channels, "crop_fraction": recipe.pixels.crop_fraction}
    batches = evaluation_batches(examples, classes=len(data.class_names), batch_size=BATCH, **view)
    count, seconds = len(examples), np.zeros(1 + len(blocks))
    rows: list[list[np.ndarray]] = []
    started = time.perf_counter()
    for number, images in enumerate(_timed(batches, count, seconds)):
        if number == 0:
            # Blocks are compiled at their first call.
            _pass(blocks, images, np.zeros(len(blocks)))
        rows.append(_pass(blocks, images, seconds[1:]))
        if (size := sum(one.nbytes for one in rows[0]) / len(rows[0][0]) * count) > memory_for_images():
            raise InputError(
                f"the features of {count} images take {size / 1e9:.0f} GB, more than half of the memory; give fewer "
                "images by a limit, or set fine_tuning.probe=false."
            )
        if number == 1:
            cost = seconds.sum() * count / (2 * BATCH)
            print_text(messages(), f"probe: {count} images x 1 pass of {model.name} ≈ {cost:.0f} s")
    values = {block.name: np.concatenate(parts) for block, parts in zip(blocks, zip(*rows, strict=True), strict=True)}
    return Features(
        values,
        {block.name: block.stage for block in blocks},
        dict(zip(values, map(float, 1000 * seconds.cumsum()[1:] / count), strict=True)),
        dict(zip(values, map(int, np.cumsum([block.parameters for block in blocks])), strict=True)),
        time.perf_counter() - started,
    )


def _timed(batches, count: int, seconds: np.ndarray) -> Iterator:
    """The images of the batches; adds the time without one to the first of the seconds."""
    steps = -(-count // BATCH)
    iterator = iter(track(batches, steps, "features"))
    for _ in range(steps):
        started = time.perf_counter()
        images, *_ = next(iterator)
        seconds[0] += time.perf_counter() - started
        yield images
    next(iterator, None)  # Ends the progress bar.


def _pass(blocks: list[_Block], maps, seconds: np.ndarray) -> list[np.ndarray]:
    rows = []
    for number, block in enumerate(blocks):
        started = time.perf_counter()
        maps, pooled = block.call(maps)
        rows.append(pooled.numpy())
        seconds[number] += time.perf_counter() - started
    return rows


@dataclass(frozen=True)
class _Block:
    """The layers between two places as a compiled function, from a map to the next one and its features."""

    name: str
    stage: str
    parameters: int
    call: Callable


def _blocks(model: keras.Model, more: str) -> list[_Block]:
    found, begin = [], model.inputs[0]
    last = last_features(model)
    whole = [] if last is None else [Place(WHOLE, "", last)]
    for name, stage, end in [*places(model, more), *whole]:
        layers = functional(begin, end) if end is not begin else None
        has_dense = layers and any(isinstance(layer, keras.layers.Dense) for layer in layers.layers)
        stage = stage or (DENSE if has_dense else found[-1].stage)
        call = _compiled(layers, _pool(name, end), begin)
        found.append(_Block(name, stage, layers.count_params() if layers else 0, call))
        begin = end
    return found


def _compiled(layers: keras.Model | None, pool: Callable, begin: keras.KerasTensor) -> Callable:
    import tensorflow as tf

    def call(maps):
        maps = layers(maps, training=False) if layers else maps
        return maps, pool(maps)

    # Without `get_concrete_function`, TensorFlow would take the blocks for one function that it traces too often.
    maps = tf.TensorSpec((None, *begin.shape[1:]), begin.dtype)
    return tf.function(call, autograph=False).get_concrete_function(maps)


def _pool(name: str, maps: keras.KerasTensor) -> Callable:
    """From a place's map to its features: of the whole network the mean, as its classifier gets it."""
    if len(maps.shape) == 2:
        return keras.layers.Identity(dtype="float32")
    if name == WHOLE:
        return keras.layers.GlobalAveragePooling2D(dtype="float32")
    return functional(maps, pooled(maps))


def _contents(examples: Examples) -> str:
    """A digest of the images, in their order."""
    digest = hashlib.sha256()
    if isinstance(examples, ArrayExamples):
        digest.update(f"{examples.images.shape}".encode() + np.ascontiguousarray(examples.images).tobytes())
    elif isinstance(examples, FileExamples):
        for path in examples.paths:
            digest.update(bytes.fromhex(Checksum.of(Path(path)).digits))
    else:
        for path in examples.shards:
            status = Path(path).stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns} ".encode())
        digest.update(examples.shard.astype(np.int64).tobytes() + examples.offset.astype(np.int64).tobytes())
    return digest.hexdigest()
