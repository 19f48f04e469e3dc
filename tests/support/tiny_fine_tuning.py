"""A fine-tuning of seconds after a probe, for tests that stop it in any of its phases."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras

from kerascnn.applications import registry
from kerascnn.layers import BatchNormalization
from kerascnn.training import Recipe, RunFolder, assembly, resume, train
from kerascnn.training.fine_tuning import after_probe, depth, features
from kerascnn.training.loop import Loop
from support import tiny_training

# Of each phase a function that is called in it, and at which call there is something half done.
PHASES = {
    "features": (features, "_pass", 3),
    "maps": (after_probe, "cached_maps", 3),
    "steps": (Loop, "_step", 4),
    "conclusion": (after_probe, "HistoryFile", 1),
}


def two_blocks(name, *, input_tensor, classes, classifier_activation="softmax", **_):
    """Two convolutions with batch normalization, dropout, and a classifier."""
    x = input_tensor
    for number in (1, 2):
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(BatchNormalization(name=f"conv{number}_bn")(x))
    x = keras.layers.Dropout(0.2, name="dropout")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    outputs = keras.layers.Dense(classes, activation=classifier_activation, name="fc")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), outputs, name=name)


@contextlib.contextmanager
def tiny():
    """Has every recipe train that network, and little work be allowed."""
    with mock.patch.object(registry, "create", two_blocks), mock.patch.object(depth, "FREE", 0):
        yield


def recipe(weights: Path) -> Recipe:
    """Fine-tuning of a network with the weights that it was drawn with, saved there, from its second convolution on."""
    settings = ["image_size=16", "precision=float32", "batch_size=16", "epochs=3", "optimizer.learning_rate=0.01"]
    settings += ["early_stopping=0", "augmentation={pad: 2}", "fine_tuning.passes=4", "fine_tuning.hold_out=0.2"]
    settings += ["fine_tuning.base_steps=32"]
    found = Recipe.load("finetune").with_settings([*settings, "pixels.mean=middle", "fine_tuning.cut=none"])
    keras.utils.set_random_seed(1)
    assembly.build(found, tiny_training.images().class_names).save(weights)
    return replace(found, fine_tuning=replace(found.fine_tuning, weights=str(weights), tuned_views=1))


def until_killed(runs: str, weights: str, phase: str, cores: str) -> None:
    """Begins the training, or goes on with the one that is there; says when it is in the phase, and waits there.

    On these cores: the bits of sums depend on how many there are.
    """
    if cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))
    owner, name, calls = PHASES[phase]
    left, function = [calls], getattr(owner, name)

    def waiting(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            print("there", flush=True)
            time.sleep(600)
        return function(*arguments, **options)

    os.environ["KERASCNN_CACHE"] = f"{runs}/cache"
    found = sorted(Path(runs).glob("*/recipe.yaml"))
    with tiny(), mock.patch.object(owner, name, waiting):
        if not found:
            train(recipe(Path(weights)), tiny_training.images(), runs=runs, limit=120, verbose=0)
        else:
            folder = RunFolder.open(found[0].parent)
            resume(folder, folder.read_recipe()[0], tiny_training.images(), verbose=0)
