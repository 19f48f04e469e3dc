"""A training that is killed at random moments."""

import random
import signal
import time

import pytest

from kerascnn.training import RunFolder
from support import tiny_training
from support.runs import assert_same

# Steps to wait for before each of ten kills: few enough that the training does not end before.
SEED = 11
STEPS = random.Random(SEED).choices(range(3), k=10)


@pytest.fixture
def start(forks, tmp_path):
    """Starts or resumes the training in a folder, so that it waits to be killed after some steps."""
    return lambda runs, most: forks.start(
        "support.tiny_training:until_killed", runs, most, output=tmp_path / "output.txt"
    )


def finished(start, runs):
    """The folder of a training that is not stopped."""
    fork = start(runs, -1)
    assert fork.wait() == 0, fork.said()
    [folder] = map(RunFolder, runs.iterdir())
    return folder


@pytest.mark.slow
def test_a_training_that_is_killed_ten_times_ends_like_one_that_is_not(start, tmp_path):
    """It is killed some milliseconds after a step, or after a start, while checkpoints are written all the time."""
    assert sum(STEPS) + len(STEPS) < tiny_training.EPOCHS * tiny_training.STEPS
    whole = finished(start, tmp_path / "not stopped")
    runs = tmp_path / "killed"
    delays = random.Random(SEED)
    for steps in STEPS:
        fork = start(runs, steps + 1)
        fork.wait_for(lambda: fork.said().count("step\n") >= steps)  # noqa: B023
        time.sleep(delays.uniform(0, 0.04))
        assert fork.kill() == -signal.SIGKILL
    assert_same(finished(start, runs), whole)
