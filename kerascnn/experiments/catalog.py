"""The experiments of the papers, which experiments.yaml lists."""

from __future__ import annotations

from pathlib import Path

from kerascnn.errors import InputError, closest
from kerascnn.experiments.experiment import Experiment
from kerascnn.training.recipe.files import read_yaml
from kerascnn.training.recipe.validation import validated

FILE = Path(__file__).with_name("experiments.yaml")
EXPERIMENTS = {name: validated(Experiment, values, name) for name, values in read_yaml(FILE).items()}


def find(name: str) -> Experiment:
    """The experiment called `name`; raises InputError if there is none.

    Example:
        >>> find("depth").arms[0].name
        'ResNet-20'
    """
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment '{name}'; {closest(name, EXPERIMENTS)}")
    return EXPERIMENTS[name]
