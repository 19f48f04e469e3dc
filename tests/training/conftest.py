"""A training of seconds, and what is compared of two of them."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

# Figures of time, and of the machine.
OF_THE_MACHINE = ("seconds", "images_per_second", "waiting_share", "memory_gigabytes")


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_training`."""
    file = Path(__file__).with_name("tiny_training.py")
    spec = importlib.util.spec_from_file_location("tiny_training", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny_network(tiny):
    """Has every recipe train the tiny network."""
    with tiny.tiny():
        yield


@pytest.fixture(scope="session")
def tiny_run(tiny, tmp_path_factory):
    """The tiny training, not stopped."""
    with tiny.tiny():
        return tiny.train(
            tiny.recipe(),
            tiny.pictures(),
            runs=tmp_path_factory.mktemp("tiny"),
            limit=120,
            conduct=tiny.Conduct(best=2),
        )


def curves(folder) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Every point of every curve in a run's event files, by TensorBoard's run and tag, but for the machine's."""
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for file in sorted(folder.tensorboard.rglob("*tfevents*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                if array.ndim == 0 and array.dtype.kind == "f" and value.tag.split("/")[-1] not in OF_THE_MACHINE:
                    name = (file.parent.relative_to(folder.tensorboard).as_posix(), value.tag)
                    found.setdefault(name, []).append((event.step, float(array)))
    return {name: sorted(points) for name, points in found.items()}


def rows(folder) -> list[dict[str, float]]:
    """A run's history but for the machine's figures."""
    found = [{name: row[name] for name in row if name not in OF_THE_MACHINE} for row in folder.history()]
    assert all(math.isfinite(value) for row in found for value in row.values())
    return found


@pytest.fixture
def assert_same():
    """Whether two runs ended alike: weights to the bit, figures, and every point of TensorBoard's curves once."""

    def check(folder, other):
        with np.load(newest(folder)) as ours, np.load(newest(other)) as theirs:
            names = [name for name in ours.files if name != "facts"]
            assert len(names) > 20
            for name in names:
                np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
        assert rows(folder) == rows(other)
        assert curves(folder) == curves(other)
        assert len(curves(folder)) > 5

    return check


def newest(folder) -> Path:
    """A run's newest state."""
    return sorted(folder.checkpoints.glob("epoch-*.npz"))[-1]
