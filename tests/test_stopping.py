"""Signals during an export: none is lost, and nothing is half published."""

import os
import signal
import subprocess
import sys

import pytest

from kerascnn.cli.stopping import stopping_between
from kerascnn.export import exporter
from kerascnn.files.progress import untracked
from kerascnn.parent_process import as_parent
from support.messages import names


def interrupt(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def interruptible():
    """A shell starts background jobs, and so this process perhaps, with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_ends_before_the_signal_is_answered(number):
    done = []
    with pytest.raises(KeyboardInterrupt), stopping_between(untracked) as track:
        for step in track(range(5), 5, "steps"):
            if step == 2:
                interrupt(number)
            done.append(step)
    assert done == [0, 1, 2]


def test_a_signal_after_the_last_step_is_not_lost():
    with pytest.raises(KeyboardInterrupt), stopping_between(untracked):
        interrupt()


def test_what_a_second_signal_breaks_counts_as_stopped():
    with pytest.raises(KeyboardInterrupt), stopping_between(untracked):
        interrupt()
        try:
            interrupt()
        except KeyboardInterrupt:
            # As TensorFlow makes of it.
            raise TypeError("expected a tensor") from None


def test_without_a_signal_errors_are_errors():
    with pytest.raises(TypeError), stopping_between(untracked):
        raise TypeError


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while a file is written", "while files are verified"])
def test_a_stopped_export_publishes_nothing(moment, tiny_digits_run, tmp_path, command, monkeypatch):
    if moment == "while a file is written":
        write, *others = exporter.WRITERS["savedmodel"]

        def interrupted(*arguments):
            interrupt()
            write(*arguments)

        monkeypatch.setitem(exporter.WRITERS, "savedmodel", (interrupted, *others))
    else:
        verify = exporter.verify
        monkeypatch.setattr(exporter, "verify", lambda *args, **options: (interrupt(), verify(*args, **options))[1])
    outcome = command("export", tiny_digits_run.folder.path, "--to", tmp_path / "out", "--formats", "savedmodel")
    assert outcome.status == 130
    assert outcome.err.strip().endswith("kerascnn: stopped.")
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_a_parent_that_asked_for_it():
    """As `train --workers` and `tune --workers` start it; this one's parent is gone."""
    environment = {**os.environ, **as_parent(), "KERASCNN_PARENT": "1"}
    command = [sys.executable, "-m", "kerascnn", "completion", "bash"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    names(ended.stderr, "the process that started this one is gone")
