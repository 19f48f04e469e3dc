"""Trainings that are stopped at any step, and resume as if they had not been stopped."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import zipfile
from dataclasses import replace

import keras
import pytest

from kerascnn import InputError, evaluation
from kerascnn.files.folder_owner import FolderInUseError, owned
from kerascnn.training import Averaging, Checkpoints, RunConfig, RunFolder, TrainingInterruptedError, resume, train
from kerascnn.training.checkpoints import files
from support import tiny_training
from support.messages import mentioning, names
from support.runs import assert_same, assert_same_weights

# All are trainings.
pytestmark = [pytest.mark.usefixtures("tiny_network"), pytest.mark.slow]


class StopAt(keras.callbacks.Callback):
    """Interrupts the training at the `number`-th call of one of Keras' methods, or calls `action` there."""

    def __init__(self, call, number, action=None):
        super().__init__()
        self.number, self.seen = number, 0
        self.action = action
        setattr(self, call, self.called)

    def called(self, *_, **__):
        self.seen += 1
        if self.seen == self.number:
            if self.action is None:
                raise KeyboardInterrupt
            self.action()


def begin(runs, *callbacks, **run_config):
    return train(
        tiny_training.recipe(),
        tiny_training.images(),
        runs=runs,
        limit=120,
        callbacks=callbacks,
        run_config=RunConfig(**run_config),
    )


def go_on(folder, *callbacks, **options):
    return resume(folder, folder.read_recipe()[0], tiny_training.images(), callbacks=callbacks, **options)


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """A training that was stopped after 9 steps; tests must not change it."""
    with tiny_training.tiny(), pytest.raises(TrainingInterruptedError) as caught:
        begin(tmp_path_factory.mktemp("stopped"), StopAt("on_train_batch_end", 9))
    return caught.value


@pytest.fixture
def stopped(stopped_run, tmp_path):
    """A copy of it."""
    return RunFolder(shutil.copytree(stopped_run.folder.path, tmp_path / "stopped"))


def test_a_training_resumes_in_the_middle_of_an_epoch(tiny_run, stopped_run, stopped):
    names(stopped_run, "stopped", stopped_run.folder.path, "after step 3 of epoch 2")
    assert not stopped.model_file.exists()
    run = go_on(stopped)
    assert_same(stopped, tiny_run.folder)
    assert_same_weights(run.model, tiny_run.model)


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


def test_a_training_can_be_stopped_anywhere_again_and_again(tiny_run, tmp_path):
    folder = None
    for (call, number), position in STOPS.items():
        with pytest.raises(TrainingInterruptedError) as caught:
            stop = StopAt(call, number)
            go_on(folder, stop) if folder else begin(tmp_path, stop, best=2)
        folder = caught.value.folder
        names(caught.value, "stopped", folder.path, f"{position}.")
        assert not folder.model_file.exists()
    run = go_on(folder)
    assert_same(folder, tiny_run.folder)
    assert_same_weights(run.model, tiny_run.model)
    saved = [sorted(file.name for file in one.checkpoints.glob("best-*")) for one in (folder, tiny_run.folder)]
    assert saved[0] == saved[1]


def test_the_training_has_everything_that_checkpoints_store(tiny_run):
    """Otherwise the tests above would prove nothing."""
    optimizer = tiny_run.model.optimizer
    # Some steps were skipped, which is no reason to stop, and the scale grew again.
    assert 10 < optimizer.iterations.numpy() < tiny_training.EPOCHS * tiny_training.STEPS
    rates = [row["learning_rate"] for row in tiny_run.folder.history()]
    assert rates[-1] < rates[0]
    seeds = [layer.seed_generator.state.numpy() for layer in tiny_run.model.layers if hasattr(layer, "seed_generator")]
    assert len(seeds) == 2
    assert all(seed[1] >= tiny_training.EPOCHS * tiny_training.STEPS for seed in seeds)


def test_a_signal_is_answered_after_the_step(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    reported = []
    stop = StopAt("on_train_batch_begin", 8, lambda: os.kill(os.getpid(), signal.SIGTERM))
    stop.stopping = lambda: reported.append("stopping")
    with mentioning(TrainingInterruptedError, "after step 2 of epoch 2."):
        begin(tmp_path, stop)
    assert reported == ["stopping"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_does_not_wait(tmp_path):
    def twice():
        # To this thread, so that the first is taken before the second comes. A shell's background jobs ignore Ctrl-C.
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with mentioning(TrainingInterruptedError, "after epoch 1."):
        begin(tmp_path, StopAt("on_train_batch_begin", 8, twice))


def test_checkpoints_are_written_within_an_epoch_when_due(stopped, tmp_path):
    assert {file.name for file in stopped.checkpoints.glob("epoch-*")} == {
        "epoch-0001.npz",
        "epoch-0001-step-000003.npz",
    }
    # At once, after every step, the last of which is not waited for.
    with pytest.raises(ZeroDivisionError):
        begin(tmp_path / "runs", StopAt("on_train_batch_end", 5, lambda: 1 / 0), checkpoint_minutes=0)
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
def test_a_damaged_checkpoint_is_skipped(damage, stopped):
    newest = stopped.checkpoints / "epoch-0001-step-000003.npz"
    newest.write_bytes(damaged(newest.read_bytes(), damage))
    reported = []
    checkpoint = Checkpoints(stopped.checkpoints).newest(reported.append)
    assert str(checkpoint.position) == "after epoch 1"
    [sentence] = reported
    names(sentence, newest, "damaged", "epoch-0001.npz")
    reported.clear()
    assert Checkpoints(stopped.checkpoints).newest(reported.append).position == checkpoint.position
    assert not reported


def test_a_checkpoint_for_which_memory_lacks_is_not_damaged(monkeypatch, tmp_path):
    newest = tmp_path / "epoch-0001.npz"
    newest.write_bytes(b"large")

    def too_large(file):
        raise MemoryError

    monkeypatch.setattr(files, "_read", too_large)
    with pytest.raises(MemoryError):
        Checkpoints(tmp_path).newest(print)
    assert newest.exists()


def test_any_flipped_bit_of_a_checkpoint_is_noticed(stopped):
    """Headers and the archive's directory too, of which NumPy and zipfile read parts without a check."""
    newest = stopped.checkpoints / "epoch-0001-step-000003.npz"
    contents = newest.read_bytes()
    # Every eighth byte of the last 4,000, which are the directory, and some of the rest.
    places = [*range(-4000, 0, 8), *range(0, len(contents), len(contents) // 100)]
    assert files._read(newest)
    for number, place in enumerate(places):
        flipped = bytearray(contents)
        flipped[place] ^= 1 << number % 8
        newest.write_bytes(flipped)
        with pytest.raises(ValueError, match="checksum"):
            files._read(newest)


def test_other_files_in_the_folder_of_checkpoints_are_ignored(stopped):
    for name in ("epoch-last.npz", "epoch-0009.npz.bak", "damaged-notes.txt", "notes.npz"):
        (stopped.checkpoints / name).write_bytes(b"mine")
    (stopped.checkpoints / "epoch-0007.npz").mkdir()
    (stopped.checkpoints / ".x.partial").mkdir()
    checkpoints = Checkpoints(stopped.checkpoints)
    checkpoints.clear_partial()
    assert [file.name for file in checkpoints.files()] == ["epoch-0001.npz", "epoch-0001-step-000003.npz"]
    assert str(checkpoints.newest([].append).position) == "after step 3 of epoch 2"
    assert (stopped.checkpoints / "damaged-notes.txt").exists()


def test_a_training_resumes_from_the_checkpoint_before(tiny_run, stopped):
    newest = stopped.checkpoints / "epoch-0001-step-000003.npz"
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="epoch-0001.npz"):
        go_on(stopped)
    assert_same(stopped, tiny_run.folder)
    assert {file.name for file in stopped.checkpoints.glob("*.npz")} == {"epoch-0003.npz", "epoch-0004.npz"}


def test_without_a_complete_checkpoint_a_run_does_not_resume(stopped):
    for file in stopped.checkpoints.glob("*.npz"):
        file.write_bytes(b"PK")
    with mentioning(InputError, "epoch-0001-step-000003.npz", "no checkpoint before"):
        go_on(stopped)
    for file in stopped.checkpoints.glob("*.npz"):
        file.unlink()
    with mentioning(InputError, stopped.path, "no checkpoint"):
        go_on(stopped)


def test_other_data_and_recipes_are_rejected(stopped, few_digits):
    with mentioning(InputError, stopped.path, "replaced", "added", "--accept-changes"):
        resume(stopped, stopped.read_recipe()[0], few_digits)
    recipe = replace(stopped.read_recipe()[0], averaging=Averaging(0))
    with mentioning(InputError, "checkpoint", "recipe", "averaging.decay is 0.0 and was 0.8"):
        resume(stopped, recipe, tiny_training.images())
    # Accepted, it is tried, and this one does not fit.
    with mentioning(InputError, "checkpoint", "does not fit"):
        resume(stopped, recipe, tiny_training.images(), accept_changes=True, warn=[].append)
    assert stopped.read_recipe()[0] != recipe


def test_two_processes_do_not_train_one_run(stopped):
    with owned(stopped.path), mentioning(FolderInUseError, stopped.path, str(os.getpid())):
        go_on(stopped)


def test_a_finished_run_can_be_resumed_without_harm(tiny_run, tmp_path):
    folder = RunFolder(shutil.copytree(tiny_run.folder.path, tmp_path / "run"))
    (folder.checkpoints / ".epoch-0004.npz.x.partial").write_bytes(b"cut")
    run = go_on(folder)
    assert_same(folder, tiny_run.folder)
    assert_same_weights(run.model, tiny_run.model)
    assert folder.history() == tiny_run.folder.history()
    assert not list(folder.checkpoints.glob(".*"))


# The last calls in writing a checkpoint, the history and a model.
WRITES = {
    "checkpoint": (zipfile.ZipFile, "writestr", "after epoch 2"),
    "history": (csv.DictWriter, "writerows", "after epoch 1"),
    "best": (keras.Model, "save", "after epoch 1"),
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_full_disk_is_one_sentence(kind, tiny_run, tmp_path, monkeypatch):
    """The third write of a kind fails."""
    owner, name, position = WRITES[kind]
    write, calls = getattr(owner, name), []

    def full(*arguments, **options):
        calls.append(name)
        # Keras' files are zip archives too.
        if len([call for call in calls if call == name]) == (2 if kind == "best" else 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(InputError) as caught:
        patch.setattr(owner, name, full)
        begin(tmp_path, best=4 if kind == "best" else 0)
    [folder] = map(RunFolder, tmp_path.iterdir())
    names(caught.value, folder.path, "disk is full", position)
    if kind == "checkpoint":
        go_on(folder)
        assert_same(folder, tiny_run.folder)


def test_the_best_models_are_saved_as_they_were_validated(tiny_run):
    accuracies = [row["val_main_top1"] for row in tiny_run.folder.history()]
    best = sorted(sorted(range(4), key=lambda epoch: (-accuracies[epoch], epoch))[:2])
    files = sorted(tiny_run.folder.checkpoints.glob("best-*"))
    assert [file.name for file in files] == [f"best-epoch-{epoch + 1:04d}.keras" for epoch in best]
    for file, epoch in zip(files, best, strict=True):
        scores = evaluation.evaluate(evaluation.open_predictor(file), tiny_training.images())
        assert scores.accuracy() == pytest.approx(accuracies[epoch])
