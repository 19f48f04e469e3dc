"""A training of seconds, and processes that need not import TensorFlow."""

from __future__ import annotations

import pytest

from support import tiny_training
from support.forking import forking


@pytest.fixture(scope="session")
def forks(on_all_cores):
    """Starts processes that have imported TensorFlow: `support.forking.Forking`."""
    with forking(on_all_cores) as started:
        yield started


@pytest.fixture
def tiny_network():
    """Has every recipe train the tiny network."""
    with tiny_training.tiny():
        yield


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The tiny training, not stopped."""
    with tiny_training.tiny():
        return tiny_training.train(
            tiny_training.recipe(),
            tiny_training.images(),
            runs=tmp_path_factory.mktemp("tiny"),
            limit=120,
            run_config=tiny_training.RunConfig(best=2),
        )
