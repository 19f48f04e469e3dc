"""Training by a teacher's softened probabilities, and by hints of its maps before."""

import functools
import json
import shutil
from dataclasses import replace
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.applications import registry
from kerascnn.complexity.analysis import without_values
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.training import Recipe, RunConfig, RunFolder, TrainingInterruptedError, compile_for, resume, train
from kerascnn.training.assembly import build
from kerascnn.training.distillation import soft_targets
from kerascnn.training.distillation.hints import learner, paired, stage_recipe
from kerascnn.training.distillation.soft_targets import logits_of
from kerascnn.training.distillation.teacher import (
    check_teacher,
    describe_teacher,
    load_teacher,
    seen_by,
    with_teacher,
)
from kerascnn.training.losses import SoftLabels, SoftTargets
from kerascnn.training.strategy import WorkerLostError
from support import tiny_training
from support.messages import mentioning
from support.pages import Page, run_line
from support.runs import StopAfter, assert_same, assert_same_weights, rows

CLASSES = list("0123456789")
STUDENT, TEACHER = np.array([[2.0, 1.5, -1.0], [0.0, 3.0, 0.5]]), np.array([[1.0, 4.0, 0.0], [-2.0, 1.0, 1.5]])


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_softened_cross_entropy_and_its_gradient():
    loss = SoftTargets(temperature=3.0)
    targets, answers = softmax(TEACHER / 3), softmax(STUDENT / 3)
    expected = -(targets * np.log(answers)).sum(axis=1).mean()
    np.testing.assert_allclose(loss(TEACHER, STUDENT), expected, rtol=1e-6)
    logits = tf.Variable(STUDENT, dtype="float32")
    with tf.GradientTape() as tape:
        value = loss(TEACHER, logits)
    np.testing.assert_allclose(tape.gradient(value, logits), (answers - targets) / 3 / len(targets), rtol=1e-5)


def test_softened_labels():
    targets, answers = (1 / (1 + np.exp(-logits / 2)) for logits in (TEACHER, STUDENT))
    expected = -(targets * np.log(answers) + (1 - targets) * np.log(1 - answers)).sum(axis=1).mean()
    np.testing.assert_allclose(SoftLabels(temperature=2.0)(TEACHER, STUDENT), expected, rtol=1e-6)


@pytest.mark.parametrize("several", [False, True])
def test_logits_are_those_before_the_activation(several):
    logits = keras.ops.convert_to_tensor(STUDENT, "float32")
    activation = keras.activations.sigmoid if several else keras.activations.softmax
    made = activation(logits)
    np.testing.assert_array_equal(logits_of(made, several), logits)
    # Of another function's probabilities, those that give the same.
    again = logits_of(keras.ops.convert_to_tensor(np.array(made)), several)
    np.testing.assert_allclose(activation(again), made, rtol=1e-5)


def student(**values) -> Recipe:
    return tiny_training.steady_recipe(epochs=2, batch_size=16, **values)


def leave_teacher(folder, recipe, classes=CLASSES) -> RunFolder:
    """A run that came to its end, of a network as it was drawn."""
    folder = RunFolder(folder)
    folder.path.mkdir(parents=True)
    keras.utils.set_random_seed(11)
    build(recipe, classes).save(folder.model_file)
    folder.write_recipe(recipe, "digits", 120, {"classes": classes}, RunConfig())
    folder.history_file.write_text("epoch,val_main_top1\n0,0.5\n1,0.875\n")
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A teacher for images of 12 pixels, with an auxiliary classifier; its maps are as small as if it were trained."""
    recipe = student().with_values(image_size=12, pixels={"std": 255.0})
    with tiny_training.tiny_networks():
        return leave_teacher(tmp_path_factory.mktemp("taught") / "teacher", recipe).path


@pytest.fixture
def plain():
    """Has every recipe train the tiny network without dropout."""
    with mock.patch.object(registry, "create", functools.partial(tiny_training.network, dropout=0.0)):
        yield


IMAGES, ONE_HOT = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32"), np.eye(10)[[3, 1, 4, 5]]


def test_the_loss_of_a_step(plain, teacher):
    settings = {"temperature": 2.0, "weight": 3.0, "final_weight": 1.0, "label_weight": 0.5}
    recipe = with_teacher(student(auxiliary_heads={"use": False}, distillation=settings), teacher)
    model = build(recipe, CLASSES)
    compile_for(model, recipe, steps_per_epoch=10)
    answers = np.array(model(IMAGES, training=True))
    of_labels = -(ONE_HOT * np.log(answers)).sum(axis=1).mean()
    taught = keras.saving.load_model(teacher / "model.keras", compile=False)
    before = taught.get_weights()
    # Without dropout; a power of a probability is a softmax of its logit, divided.
    small = keras.ops.image.resize(IMAGES, (12, 12))
    targets, soft = (p**0.5 / (p**0.5).sum(axis=1, keepdims=True) for p in (np.array(taught(small)["main"]), answers))
    of_teacher = -(targets * np.log(soft)).sum(axis=1).mean()
    for steps, weight in ((0, 3.0), (5, 2.5), (20, 1.0), (99, 1.0)):
        model.optimizer.iterations.assign(steps)
        loss = model.compute_loss(IMAGES, ONE_HOT, model(IMAGES, training=True))
        np.testing.assert_allclose(loss, 0.5 * of_labels + weight * of_teacher, rtol=1e-5)
    loss = model.compute_loss(IMAGES, ONE_HOT, answers, training=False)
    np.testing.assert_allclose(loss, of_labels, rtol=1e-5)
    for ours, theirs in zip(before, taught.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_teacher_sees_its_own_size_and_channels():
    gray, color = (keras.Sequential([keras.Input((8, 8, one)), keras.layers.ReLU()]) for one in (1, 3))
    few = IMAGES[:, ::2, ::2]
    np.testing.assert_allclose(seen_by(gray, few), few @ np.array([[0.299], [0.587], [0.114]]), rtol=1e-4)
    # To the bit as the pipeline makes an image gray.
    for image, seen in zip(few, seen_by(gray, few), strict=True):
        np.testing.assert_array_equal(with_channels(tf.constant(image), 1), seen)
    halved = IMAGES.reshape(4, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(seen_by(color, IMAGES), halved, rtol=1e-5)
    assert seen_by(color, IMAGES[..., :1]).shape == (4, 8, 8, 3)


def network(size, filters):
    """Maps of a size from images of 16 pixels, behind ReLU and maxout of two."""
    pixels = keras.Input((16, 16, 3), name="pixels")
    x = keras.layers.Conv2D(filters, 17 - size, activation="relu", name="conv1")(pixels)
    pieces = [keras.layers.Conv2D(filters, 1, name=f"conv2_{number}")(x) for number in (1, 2)]
    x = keras.layers.MaxPooling2D(2, name="pool2")(keras.layers.Maximum(name="conv2")(pieces))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(pixels, keras.layers.Dense(3, "softmax", name="predictions")(x), name=f"net{size}")


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        ("conv3=conv1", ("student", "net8", "'conv3'", "conv1")),
        ("conv1=cnov2", ("teacher", "net6", "'cnov2'", "conv2")),
        ("pool2=conv1", ("pool2", "(4, 4)", "conv1", "(6, 6)", "lower layer")),
        ("conv1=features", ("conv1=features", "(8, 8, 4)", "(5,)")),
        ("pixels=conv1", ("pixels", "no weights", "higher layer")),
    ],
)
def test_hints_that_do_not_fit(hint, words):
    with mentioning(InputError, *words):
        paired(network(8, 4), network(6, 5), dict([hint.split("=")]))


def test_regressors_have_the_hints_shape_and_nonlinearity():
    """The kernel is N - n + 1 for maps of N and n; ReLU where the hint has it, and of maxout as many pieces."""
    names, taught = ("conv1", "pool2", "features"), network(6, 5)
    recipe = stage_recipe(student(distillation={"hints": dict(zip(names, names, strict=True))}))
    model = learner(network(8, 4), taught, recipe, steps_per_epoch=1)
    assert [tuple(output.shape[1:]) for output in model.outputs] == [(6, 6, 5), (3, 3, 5), (5,)]
    relu, piece = model.get_layer("hint_1_1"), model.get_layer("hint_2_2")
    assert relu.activation is keras.activations.relu and relu.kernel_size == (3, 3)
    assert piece.activation is keras.activations.linear and piece.kernel_size == (2, 2)
    assert isinstance(model.get_layer("hint_2"), keras.layers.Maximum)
    hints = keras.Model(taught.input, [taught.get_layer(name).output for name in names])(IMAGES)
    differences = [np.array(hint) - np.array(guess) for hint, guess in zip(hints, model(IMAGES), strict=True)]
    expected = sum(np.mean(np.square(difference)) / 2 for difference in differences)
    np.testing.assert_allclose(model.compute_loss(IMAGES, None, model(IMAGES)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["fitnet1", "fitnet2", "fitnet3", "fitnet4"])
def test_the_published_stages_of_fitnets(name):
    """The authors' regressor: maxout with two pieces, of 8 - 7 + 1 by 2 pixels for Maxout's maps of 7 x 7."""
    settings = Recipe.load("fitnet").distillation
    numbers = settings.temperature, settings.weight, settings.final_weight, settings.decay_epochs
    assert numbers == (3, 4, 1, 400)
    student, teacher = without_values(lambda: [registry.create(one) for one in (name, "maxout")])
    [pair] = paired(student, teacher, settings.hints)
    assert pair.kernel == (2, 2) and pair.hint.shape[1:] == (7, 7, 192)


def test_equal_shapes_need_no_regressor():
    recipe = stage_recipe(student(distillation={"hints": {"conv1": "conv1"}}))
    model = learner(network(8, 4), network(8, 4), recipe, steps_per_epoch=1)
    assert [layer.name for layer in model.layers if layer.weights] == ["conv1"]


def test_teachers_that_do_not_fit(plain, teacher, tmp_path):
    data = tiny_training.images()
    other = leave_teacher(tmp_path / "other", student(), [*CLASSES[1:], "zebra"]).path
    with mentioning(InputError, str(other), "lacks 0", "also has zebra"):
        check_teacher(with_teacher(student(), other), data)
    turned = leave_teacher(tmp_path / "turned", student(), CLASSES[::-1]).path
    with mentioning(InputError, str(turned), "order"):
        check_teacher(with_teacher(student(), turned), data)
    several = leave_teacher(tmp_path / "several", student(task="multi-label")).path
    with mentioning(InputError, str(several), "any number of classes", "one class"):
        check_teacher(with_teacher(student(), several), data)
    network(8, 4).save(tmp_path / "mine.keras")
    with mentioning(InputError, "mine.keras", "classes", "kerascnn"):
        check_teacher(with_teacher(student(), tmp_path / "mine.keras"), data)
    fold = replace(data, options=replace(data.options, fold=(1, 5)))
    with mentioning(InputError, "fold", "teacher"):
        check_teacher(with_teacher(student(), teacher), fold)
    (tmp_path / "text.keras").write_text("text")
    with mentioning(InputError, "text.keras", "damaged"):
        check_teacher(with_teacher(student(), tmp_path / "text.keras"), data)


def test_the_line_about_a_teacher(plain, teacher):
    recipe = with_teacher(student(), teacher, {"relu1": "pool"})
    line = describe_teacher(recipe, heads=True)
    for part in (
        str(teacher),
        "googlenet",
        "87.50%",
        "temperature 3",
        "4 to 1",
        "12 x 12",
        "main one",
        "relu1 from its pool",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--hints", "conv1=conv1"), ("--teacher",)),
        (("--set", "distillation.temperature=2"), ("--teacher",)),
        (("--teacher", "TEACHER", "--hints", "conv1"), ("STUDENT_LAYER=TEACHER_LAYER", "'conv1'")),
        (("--teacher", "TEACHER", "--hints", "a=b", "--hints", "a=c"), ("a=b", "a=c", "leave out one")),
        (("--teacher", "TEACHER", "--set", "distillation.hints={a: b, a: c}"), ("'a' twice",)),
        (("--teacher", "nowhere"), ("there is no teacher at nowhere",)),
        (("--teacher", "nowhere@best"), ("no run", "nowhere")),
        (("--teacher", "TEACHER", "--weights", "imagenet", "--model", "resnet50"), ("probe", "teacher")),
        (("--teacher", "TEACHER", "--set", "distillation.temperature=0"), ("distillation.temperature", "above 0")),
        (
            (
                "--teacher",
                "TEACHER",
                "--hints",
                "a=b",
                "--weights",
                "imagenet",
                "--model",
                "resnet50",
                "--recipe",
                "resnet_small",
            ),
            ("hints", "imagenet"),
        ),
    ],
)
def test_commands_that_contradict_themselves(command, teacher, arguments, words):
    arguments = [str(teacher) if one == "TEACHER" else one for one in arguments]
    outcome = command("train", *arguments)
    assert outcome.status == 2
    for word in words:
        assert word in outcome.err


class Stop(StopAfter):
    """Presses Ctrl-C in a stage of hints too, where only callbacks that show the progress are called."""

    def say(self, text):
        pass


@pytest.fixture(scope="module")
def hinted(teacher):
    """A recipe with 2 epochs of hints and 2 of the whole network, of 6 steps."""
    recipe = student(distillation={"hint_epochs": 2, "temperature": 2.0})
    return with_teacher(recipe, teacher, {"relu1": "relu1"})


@pytest.mark.slow
def test_hints_and_distillation_resume_bit_exact(tiny_network, hinted, teacher, tmp_path):
    before, data = (teacher / "model.keras").read_bytes(), tiny_training.images()
    with mock.patch.object(soft_targets, "load_teacher", wraps=load_teacher) as loading:
        whole = train(hinted, data, runs=tmp_path / "whole", limit=120, verbose=0)
    assert loading.call_count == 1
    history = RunFolder(whole.folder.path / "hints").history()
    assert len(history) == len(whole.folder.history()) == 2
    assert history[1]["loss"] < history[0]["loss"]
    # The student alone is what remains.
    saved = keras.saving.load_model(whole.folder.model_file)
    assert [layer.name for layer in saved.layers] == [layer.name for layer in build(whole.recipe, CLASSES).layers]
    assert_same_weights(saved, whole.model)
    assert (teacher / "model.keras").read_bytes() == before
    with pytest.raises(TrainingInterruptedError) as stopped:
        train(hinted, data, runs=tmp_path / "stopped", limit=120, verbose=0, callbacks=[Stop(8)])
    folder = stopped.value.folder
    assert folder.path.parent == tmp_path / "stopped" and not folder.checkpoints.exists()
    for steps in (4 + 3, 6):
        # In the first epoch of the whole network, and in its second.
        with pytest.raises(TrainingInterruptedError):
            resume(folder, folder.read_recipe()[0], data, callbacks=[Stop(steps)], verbose=0)
    run = resume(folder, folder.read_recipe()[0], data, verbose=0)
    assert_same(run.folder, whole.folder)
    assert rows(RunFolder(run.folder.path / "hints")) == rows(RunFolder(whole.folder.path / "hints"))
    assert_same_weights(run.model, whole.model)


@pytest.mark.slow
def test_hints_stop_and_go_on_as_a_run_does(tiny_network, hinted, tmp_path):
    """A lost worker names the run itself; with fewer images, an epoch begins again, as it has fewer steps."""

    class Lost(Stop):
        def on_train_batch_end(self, batch, logs=None):
            raise WorkerLostError("lost")

    data = tiny_training.images()
    with pytest.raises(WorkerLostError) as lost:
        train(hinted, data, runs=tmp_path / "lost", limit=120, verbose=0, callbacks=[Lost(1)])
    assert lost.value.folder.path.parent == tmp_path / "lost"
    with pytest.raises(TrainingInterruptedError) as stopped:
        train(hinted, data, runs=tmp_path, limit=120, verbose=0, callbacks=[Stop(5)])
    folder, fewer = stopped.value.folder, replace(data, training=data.training.take(np.arange(64)))
    with pytest.raises(TrainingInterruptedError):
        how = {"callbacks": [Stop(5)], "accept_changes": True, "warn": [].append, "verbose": 0}
        resume(folder, folder.read_recipe()[0], fewer, **how)
    [checkpoint] = (folder.path / "hints" / "checkpoints").glob("*-step-*.npz")
    assert checkpoint.name == "epoch-0001-step-000001.npz"


@pytest.mark.slow
def test_another_teacher_is_refused_when_a_run_resumes(tiny_network, teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "teacher")
    recipe = with_teacher(student(), tmp_path / "teacher")
    with pytest.raises(TrainingInterruptedError) as stopped:
        train(recipe, tiny_training.images(), runs=tmp_path, limit=120, verbose=0, callbacks=[Stop(2)])
    folder = stopped.value.folder
    shutil.rmtree(tmp_path / "teacher")
    with mentioning(InputError, str(tmp_path / "teacher")):
        resume(folder, folder.read_recipe()[0], tiny_training.images(), verbose=0)
    leave_teacher(tmp_path / "teacher", student().with_values(image_size=14))
    with mentioning(InputError, str(tmp_path / "teacher"), "changed", "digest"):
        resume(folder, folder.read_recipe()[0], tiny_training.images(), verbose=0)


PAGE = Page("docs/distillation.md")


@pytest.fixture
def reader(photographs, tmp_path, monkeypatch):
    """Where the reader is, with photographs and a run of the page's first line."""
    monkeypatch.chdir(tmp_path)
    for kind in ("lying", "standing"):
        shutil.copytree(photographs / kind, tmp_path / "photos" / kind)
    recipe = Recipe.for_model("resnet56").with_values(image_size=12, precision="float32")
    leave_teacher(tmp_path / "runs" / "resnet56-photos-20261128-210000", recipe, ["lying", "standing"])


def test_the_pages_layers_are_there():
    for name, layer in (("resnet20", "conv3_2_relu"), ("resnet56", "conv3_5_relu")):
        assert layer in [one.name for one in without_values(lambda name=name: registry.create(name)).layers]


@pytest.mark.slow
def test_commands_of_the_page(tiny_network, reader, command, tmp_path):
    first, plain, hinted = PAGE.lines()
    assert first == "kerascnn train --model resnet56 --data photos"
    outcome = run_line(command, plain, "--print-recipe")
    assert "digest: " in outcome.out and "teacher: runs/resnet56-photos-20261128-210000" in outcome.out
    # A network that has hardly learnt is near many ties.
    hinted = hinted.replace("conv3_2_relu=conv3_5_relu", "relu1=relu1").replace("hint_epochs=3", "hint_epochs=1")
    outcome = run_line(command, hinted, "--image-size", 16, "--epochs", 1, "--json", statuses=(0, 1))
    assert "taught by runs/resnet56-photos-20261128-210000" in outcome.err and "resized to 12 x 12" in outcome.err
    assert [json.loads(line)["event"] for line in outcome.out.splitlines()] == ["hints", "epoch", "report"]
    [run] = (tmp_path / "runs").glob("resnet20-photos-*")
    facts = RunFolder(run).read_recipe()[3]
    assert facts["preparation_seconds"] > 0


@pytest.mark.slow
def test_code_of_the_page(tiny_network, reader):
    small = {"epochs=20": 'epochs=1, image_size=16, precision="float32"'}
    found = PAGE.run(replace={**small, '{"conv3_2_relu": "conv3_5_relu"}': '{"relu1": "relu1"}, verbose=0'})
    assert found["run"].recipe.distillation.temperature == 4
    assert (found["run"].folder.path / "hints" / "history.csv").is_file()
