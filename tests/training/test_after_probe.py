"""Fine-tuning after a probe: how deep, on which images, which epoch, and what is left in the run folder."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.applications import ResNet20
from kerascnn.applications.deep import functional
from kerascnn.data.dataset import ArrayExamples, FileExamples
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.keras_internals import weight_averages
from kerascnn.training import FineTuning, RunFolder, Schedule, TrainingInterruptedError, resume, train
from kerascnn.training.callbacks.weight_averaging import AveragedWeights
from kerascnn.training.fine_tuning import after_probe
from kerascnn.training.fine_tuning.after_probe import read
from kerascnn.training.fine_tuning.cached_maps import cached_maps, inference, shuffled_batches
from kerascnn.training.fine_tuning.depth import FREE, LEAST_EPOCHS, choose_depth
from kerascnn.training.fine_tuning.hold_out import HoldOut, hold_out, kept_epoch
from kerascnn.training.schedules import Plateau
from kerascnn.training.strategy import choose_devices
from support import tiny_fine_tuning, tiny_training
from support.messages import mentioning
from support.runs import StopAfter, assert_same, assert_same_weights, newest

# How deep


@pytest.fixture(scope="module")
def network():
    return ResNet20(classes=3)


# 40,551,000 multiply-adds or so: He et al., section 4.2, without its 10th class.
HEAVY = 10 * round(FREE / 40.55e6)


@pytest.mark.parametrize(("passes", "cached"), [(8.0, True), (8.0, False), (2.0, True)])
def test_what_is_trained_fits_the_work_that_is_allowed(network, passes, cached):
    tuning = FineTuning(passes=passes, tuned_views=3)
    found = choose_depth(network, tuning, HEAVY, 200, 30, can_cache=cached, limited=True)
    once, each = (4 * found.share, 0) if found.cached else (0, found.share)
    assert found.passes == pytest.approx(once + found.epochs * (each + 3 * (1 - found.share)))
    assert found.epochs >= LEAST_EPOCHS and found.start
    # The maps of so many images are larger than what is kept, except high up in the network.
    if found.passes > passes:
        assert not cached or passes < 4


def test_few_steps_an_epoch_call_for_more_epochs(network):
    """There are 250 steps at least, whatever the work; of many steps an epoch, six epochs."""
    tuning = FineTuning(passes=8.0, tuned_views=3)
    epochs = {
        steps: choose_depth(network, tuning, HEAVY // 10, steps, 40, can_cache=True, limited=True).epochs
        for steps in (10, 33, 400)
    }
    assert epochs[10] >= 25 and epochs[33] >= 8 and epochs[400] >= LEAST_EPOCHS


def test_few_images_and_other_machines_are_not_limited(network):
    tuning = FineTuning(passes=2.0)
    for images, limited in ((100, True), (HEAVY, False)):
        found = choose_depth(network, tuning, images, 3, 30, can_cache=True, limited=limited)
        assert (found.start, found.share, found.cached, found.epochs) == ("", 0.0, False, 30)
    assert choose_depth(network, tuning, 100, 3, 4, can_cache=True, limited=True).epochs == 4
    # 800 steps are enough.
    assert choose_depth(network, tuning, 100, 40, 30, can_cache=True, limited=True).epochs == 20


# Images that are held out


@pytest.mark.parametrize("counts", [(100, 90, 70), (240, 17, 2)])
def test_a_share_of_every_class_is_held_out(counts):
    labels = np.repeat(range(3), counts)
    examples = ArrayExamples(np.zeros((len(labels), 4, 4, 3), np.uint8), labels)
    part, held = hold_out(examples, 0.2, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate([part, held])), np.arange(len(labels)))
    for number, count in enumerate(counts):
        assert abs((labels[held] == number).sum() - count / 5) <= 1 and (labels[part] == number).any()
    again, other = hold_out(examples, 0.2, seed=1), hold_out(examples, 0.2, seed=2)
    np.testing.assert_array_equal(again[1], held)
    assert not np.array_equal(other[1], held)


def test_groups_are_held_out_whole_and_too_few_images_are_not():
    labels, groups = np.tile([0, 1], 30), np.repeat(np.arange(15, dtype=np.uint64), 4)
    texts, plain = np.array([f"{number}.jpg" for number in range(60)]), np.ones(60, bool)
    part, held = hold_out(FileExamples(texts, plain, labels, groups), 0.2, seed=0)
    assert not set(groups[part]) & set(groups[held]) and 4 <= len(held) <= 20
    few = ArrayExamples(np.zeros((9, 4, 4, 3), np.uint8), labels[:9])
    assert [len(indices) for indices in hold_out(replace(few, labels=labels[:7]), 0.2, seed=0)] == [7, 0]
    tags = replace(few, images=np.zeros((300, 4, 4, 3), np.uint8), labels=np.ones((300, 2), np.uint8))
    assert len(hold_out(tags, 0.2, seed=0)[1]) == 60


@pytest.mark.parametrize(("images", "held"), [(40, 10), (100, 25), (240, 48), (1000, 150)])
def test_of_few_images_a_larger_share_is_held_out(images, held):
    """A quarter, for 50 images to choose by, and from 334 images on the share; in whole folds."""
    examples = ArrayExamples(np.zeros((images, 1, 1, 3), np.uint8), np.arange(images) % 2)
    assert len(hold_out(examples, 0.15, seed=0)[1]) == pytest.approx(held, abs=7)


# Maps that are computed once


@pytest.fixture(scope="module")
def maps(network, tmp_path_factory):
    """Of 20 images, with their numbers as labels, at the end of ResNet-20's stage of stride 2."""
    tensor = network.get_layer("conv3_3_relu2").output if "conv3_3_relu2" in names(network) else cut(network)
    images = np.random.default_rng(0).normal(size=(20, 32, 32, 3)).astype("float32")
    batches = [(images[:12], np.eye(20)[:12]), (images[12:], np.eye(20)[12:])]
    below, above = functional(network.inputs[0], tensor), functional(tensor, network.output)
    file = tmp_path_factory.mktemp("maps") / "view"
    return images, below, above, cached_maps(inference(below), below.output, batches, file)


def names(model):
    return [layer.name for layer in model.layers]


def cut(model):
    from kerascnn.applications.stages import features

    return features(model, ["C1"]).output["C1"]


def test_maps_give_what_images_give(network, maps):
    images, _, above, found = maps
    rows = np.concatenate([part for part, _ in found.in_order()])
    np.testing.assert_allclose(above(rows), network(images), atol=1e-5)
    # The layers above are the network's own.
    assert {id(layer) for layer in above.layers[1:]} <= {id(layer) for layer in network.layers}


def test_maps_on_a_full_disk(network):
    below = functional(network.inputs[0], cut(network))
    batches = [(np.zeros((1, 32, 32, 3), "float32"), np.eye(3, dtype="float32")[:1])]
    with mentioning(InputError, "/dev/full cannot be written"):
        cached_maps(inference(below), below.output, batches, Path("/dev/full"))


def test_an_epoch_has_every_image_once_and_begins_anywhere(maps):
    found = maps[3]

    def drawn(epochs, start_step=0):
        batches = shuffled_batches([found, found], 6, 5, epochs, start_step)
        assert int(batches.cardinality()) == 3 * len(epochs) - start_step
        return [labels.numpy().argmax(axis=1) for _, labels in batches]

    batches = drawn(range(1, 3))
    epochs = [np.concatenate(batches[:3]), np.concatenate(batches[3:])]
    assert all(len(set(numbers)) == 18 for numbers in epochs)
    assert not np.array_equal(*epochs)
    for ours, theirs in zip(drawn(range(2, 3), 1), batches[4:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


# The epoch that is kept


@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [
        # With 100 images the standard error of 0.7 is 0.046, of 0.5 it is 0.05.
        ([0.5, 0.7, 0.66, 0.65], 2),
        ([0.5, 0.46, 0.2], 1),
        ([0.7, 0.1, 0.8], 2),
        ([], -1),
    ],
)
def test_the_last_epoch_that_is_not_worse(accuracies, kept):
    assert kept_epoch(accuracies, 100) == kept


def test_a_training_keeps_its_best_and_stops(tmp_path):
    """A constant model, whose accuracy on the held-out images its labels decide, epoch by epoch."""
    pixels = keras.Input((1,))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", name="fc")(pixels))
    model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.CategoricalAccuracy(name="top1")])
    held = tf.data.Dataset.from_tensors((np.ones((4, 1), "float32"), np.eye(2, dtype="float32")[[0, 0, 0, 1]]))
    # Of 4 images, 0.25 is more than a standard error below 0.75.
    keeper = HoldOut(
        model, held, np.array([0, 0, 0, 1]), lambda epoch: tmp_path / f"best-epoch-{epoch:04d}.keras", [], patience=2
    )
    keeper.set_model(model)
    stopped = []
    # To the second class, 1 of 4; to the first, 3 of 4; and twice to the second.
    for epoch, bias in enumerate(([0.0, 9.0], [1.0, 0.0], [0.0, 9.0], [0.0, 9.0])):
        model.layers[-1].set_weights([np.zeros((1, 2)), np.array(bias)])
        model.stop_training, logs = False, {}
        keeper.on_test_end()
        keeper.on_epoch_end(epoch, logs)
        stopped.append(model.stop_training)
        assert logs["top1_held_out"] == (0.75 if bias[0] else 0.25)
    assert stopped == [False, False, False, True]
    [file] = tmp_path.iterdir()
    assert file.name == "best-epoch-0002.keras"
    np.testing.assert_array_equal(keras.saving.load_model(file, compile=False).layers[-1].bias, [1.0, 0.0])


def test_averaged_weights_are_kept(tmp_path):
    pixels = keras.Input((1,))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", name="fc")(pixels))
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=[keras.metrics.CategoricalAccuracy(name="top1")])
    images = tf.data.Dataset.from_tensors((np.ones((4, 1), "float32"), np.eye(2, dtype="float32")[[0, 0, 0, 1]]))
    keeper = HoldOut(
        model, images, np.array([0, 0, 0, 1]), lambda epoch: tmp_path / f"best-epoch-{epoch:04d}.keras", [], patience=0
    )
    history = model.fit(
        images.repeat(5), validation_data=images, callbacks=[keeper, AveragedWeights([])], epochs=2, verbose=0
    )
    assert history.history["loss_held_out"] == history.history["val_loss"]
    stored = keras.saving.load_model(tmp_path / "best-epoch-0002.keras", compile=False)
    np.testing.assert_array_equal(stored.layers[-1].kernel, weight_averages(optimizer)[0])


# Whole trainings


@pytest.fixture(scope="module")
def tiny():
    """Has every recipe train a network of two convolutions, and little work be allowed."""
    with tiny_fine_tuning.tiny():
        yield


@pytest.fixture(scope="module")
def recipe(tiny, tmp_path_factory):
    return tiny_fine_tuning.recipe(tmp_path_factory.mktemp("weights") / "before.keras")


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    return train(recipe, tiny_training.images(), runs=tmp_path_factory.mktemp("whole"), limit=120, verbose=0)


def test_what_a_run_says_of_its_choice(whole):
    chosen, history = read(whole.folder), whole.folder.history()
    facts = whole.folder.read_recipe()[3]
    assert (chosen["depth"]["cached"], chosen["depth"]["start"]) == (True, "relu1")
    assert chosen["held_out"] + chosen["trained_on"] == len(tiny_training.images().training)
    assert len(history) == 3 and sum(row["exported"] for row in history) == 1
    exported = next(number for number, row in enumerate(history) if row["exported"])
    best = history[1 + kept_epoch([row["top1_held_out"] for row in history[1:]], chosen["held_out"])]
    losses = [
        float(loss)
        for loss in re.search(r"losses of ([.0-9]+) and ([.0-9]+) on", facts["probe_and_fine_tuned"]).groups()
    ]
    assert losses[0] == pytest.approx(chosen["probe"]["calibrated_loss_held_out"], abs=5e-4)
    assert facts["exported"] == ("fine-tuned" if losses[1] < losses[0] else "probe")
    tuned = facts["exported"] == "fine-tuned"
    assert history[exported] == (best if tuned else history[0])
    assert f"probe {history[0]['val_top1']:.2%}" in facts["probe_and_fine_tuned"]
    assert f"fine-tuned {best['val_top1']:.2%} (" in facts["probe_and_fine_tuned"]
    assert not (whole.folder.path / "maps").exists()


def test_the_model_is_the_better_one(whole):
    """What the run's file, its model in memory and the history say is one accuracy."""
    images, history = tiny_training.images(), whole.folder.history()
    [expected] = [row["val_top1"] for row in history if row["exported"]]
    stored = keras.saving.load_model(whole.folder.model_file, compile=False)
    assert_same_weights(stored, whole.model)
    batches = evaluation_batches(images.validation, classes=10, size=16, crop_fraction=0.875, batch_size=8)
    right = [np.argmax(stored(views), 1) == np.argmax(labels, 1) for views, labels in batches]
    assert np.concatenate(right).mean() == pytest.approx(expected)
    assert all(layer.trainable for layer in stored.layers)


def test_layers_below_stay_as_they_were(whole, recipe):
    before = keras.saving.load_model(recipe.fine_tuning.weights, compile=False)
    for name in ("conv1", "conv1_bn"):
        ours, theirs = (model.get_layer(name).get_weights() for model in (whole.model, before))
        assert all(map(np.array_equal, ours, theirs)), name
    with np.load(newest(whole.folder)) as stored:
        # What was trained: the second convolution, its normalization and the classifier.
        arrays = [stored[name] for name in stored.files if name.startswith("model/")]
    assert [array.shape for array in arrays[:2]] == [(3, 3, 8, 8), (8,)]
    assert not np.array_equal(arrays[0], before.get_layer("conv2").kernel)
    np.testing.assert_array_equal(arrays[1], before.get_layer("conv2_bn").gamma)


def pressed(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_stopped_in_every_phase_and_resumed_it_ends_the_same(recipe, whole, tmp_path, monkeypatch):
    images = tiny_training.images()
    with monkeypatch.context() as patched, pytest.raises(TrainingInterruptedError) as caught:
        # While the classifier is solved for the images that are trained on.
        patched.setattr(after_probe, "cross_validated", pressed)
        train(recipe, images, runs=tmp_path, limit=120, verbose=0)
    folder = caught.value.folder

    def again(**options):
        return resume(folder, folder.read_recipe()[0], images, verbose=0, **options)

    for steps, words in ((2, "step 2 of epoch 2"), (4, "step 2 of epoch 3")):
        with mentioning(TrainingInterruptedError, words):
            again(callbacks=[StopAfter(steps)])
    run = again()
    assert_same(folder, whole.folder)
    assert_same_weights(run.model, whole.model)
    assert read(folder) == read(whole.folder)


@pytest.mark.slow
def test_killed_in_every_phase_and_resumed_it_ends_the_same(recipe, whole, forks, tmp_path):
    """While features are computed there is no run yet; the same command begins it."""
    runs, output = tmp_path / "runs", tmp_path / "output.txt"
    cores = ",".join(map(str, os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ""
    for phase in tiny_fine_tuning.PHASES:
        arguments = runs, tmp_path / "before.keras", phase, cores
        fork = forks.start("support.tiny_fine_tuning:until_killed", *arguments, output=output)
        fork.wait_for(lambda: "there" in fork.said())  # noqa: B023
        assert fork.kill() == -signal.SIGKILL
        assert bool(list(runs.glob("*/recipe.yaml"))) == (phase != "features")
    [folder] = (RunFolder.open(file.parent) for file in runs.glob("*/recipe.yaml"))
    stored = folder.read_recipe()[0]
    assert replace(stored, fine_tuning=replace(stored.fine_tuning, weights="")) == replace(
        whole.recipe, fine_tuning=replace(whole.recipe.fine_tuning, weights="")
    )
    run = resume(folder, stored, tiny_training.images(), verbose=0)
    assert_same(folder, whole.folder)
    assert_same_weights(run.model, whole.model)
    assert read(folder) == read(whole.folder)
    assert not (folder.path / "maps").exists()


def test_learning_rates_follow_from_steps_and_features(recipe, whole):
    """The recipe's is for 32 steps, and there are four in each of two epochs."""
    chosen = read(whole.folder)
    assert chosen["trained_on"] // recipe.batch_size == 4
    assert chosen["learning_rate"] == pytest.approx(2 * recipe.optimizer.learning_rate)
    assert whole.recipe.optimizer.learning_rate == recipe.optimizer.learning_rate
    assert 0 < chosen["head_lr"] <= 1


@pytest.mark.parametrize("probe", [True, False])
def test_no_probe_or_one_epoch_leaves_nothing_to_choose(recipe, tmp_path, probe):
    changed = replace(recipe, epochs=1, fine_tuning=replace(recipe.fine_tuning, probe=probe))
    run = train(changed, tiny_training.images(), runs=tmp_path, limit=120, verbose=0)
    assert len(run.folder.history()) == 1
    assert run.folder.model_file.is_file() and not (run.folder.path / "fine_tuning.json").exists()
    # A probe takes no steps.
    assert (run.model.optimizer.iterations == 0) == probe


@pytest.mark.slow
def test_several_classes_per_image(recipe, tmp_path):
    """Of the whole network, whose model is compiled for its probe, for the range test and for its epochs."""

    def tagged(examples):
        return replace(examples, labels=np.stack([examples.labels > 4, examples.labels % 2], axis=1).astype(np.uint8))

    images = tiny_training.images()
    tags = {"training": tagged(images.training), "validation": tagged(images.validation)}
    whole = replace(recipe, epochs=2, fine_tuning=replace(recipe.fine_tuning, passes=0))
    run = train(whole, replace(images, class_names=("high", "odd"), **tags), runs=tmp_path, limit=120, verbose=0)
    rows = run.folder.history()
    assert read(run.folder)["depth"]["start"] == ""
    assert all(0 < row["val_map"] <= 1 and 0 < row["map_held_out"] <= 1 for row in rows)
    assert all(0 < row["calibrated_loss_held_out"] < 2 for row in rows)
    assert run.model.output_shape == (None, 2)


def test_the_held_out_images_choose_the_learning_rate(recipe):
    """Beside them, the validation images decide nothing."""
    wanted = replace(recipe, schedule=Schedule("plateau", factor=0.5, patience=1))
    plateau = Plateau(wanted, accuracies=[0.5])
    plateau.set_model(mock.Mock())
    for held_out, validation, reduced in ((0.6, 0.4, 0), (0.55, 0.9, 1), (0.7, 0.3, 1)):
        plateau.on_epoch_end(1, {"val_top1": validation, "top1_held_out": held_out, "loss": 1.0})
        assert plateau.model.optimizer.learning_rate == pytest.approx(wanted.peak_learning_rate * 0.5**reduced)


def test_several_devices_are_refused(recipe, tmp_path):
    devices = choose_devices("cpu")
    with (
        mock.patch.object(type(devices), "replicas", 2),
        mentioning(InputError, "fine_tuning.hold_out", "one device", "gpu:0"),
    ):
        train(recipe, tiny_training.images(), runs=tmp_path, devices=devices, verbose=0)
