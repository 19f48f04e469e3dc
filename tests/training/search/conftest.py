"""Searches whose trials are told what to come to, and take no time."""

from __future__ import annotations

import sys

import pytest

from kerascnn.applications import cifar_resnet
from kerascnn.training import Recipe
from support import fake_trial


@pytest.fixture
def shallow(monkeypatch):
    """Has ResNet-20 be built with one block a stage instead of three, which takes a third of the time."""
    monkeypatch.setitem(cifar_resnet.BLOCKS_OF_DEPTH, 20, 1)


@pytest.fixture
def swift(shallow, monkeypatch):
    """Has the fake trials be looked at a hundred times a second, and a search draw no figures."""
    from kerascnn.training.search import plots as figures
    from kerascnn.training.search import processes

    monkeypatch.setattr(processes, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(figures, "draw", lambda *_: [])


@pytest.fixture(scope="session")
def fake():
    """The module `support.fake_trial`."""
    return fake_trial


@pytest.fixture
def plan_of():
    """Makes the plan of a search with the fake program."""
    from kerascnn.training.search.objective import Objective
    from kerascnn.training.search.plan import SearchConfig
    from kerascnn.training.search.space import Space

    def make(space, **values):
        recipe = Recipe.for_model("resnet20").with_values(batch_size=8, epochs=4)
        options = {
            "limit": 100,
            "classes": 10,
            "objective": Objective("val_top1", "max"),
            "epochs": 4,
            # It needs no packages, and finding them takes most of the time in which Python starts.
            "program": [sys.executable, "-S", fake_trial.__file__],
        }
        return SearchConfig(recipe, Space.from_dict(space, recipe), "digits", **{**options, **values})

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
