"""A training that is killed at random moments."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kerascnn
from kerascnn.training import RunFolder

# Steps to wait for before each of ten kills: few enough that the training does not end before.
SEED = 11
STEPS = random.Random(SEED).choices(range(3), k=10)


@pytest.fixture
def trainings(on_all_cores):
    """The program that starts trainings."""
    root = Path(kerascnn.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("tiny_training.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_all_cores,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
    ) as program:
        yield program
        program.stdin.close()


def start(trainings, runs, most):
    """The number of a process that trains."""
    trainings.stdin.write(f"{most} {runs}\n")
    trainings.stdin.flush()
    ready, process = trainings.stdout.readline().split()
    assert ready == "ready"
    return int(process)


def said(trainings):
    """The lines of a training up to its end."""
    lines = [""]
    while not lines[-1].startswith("ended "):
        lines.append(trainings.stdout.readline().rstrip())
        assert lines[-1], "the program that starts trainings has ended"
    return lines


def finished(trainings, runs):
    """The folder of a training that nobody stops."""
    start(trainings, runs, -1)
    assert said(trainings)[-2:] == ["done", "ended 0"]
    [folder] = map(RunFolder, runs.iterdir())
    return folder


@pytest.mark.slow
def test_a_training_that_is_killed_ten_times_ends_as_one_that_is_not(tiny, tmp_path, trainings, assert_same):
    """The moments are some milliseconds after a step, or after a start, with states being written all the time."""
    assert sum(STEPS) + len(STEPS) < tiny.EPOCHS * tiny.STEPS
    whole = finished(trainings, tmp_path / "not stopped")
    runs = tmp_path / "killed"
    moments = random.Random(SEED)
    for steps in STEPS:
        process = start(trainings, runs, steps + 1)
        assert [trainings.stdout.readline() for _ in range(steps)] == ["step\n"] * steps
        time.sleep(moments.uniform(0, 0.04))
        os.kill(process, signal.SIGKILL)
        assert said(trainings)[-1] == f"ended {-signal.SIGKILL}"
    assert_same(finished(trainings, runs), whole)
