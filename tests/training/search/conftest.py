"""Searches with fake trials, whose results are known and which take no time."""

from __future__ import annotations

import sys

import pytest

from kerascnn.applications import cifar_resnet
from kerascnn.training import Recipe
from support import fake_trial


@pytest.fixture
def shallow(monkeypatch):
    """Builds ResNet-20 with one block per stage instead of three, which takes a third of the time."""
    monkeypatch.setitem(cifar_resnet.BLOCKS_OF_DEPTH, 20, 1)


@pytest.fixture
def swift(shallow, monkeypatch):
    """Polls the fake trials a hundred times per second, and draws no plots."""
    from kerascnn.training.search import report, trial_process

    monkeypatch.setattr(trial_process, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(report, "draw", lambda *_: [])


@pytest.fixture(scope="session")
def fake():
    """The module `support.fake_trial`."""
    return fake_trial


@pytest.fixture
def config_of():
    """Makes the settings of a search with the fake program."""
    from kerascnn.training.search.folder import Objective, SearchConfig
    from kerascnn.training.search.space import Space

    def make(space, **values):
        recipe = Recipe.for_model("resnet20").with_values(batch_size=8, epochs=4)
        options = {
            "limit": 100,
            "classes": 10,
            "objective": Objective("val_top1", "max"),
            "epochs": 4,
            # It needs no packages, and finding them takes most of Python's startup time.
            "program": [sys.executable, "-S", fake_trial.__file__],
        }
        return SearchConfig(recipe, Space.from_dict(space, recipe), "digits", **{**options, **values})

    return make


@pytest.fixture
def begin(tmp_path):
    """Makes a search's folder below `tmp_path`."""
    from kerascnn.training.search.folder import SearchFolder

    def make(config, name="one"):
        return SearchFolder.create(tmp_path, name, config, "digits")

    return make


@pytest.fixture
def warned():
    """The warnings of a search."""
    return []


def starts(folder) -> dict[str, list[int]]:
    """The batch size at every start of every trial."""
    return {
        file.parent.name: [int(line) for line in file.read_text().split()]
        for file in sorted(folder.trials.glob("*/starts.txt"))
    }


@pytest.fixture(name="starts")
def starts_of():
    return starts
