"""Searches whose trials are told what to come to, and take no time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from kerascnn.training import Recipe

FAKE = Path(__file__).with_name("fake_trial.py")


@pytest.fixture(scope="session")
def fake():
    """The module `fake_trial`."""
    spec = importlib.util.spec_from_file_location("fake_trial", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plan_of():
    """Makes the plan of a search with the fake program."""
    from kerascnn.training.search.objective import Objective
    from kerascnn.training.search.plan import Plan
    from kerascnn.training.search.space import Space

    def make(space, **values):
        recipe = Recipe.for_model("resnet20").with_values(batch_size=8, epochs=4)
        options = {
            "limit": 100,
            "classes": 10,
            "objective": Objective("val_top1", "max"),
            "epochs": 4,
            "program": [sys.executable, str(FAKE)],
        }
        return Plan(recipe, Space.from_dict(space, recipe), "digits", **{**options, **values})

    return make


@pytest.fixture
def begin(tmp_path):
    """Writes a plan into a new folder below `tmp_path`."""
    from kerascnn.training.search.plan import SearchFolder

    def make(plan, name="one"):
        return SearchFolder.create(tmp_path, name, plan, "digits")

    return make


@pytest.fixture
def told():
    """Sentences that were told."""
    return []


def starts(folder) -> dict[str, list[int]]:
    """The batch of every start of every trial."""
    return {
        file.parent.name: [int(line) for line in file.read_text().split()]
        for file in sorted(folder.trials.glob("*/starts.txt"))
    }


@pytest.fixture(name="starts")
def starts_of():
    return starts
