"""A worker is killed in the middle of an epoch, and all are started again."""

import time

import keras
import numpy as np
import pytest

from kerascnn.training import RunFolder
from support import tiny_training
from support.messages import names
from support.runs import OF_THE_MACHINE
from support.servers import free_ports

# As in test_devices.py: sums have another order.
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def rounds(forks, tmp_path_factory):
    """The output and statuses of the workers in two rounds, and the seconds that the chief outlived the other."""
    runs = tmp_path_factory.mktemp("runs")

    def start():
        folder = tmp_path_factory.mktemp("output")
        return forks.start_workers("support.tiny_training:one_of_workers", runs, ports=free_ports(2), folder=folder)

    chief, other = start()
    chief.wait_for(lambda: list(runs.glob("*/checkpoints/epoch-0001-step-000010.npz")))
    other.kill()
    killed = time.monotonic()
    chief.wait(60)
    outlived = time.monotonic() - killed
    again = start()
    return {
        "runs": runs, "chief output": chief.said(), "outlived": outlived, "status": chief.status,
        "statuses again": [fork.wait() for fork in again], "again": [fork.said() for fork in again],
    }  # fmt: skip


@pytest.mark.slow
def test_the_chief_stops_with_one_sentence(rounds):
    assert rounds["outlived"] < 60
    assert rounds["status"] == 3, rounds["chief output"]
    (folder,) = rounds["runs"].iterdir()
    names(rounds["chief output"], "worker 0 of 2", "another worker", folder)


@pytest.mark.slow
def test_resumed_workers_end_like_one_device_that_was_never_stopped(rounds, tmp_path):
    """Completed epochs and steps are not repeated, and only the chief has written the folder."""
    assert rounds["statuses again"] == [0, 0], rounds["again"]
    (folder,) = rounds["runs"].iterdir()
    run = tiny_training.on_workers(tmp_path)
    ours, theirs = RunFolder(folder).history(), run.folder.history()
    assert [row["epoch"] for row in ours] == [0, 1, 2]
    for row, expected in zip(ours, theirs, strict=True):
        for name in row.keys() - OF_THE_MACHINE:
            assert row[name] == pytest.approx(expected[name], rel=ROUNDING, abs=ROUNDING), name
    model = keras.models.load_model(folder / "model.keras")
    for weight, expected in zip(model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=ROUNDING, atol=ROUNDING)
