"""What Keras users do by habit works, or is refused before the first step with what to write instead."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.training import Recipe, compile_for, train
from kerascnn.training.assembly import build
from kerascnn.training.callbacks.user_callbacks import check_callbacks
from kerascnn.training.resolution import named_recipe
from kerascnn.training.schedules import EarlyStopping
from support.messages import mentioning, names, refused

PLATEAU = keras.callbacks.ReduceLROnPlateau
CONSTANT = {"name": "constant", "warmup_epochs": 0}


@pytest.fixture(scope="module")
def network():
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=8, name="conv")(pixels))
    return keras.Model(pixels, keras.layers.Dense(10, "softmax", name="fc")(x), name="mine")


def test_a_network_or_a_recipe_by_name():
    assert named_recipe("ResNet-56") == Recipe.for_model("resnet56")
    assert named_recipe("cifar_resnet") == Recipe.load("cifar_resnet")
    with mentioning(InputError, "resnet51"):
        named_recipe("resnet51")
    with mentioning(InputError, "train takes a Recipe", "5", "model="):
        train(5, "digits")


def test_with_values_takes_dicts_and_checks_names():
    recipe = Recipe.load("resnet50").with_values(optimizer={"learning_rate": 0.05}, epochs=3)
    assert (recipe.optimizer.learning_rate, recipe.epochs) == (0.05, 3)
    assert recipe.optimizer.momentum == Recipe.load("resnet50").optimizer.momentum
    for values, parts in [
        ({"epoch": 3}, ("'epoch'", "epochs")),
        ({"optimizer": {"learning_rat": 1}}, ("learning_rat",)),
        ({"optimizer": {"learning_rate": -1.0}}, ("learning_rate",)),
        ({"epochs": "many"}, ("epochs",)),
    ]:
        with mentioning(InputError, *parts):
            recipe.with_values(**values)


@pytest.mark.parametrize(
    ("callback", "schedule", "parts"),
    [
        (PLATEAU(), {}, ("ReduceLROnPlateau", "cosine", "'name': 'plateau'")),
        (PLATEAU(), {"name": "constant", "warmup_epochs": 1}, ("constant", "'warmup_epochs': 0")),
        (keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), {}, ("LearningRateScheduler", "'constant'")),
        (keras.callbacks.EarlyStopping("val_accuracy"), {}, ("EarlyStopping", "'val_accuracy'", "'val_top1'")),
        (keras.callbacks.ModelCheckpoint("a.keras", monitor="acc"), {}, ("ModelCheckpoint", "'acc'", "'top1'")),
        (PLATEAU(monitor="val_acc"), CONSTANT, ("'val_acc'", "'val_top1'")),
        (keras.callbacks.ModelCheckpoint("a.keras", "val_top2"), {}, ("'val_top2'", "not measured", "val_top1")),
        (keras.callbacks.EarlyStopping("val_f1", mode="max"), {}, ("'val_f1'", "not measured")),
        (keras.callbacks.EarlyStopping("seconds"), {}, ("'seconds'", "mode='max' or 'min'")),
        (keras.callbacks.SwapEMAWeights(), {}, ("SwapEMAWeights", "averaging={'decay'")),
        (keras.callbacks.BackupAndRestore("backup"), {}, ("BackupAndRestore", "resume")),
    ],
)
def test_callbacks_that_a_recipe_contradicts_are_refused(callback, schedule, parts, network, few_digits, tmp_path):
    recipe = Recipe.for_model("resnet20").with_values(schedule=schedule or None)
    with mentioning(InputError, *parts):
        train(recipe, few_digits, model=network, callbacks=[callback], runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "callback", [PLATEAU(), keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), keras.callbacks.EarlyStopping()]
)
def test_other_callbacks_are_taken(callback, network):
    check_callbacks([callback], Recipe.for_model("resnet20").with_values(schedule=CONSTANT), network)


@pytest.mark.parametrize("callback", [3, keras.callbacks.EarlyStopping, [PLATEAU()], lambda epoch, logs: None])
def test_what_is_no_callback_is_refused(callback, network):
    with mentioning(InputError, "callbacks", repr(callback)):
        check_callbacks([callback], Recipe(), network)


def test_a_checkpoint_of_a_part_of_the_network_is_refused(network):
    """A fine-tuning after a probe trains upper layers on maps that are computed once."""
    saving = keras.callbacks.ModelCheckpoint("mine.keras")
    with mentioning(InputError, "ModelCheckpoint", "those below", "fine_tuning.hold_out=0"):
        check_callbacks([saving], Recipe.load("finetune"), network)


class Mine(keras.callbacks.Callback):
    monitor, mode = "mine", "auto"

    def on_epoch_end(self, epoch, logs=None):
        logs["mine"] = 1.0


def test_a_users_own_metric_can_be_monitored(network):
    for mine in (Mine(), keras.callbacks.LambdaCallback()):
        check_callbacks([mine, keras.callbacks.EarlyStopping("mine", mode="min")], Recipe(), network)
        with mentioning(InputError, "'mine'", "mode="):
            check_callbacks([mine, keras.callbacks.EarlyStopping("mine")], Recipe(), network)


def test_what_a_users_own_callback_means_by_mode_is_its_own(network):
    mine = Mine()
    for mine.monitor in ("mine", "val_top1"):
        check_callbacks([mine], Recipe(), network)
        assert mine.mode == "auto"


def test_what_is_no_recipe_is_refused():
    for recipe in (None, 3, ["resnet20"]):
        with mentioning(InputError, "Recipe", repr(recipe)):
            train(recipe, "digits")


def test_numbers_of_numpy_are_numbers_of_a_recipe():
    recipe = Recipe().with_values(epochs=np.int64(3), optimizer={"learning_rate": np.float64(0.5)})
    assert (recipe.epochs, recipe.optimizer.learning_rate, type(recipe.epochs)) == (3, 0.5, int)


def two_heads():
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    heads = {name: keras.layers.Dense(3, "softmax", name=f"{name}_fc")(x) for name in ("aux_4a", "main")}
    return keras.Model(pixels, heads)


@pytest.mark.parametrize(
    ("task", "measured", "best"),
    [
        ("single-label", "val_main_top1", "max"),
        ("single-label", "aux_4a_loss", "min"),
        ("multi-label", "val_main_map", "max"),
        ("multi-label", "val_main_macrof1", "max"),
    ],
)
def test_monitors_of_several_classifiers(task, measured, best):
    """Keras looks a metric's direction up by a name without that of the classifier, and would find none."""
    recipe, model = Recipe(task=task), two_heads()
    compile_for(model, recipe, steps_per_epoch=1)
    callback = keras.callbacks.ModelCheckpoint("a.keras", monitor=measured, save_best_only=True)
    check_callbacks([callback], recipe, model)
    assert callback.mode == best
    main = {"single-label": "'val_main_top1'", "multi-label": "'val_main_map'"}[task]
    with mentioning(InputError, main):
        check_callbacks([keras.callbacks.EarlyStopping("val_accuracy")], recipe, model)


def test_training_in_python_shows_its_progress_and_stops_early(network, few_digits, tmp_path, capsys):
    recipe = Recipe.for_model("resnet20").with_values(
        schedule=CONSTANT, optimizer={"learning_rate": 1e-9}, early_stopping=2, epochs=9
    )
    callbacks = [keras.callbacks.LearningRateScheduler(lambda epoch: 1e-9)]
    run = train(recipe, few_digits, model=network, runs=tmp_path, callbacks=callbacks)
    # The first epoch is the best one, and two have not been better.
    assert len(run.folder.history()) == 3
    shown = capsys.readouterr().err
    names(shown, "epoch   1/9", "epoch   3/9", "val top-1")


def test_early_stopping_depends_on_the_accuracies_alone():
    for accuracies, stops in [((0.5, 0.6), False), ((0.6, 0.5), False), ((0.6, 0.5, 0.6), True), ((0.6,), False)]:
        resumed, straight = SimpleNamespace(stop_training=False), SimpleNamespace(stop_training=False)
        callback = EarlyStopping(2, accuracies)
        callback.set_model(resumed)
        callback.on_train_begin()
        callback = EarlyStopping(2)
        callback.set_model(straight)
        for epoch, accuracy in enumerate(accuracies):
            callback.on_epoch_end(epoch, {"val_top1": accuracy})
        assert (resumed.stop_training, straight.stop_training) == (stops, stops)


def test_options(command):
    shown = command("train", "--print-recipe", "--early-stopping", 3, "--plateau", 2).out
    names(shown, "early_stopping: 3", "name: plateau", "patience: 2")
    refused(command("train", "--early-stopping", "soon"), "--early-stopping")


def test_channels_first_in_keras_json_does_not_reach_a_training():
    keras.config.set_image_data_format("channels_first")
    try:
        model = build(Recipe.for_model("resnet20").with_values(image_size=16), ["a", "b"])
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    assert model(np.zeros((1, 16, 16, 3), "float32")).shape == (1, 2)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_integer_labels(network, shape):
    images = np.random.default_rng(0).uniform(size=(20, 32, 32, 3)).astype("float32")
    labels = np.arange(20) % 10
    recipe = Recipe.for_model("resnet20").with_values(label_smoothing=0.1)
    compile_for(network, recipe, steps_per_epoch=2, labels="integer")
    measured = network.evaluate(images, labels.reshape(shape), verbose=0, return_dict=True)
    compile_for(network, recipe, steps_per_epoch=2)
    expected = network.evaluate(images, keras.utils.to_categorical(labels, 10), verbose=0, return_dict=True)
    assert measured == pytest.approx(expected, rel=1e-5)
    with mentioning(InputError, "integers"):
        compile_for(network, recipe.with_values(task="multi-label"), steps_per_epoch=2, labels="integer")


@pytest.mark.parametrize(
    "option", [("--epochs", 2), ("--epochs=2",), ("--set", "seed=1"), ("--limit", 5), ("--out", ".")]
)
def test_resume_refuses_what_it_cannot_change(command, tmp_path, option):
    outcome = command("train", "--resume", tmp_path, *option)
    refused(outcome, option[0].partition("=")[0], "cannot be changed", "--weights")


def test_resume_takes_what_may_differ(command, tmp_path):
    outcome = command("train", "--resume", tmp_path, "--keep-best", 2, "--devices=cpu", "--checkpoint", 1, "--json")
    refused(outcome, "is not a run folder")
    assert "is not a run folder" in command("train", "--resume", tmp_path, "--debug").err
