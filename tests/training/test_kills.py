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


def start(runs, most, on_all_cores):
    root = Path(kerascnn.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("tiny_training.py"), runs, str(most)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_all_cores,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
    )


def finished(process, runs):
    """The folder of the training, when it has ended."""
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert stdout.endswith("done\n")
    [folder] = map(RunFolder, runs.iterdir())
    return folder


@pytest.mark.slow
def test_a_training_that_is_killed_ten_times_ends_as_one_that_is_not(tiny, tmp_path, on_all_cores, assert_same):
    """The moments are some milliseconds after a step, or after a start, with states being written all the time."""
    assert sum(STEPS) + len(STEPS) < tiny.EPOCHS * tiny.STEPS
    whole = finished(start(tmp_path / "not stopped", -1, on_all_cores), tmp_path / "not stopped")
    runs = tmp_path / "killed"
    moments = random.Random(SEED)
    for steps in STEPS:
        process = start(runs, steps + 1, on_all_cores)
        said = [process.stdout.readline() for _ in range(1 + steps)]
        assert said == ["ready\n", *["step\n"] * steps]
        time.sleep(moments.uniform(0, 0.04))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert_same(finished(start(runs, -1, on_all_cores), runs), whole)
