"""Trainings that are stopped at any step, and go on as if they had not been."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError, evaluation
from kerascnn.training import Averaging, Checkpoints, Conduct, Interrupted, RunFolder, resume, train

pytestmark = pytest.mark.usefixtures("tiny_network")


class StopAt(keras.callbacks.Callback):
    """Presses Ctrl-C at one of Keras' calls, the `number`-th of its kind, or does something else."""

    def __init__(self, call, number, press=None):
        super().__init__()
        self.number, self.seen = number, 0
        self.press = press
        setattr(self, call, self.called)

    def called(self, *_, **__):
        self.seen += 1
        if self.seen == self.number:
            if self.press is None:
                raise KeyboardInterrupt
            self.press()


def begin(tiny, runs, *callbacks, **conduct):
    return train(tiny.recipe(), tiny.pictures(), runs=runs, limit=120, callbacks=callbacks, conduct=Conduct(**conduct))


def go_on(tiny, folder, *callbacks, **options):
    return resume(folder, folder.read_recipe()[0], tiny.pictures(), callbacks=callbacks, **options)


@pytest.fixture(scope="module")
def stopped_run(tiny, tmp_path_factory):
    """A training that was stopped after 9 steps; not to be changed."""
    with tiny.tiny(), pytest.raises(Interrupted) as caught:
        begin(tiny, tmp_path_factory.mktemp("stopped"), StopAt("on_train_batch_end", 9))
    return caught.value


@pytest.fixture
def stopped(stopped_run, tmp_path):
    """A copy of it."""
    return RunFolder(shutil.copytree(stopped_run.folder.path, tmp_path / "stopped"))


def test_a_training_goes_on_in_the_middle_of_an_epoch(tiny, tiny_run, stopped_run, stopped, assert_same):
    assert str(stopped_run) == f"stopped; {stopped_run.folder.path} keeps the state after step 3 of epoch 2."
    assert not stopped.model_file.exists()
    run = go_on(tiny, stopped)
    assert_same(stopped, tiny_run.folder)
    for ours, theirs in zip(run.model.get_weights(), tiny_run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


STOPS = {
    ("on_train_begin", 1): "at the start",
    ("on_train_batch_end", 1): "after step 1 of epoch 1",
    ("on_train_batch_end", 5): "after step 6 of epoch 1",
    ("on_test_batch_begin", 2): "after step 6 of epoch 1",
    ("on_epoch_begin", 2): "after epoch 1",
    ("on_train_batch_begin", 3): "after step 2 of epoch 2",
    ("on_test_end", 2): "after step 6 of epoch 3",
    ("on_epoch_end", 2): "after step 6 of epoch 4",
    ("on_train_end", 1): "after epoch 4",
}


@pytest.mark.slow
def test_a_training_can_be_stopped_anywhere_again_and_again(tiny, tiny_run, tmp_path, assert_same):
    folder = None
    for (call, number), position in STOPS.items():
        with pytest.raises(Interrupted) as caught:
            stop = StopAt(call, number)
            go_on(tiny, folder, stop) if folder else begin(tiny, tmp_path, stop, best=2)
        folder = caught.value.folder
        assert str(caught.value) == f"stopped; {folder.path} keeps the state {position}."
        assert not folder.model_file.exists()
    run = go_on(tiny, folder)
    assert_same(folder, tiny_run.folder)
    for ours, theirs in zip(run.model.get_weights(), tiny_run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kept = [sorted(file.name for file in one.checkpoints.glob("best-*")) for one in (folder, tiny_run.folder)]
    assert kept[0] == kept[1]


def test_the_training_has_what_it_is_to_keep(tiny, tiny_run):
    """Otherwise the tests above would pass without it."""
    optimizer = tiny_run.model.optimizer
    # Some steps were skipped, which is no reason to stop, and the scale grew again.
    assert 10 < optimizer.iterations.numpy() < tiny.EPOCHS * tiny.STEPS
    rates = [row["learning_rate"] for row in tiny_run.folder.history()]
    assert rates[-1] < rates[0]
    seeds = [layer.seed_generator.state.numpy() for layer in tiny_run.model.layers if hasattr(layer, "seed_generator")]
    assert len(seeds) == 2
    assert all(seed[1] >= tiny.EPOCHS * tiny.STEPS for seed in seeds)


def test_a_signal_is_answered_after_the_step(tiny, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    told = []
    stop = StopAt("on_train_batch_begin", 8, lambda: os.kill(os.getpid(), signal.SIGTERM))
    stop.stopping = lambda: told.append("stopping")
    with pytest.raises(Interrupted, match=r"keeps the state after step 2 of epoch 2\.$"):
        begin(tiny, tmp_path, stop)
    assert told == ["stopping"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_does_not_wait(tiny, tmp_path):
    def twice():
        # To this thread, so that the first is taken before the second comes. A shell's background jobs ignore Ctrl-C.
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"keeps the state after epoch 1\.$"):
        begin(tiny, tmp_path, StopAt("on_train_batch_begin", 8, twice))


def test_states_are_written_within_an_epoch_when_it_is_time(tiny, stopped, tmp_path):
    assert {file.name for file in stopped.checkpoints.glob("epoch-*")} == {
        "epoch-0001.npz",
        "epoch-0001-step-000003.npz",
    }
    # At once, after every step, the last of which is not waited for.
    with pytest.raises(ZeroDivisionError):
        begin(tiny, tmp_path / "runs", StopAt("on_train_batch_end", 5, lambda: 1 / 0), checkpoint_minutes=0)
    [folder] = (tmp_path / "runs").iterdir()
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {
        "epoch-0000-step-000003.npz",
        "epoch-0000-step-000004.npz",
    }


def damaged(content, damage):
    middle = len(content) // 2
    return {
        "cut": content[:middle],
        "garbage": bytes(range(256)) * 4,
        "flipped": content[:middle] + bytes([content[middle] ^ 64]) + content[middle + 1 :],
        "empty": b"",
    }[damage]


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped", "empty"])
def test_a_damaged_state_is_passed_over(damage, stopped):
    newest = stopped.checkpoints / "epoch-0001-step-000003.npz"
    newest.write_bytes(damaged(newest.read_bytes(), damage))
    told = []
    state = Checkpoints(stopped.checkpoints).newest(told.append)
    assert str(state.position) == "after epoch 1"
    [sentence] = told
    assert sentence.startswith(f"{newest} is damaged (")
    assert sentence.endswith("); going on from epoch-0001.npz, the state before it.")
    told.clear()
    assert Checkpoints(stopped.checkpoints).newest(told.append).position == state.position
    assert not told


def test_a_training_goes_on_from_the_state_before(tiny, tiny_run, stopped, assert_same):
    newest = stopped.checkpoints / "epoch-0001-step-000003.npz"
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="going on from epoch-0001.npz"):
        go_on(tiny, stopped)
    assert_same(stopped, tiny_run.folder)
    assert {file.name for file in stopped.checkpoints.glob("*.npz")} == {"epoch-0003.npz", "epoch-0004.npz"}


def test_without_a_whole_state_a_run_does_not_go_on(tiny, stopped):
    for file in stopped.checkpoints.glob("*.npz"):
        file.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"epoch-0001-step-000003\.npz cannot be read .*there is no state before it"):
        go_on(tiny, stopped)
    for file in stopped.checkpoints.glob("*.npz"):
        file.unlink()
    with pytest.raises(InputError, match="has no checkpoint to go on from"):
        go_on(tiny, stopped)


def test_other_data_and_recipes_are_refused(tiny, stopped, few_digits):
    with pytest.raises(InputError, match=r"digits has 160 training pictures and had 96 when .* was begun"):
        resume(stopped, stopped.read_recipe()[0], few_digits)
    recipe = replace(stopped.read_recipe()[0], averaging=Averaging(0))
    with pytest.raises(InputError, match="the checkpoint does not fit the recipe"):
        resume(stopped, recipe, tiny.pictures())


def test_a_finished_run_can_be_resumed_without_harm(tiny, tiny_run, tmp_path, assert_same):
    folder = RunFolder(shutil.copytree(tiny_run.folder.path, tmp_path / "run"))
    (folder.checkpoints / ".epoch-0004.npz.x.partial").write_bytes(b"cut")
    run = go_on(tiny, folder)
    assert_same(folder, tiny_run.folder)
    for ours, theirs in zip(run.model.get_weights(), tiny_run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert folder.history() == tiny_run.folder.history()
    assert not list(folder.checkpoints.glob(".*"))


# What is written last of a state, of the history and of a model.
WRITES = {
    "state": (zipfile.ZipFile, "writestr", "after epoch 2"),
    "history": (csv.DictWriter, "writerows", "after epoch 1"),
    "best": (keras.Model, "save", "after epoch 1"),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_full_disk_is_one_sentence(what, tiny, tiny_run, tmp_path, monkeypatch, assert_same):
    """The third write of a kind does not go to its end."""
    owner, name, position = WRITES[what]
    write, calls = getattr(owner, name), []

    def full(*arguments, **options):
        calls.append(name)
        # Keras' files are zip archives too.
        if len([call for call in calls if call == name]) == (2 if what == "best" else 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(InputError) as caught:
        patch.setattr(owner, name, full)
        begin(tiny, tmp_path, best=4 if what == "best" else 0)
    [folder] = map(RunFolder, tmp_path.iterdir())
    assert str(caught.value) == (
        f"{folder.path} cannot be written: the disk is full; it keeps the state {position}, "
        "from which the run can go on when there is room."
    )
    if what == "state":
        go_on(tiny, folder)
        assert_same(folder, tiny_run.folder)


def test_the_best_models_are_kept_as_they_were_validated(tiny, tiny_run):
    accuracies = [row["val_main_top1"] for row in tiny_run.folder.history()]
    best = sorted(sorted(range(4), key=lambda epoch: (-accuracies[epoch], epoch))[:2])
    files = sorted(tiny_run.folder.checkpoints.glob("best-*"))
    assert [file.name for file in files] == [f"best-epoch-{epoch + 1:04d}.keras" for epoch in best]
    for file, epoch in zip(files, best, strict=True):
        scores = evaluation.evaluate(evaluation.open_predictor(file), tiny.pictures())
        assert scores.accuracy() == pytest.approx(accuracies[epoch])
