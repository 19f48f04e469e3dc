"""A worker is killed in the middle of an epoch, and all are started again."""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("tiny_worker.py")

# As in test_devices.py: sums are taken in another order.
ROUNDING = 1e-4


def start(runs):
    """Two workers, of two processes."""
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, str(PROGRAM), str(runs), "cpu"],
                env={**os.environ, "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return processes


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """What the workers say, their statuses, and how long the chief outlived the other; in two rounds."""
    runs = tmp_path_factory.mktemp("runs")
    first = start(runs)
    second = []
    try:
        deadline = time.monotonic() + 280
        while not list(runs.glob("*/checkpoints/epoch-0001-step-000010.npz")):
            assert time.monotonic() < deadline and first[0].poll() is None, first[0].communicate(timeout=30)[0]
            time.sleep(0.05)
        first[1].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        said, _ = first[0].communicate(timeout=60)
        outlived = time.monotonic() - killed
        second = start(runs)
        again = [process.communicate(timeout=280)[0] for process in second]
    finally:
        for process in (*first, *second):
            process.kill()
    return {
        "runs": runs, "chief said": said, "outlived": outlived, "status": first[0].returncode,
        "again": again, "statuses again": [process.returncode for process in second],
    }  # fmt: skip


@pytest.mark.slow
def test_the_chief_stops_with_a_sentence(rounds):
    assert rounds["outlived"] < 60
    assert rounds["status"] == 3, rounds["chief said"]
    (folder,) = rounds["runs"].iterdir()
    assert "worker 0 of 2 stopped, because another worker ended or cannot be reached" in rounds["chief said"]
    assert str(folder) in rounds["chief said"]


@pytest.mark.slow
def test_started_again_they_end_as_one_device_that_was_never_stopped(rounds, tmp_path):
    """Epochs and steps that were done are not done again, and the chief alone has written the folder."""
    assert rounds["statuses again"] == [0, 0], rounds["again"]
    (folder,) = rounds["runs"].iterdir()
    run = runpy.run_path(str(PROGRAM))["run"](tmp_path, "cpu")
    ours, theirs = (module(path) for module, path in ((history, folder), (history, run.folder.path)))
    assert [row["epoch"] for row in ours] == [0, 1, 2]
    for row, expected in zip(ours, theirs, strict=True):
        for name in row.keys() - {"seconds", "images_per_second", "waiting_share", "memory_gigabytes"}:
            assert row[name] == pytest.approx(expected[name], rel=ROUNDING, abs=ROUNDING), name
    import keras

    model = keras.models.load_model(folder / "model.keras")
    for weight, expected in zip(model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=ROUNDING, atol=ROUNDING)


def history(folder):
    from kerascnn.training import RunFolder

    return RunFolder(folder).history()
