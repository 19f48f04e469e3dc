"""Callbacks that log a training: TensorBoard's files read back, and the output on the terminal."""

import io
import json
import math
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
from tensorboard.plugins.graph.metadata import PLUGIN_NAME_KERAS_MODEL
from tensorboard.plugins.hparams import metadata

from kerascnn.evaluation import Scores
from kerascnn.evaluation.run_report import captions, worst_mistakes
from kerascnn.training.callbacks import progress_bar as progress
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
from kerascnn.training.callbacks.progress_bar import JsonLines, LiveProgress
from kerascnn.training.callbacks.tensorboard import TensorBoard, conceptual_graph
from kerascnn.training.callbacks.throughput import DataWaitTimer, Profiler, ThroughputMonitor

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 6, 6, 3)).astype("float32")
LABELS = keras.utils.to_categorical(np.arange(8) % 2, 2)


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def tensors(folder):
    """Every tag's values by step."""
    accumulator = events(folder)
    return {
        tag: {event.step: tf.make_ndarray(event.tensor_proto) for event in accumulator.Tensors(tag)}
        for tag in accumulator.Tags()["tensors"]
    }


def small_model(optimizer):
    pixels = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, keras.layers.Dense(2, "softmax", name="fc")(x))
    model.compile(optimizer, "categorical_crossentropy", jit_compile=False)
    return model


@pytest.mark.parametrize("how", ["plain", "clipped", "scaled"])
def test_gradient_norms_are_those_of_the_step(how, tmp_path):
    """Without momentum a step is the learning rate times the gradient, or the clipped one."""
    optimizer = keras.optimizers.SGD(0.5, global_clipnorm=0.01 if how == "clipped" else None)
    if how == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    model = small_model(optimizer)
    before = [weight.numpy() for weight in model.trainable_variables]
    model.fit(IMAGES, LABELS, batch_size=8, callbacks=[GradientNormLogger(tmp_path, steps_per_epoch=1)], verbose=0)
    moved = [(weight.numpy() - old) / 0.5 for weight, old in zip(model.trainable_variables, before, strict=True)]
    norms = [float(np.linalg.norm(one)) for one in moved]
    found = tensors(tmp_path / "train")
    total = found["steps/gradient norm"][1]
    if how == "clipped":
        assert math.hypot(*norms) == pytest.approx(0.01, rel=1e-3)
        assert total > 0.02
        norms = [norm * total / 0.01 for norm in norms]
    assert total == pytest.approx(math.hypot(*norms), rel=1e-3)
    assert found["steps of layers/gradient norm of conv"][1] == pytest.approx(norms[0], rel=1e-3)
    assert found["steps of layers/gradient norm of fc"][1] == pytest.approx(norms[2], rel=1e-3)
    assert found["steps/learning rate"][1] == 0.5
    if how == "scaled":
        assert found["steps/loss scale"][1] == 1024
    else:
        assert "steps/loss scale" not in found


def test_ten_points_per_epoch(tmp_path):
    model = small_model(keras.optimizers.SGD(0.1))
    images, labels = np.repeat(IMAGES, 4, axis=0), np.repeat(LABELS, 4, axis=0)
    model.fit(
        images, labels, batch_size=1, epochs=2, callbacks=[GradientNormLogger(tmp_path, steps_per_epoch=32)], verbose=0
    )
    found = tensors(tmp_path / "train")
    assert sorted(found["steps/gradient norm"]) == list(range(4, 65, 4))
    assert sorted(found["steps/weight norm"]) == [32, 64]
    # The last record of each epoch.
    assert sorted(found["steps of layers/gradient norm of fc"]) == [32, 64]


def test_weights_in_the_events_are_the_model_s(digits_run):
    found = tensors(digits_run.folder.path / "train")
    weights = [weight.numpy() for weight in digits_run.model.trainable_variables]
    steps = 160 // digits_run.recipe.batch_size * digits_run.recipe.epochs
    assert found["steps/weight norm"][steps] == pytest.approx(
        math.sqrt(sum(float(np.square(weight).sum()) for weight in weights)), rel=1e-5
    )
    kernel = digits_run.model.get_layer("conv1").kernel.numpy()
    left, right, count = found["weights/conv1"][steps].T
    assert (left[0], right[-1], count.sum()) == pytest.approx((kernel.min(), kernel.max(), kernel.size))


def test_recipe_and_architecture_as_text(digits_run):
    found = tensors(digits_run.folder.path / "train")
    assert digits_run.recipe.to_yaml() in found["recipe"][0].item().decode()
    table = found["architecture"][0].item().decode()
    assert "| conv4_3_2 | Conv2D | 8x8x64 | 36,864 |" in table


def test_hyperparameters_and_results(digits_run):
    accumulator = events(digits_run.folder.path)

    def content(tag):
        return accumulator.SummaryMetadata(tag).plugin_data.content

    start = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG))
    assert start.hparams["optimizer.learning_rate"].number_value == digits_run.recipe.optimizer.learning_rate
    assert start.hparams["augmentation.flip"].bool_value is False
    assert start.hparams["model"].string_value == "resnet20"
    experiment = metadata.parse_experiment_plugin_data(content(metadata.EXPERIMENT_TAG))
    assert {info.name for info in experiment.hparam_infos} == set(start.hparams)
    last = digits_run.folder.history()[-1]
    found = tensors(digits_run.folder.path / "validation")
    for metric, figure in zip(experiment.metric_infos, ("val_top1", "val_top5", "val_loss"), strict=True):
        assert metric.name.group == "validation"
        assert found[metric.name.tag][digits_run.recipe.epochs] == pytest.approx(last[figure])


def test_a_model_that_cannot_be_analyzed_is_logged_nevertheless(tmp_path, digits_recipe):
    class Odd(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sum(x, axis=(1, 2))

    pixels = keras.Input((6, 6, 3))
    model = keras.Model(pixels, keras.layers.Dense(2, "softmax")(Odd(name="odd")(pixels)))
    model.compile("sgd", "categorical_crossentropy", jit_compile=False)
    model.fit(IMAGES, LABELS, callbacks=[TensorBoard(tmp_path, digits_recipe, IMAGES)], verbose=0)
    assert "odd" in tensors(tmp_path / "train")["architecture"][0].item().decode()


def test_the_conceptual_graph_has_a_box_for_every_stage(tmp_path):
    pixels, twice = keras.Input((6, 6, 3), name="pixels"), keras.layers.ReLU(name="relu")
    x = twice(keras.layers.Conv2D(3, 3, padding="same", name="conv2_1_1", dtype="mixed_bfloat16")(pixels))
    x = keras.layers.Add(name="conv2_1")([twice(x), pixels])
    file = EventFile(tmp_path)
    file.graph(conceptual_graph(keras.Model(pixels, x)))
    file.close()
    accumulator = events(tmp_path)
    plugin = accumulator.SummaryMetadata("keras").plugin_data
    # TensorBoard leaves out other versions.
    assert (plugin.plugin_name, plugin.content) == (PLUGIN_NAME_KERAS_MODEL, b"1")
    [stored] = accumulator.Tensors("keras")
    # As TensorBoard reads it; the same graph is its first view.
    conceptual = keras_model_to_graph_def(json.loads(tf.make_ndarray(stored.tensor_proto).item()))
    assert [node.name for node in conceptual.node] == [node.name for node in accumulator.Graph().node]
    assert {node.name: (node.op, list(node.input)) for node in accumulator.Graph().node} == {
        "pixels": ("InputLayer", []),
        "conv2/conv2_1_1": ("Conv2D", ["pixels"]),
        "relu": ("ReLU", ["conv2/conv2_1_1"]),
        "relu_call_3": ("ReLU", ["relu"]),
        "conv2/conv2_1": ("Add", ["relu_call_3", "pixels"]),
    }


def test_waiting_counts_the_pipeline_s_time_only():
    def slow():
        for number in range(3):
            time.sleep(0.05)
            yield number

    waiting = DataWaitTimer()
    for _ in waiting.on(slow()):
        time.sleep(0.1)
    assert 0.15 <= waiting.seconds < 0.29


def test_throughput_excludes_validation(digits_run):
    waiting = SimpleNamespace(seconds=1.0)
    monitor = ThroughputMonitor(batch_size=8, waiting=waiting)
    monitor.set_model(digits_run.model)
    logs = {}
    monitor.on_epoch_begin(0)
    for step in range(2):
        time.sleep(0.05)
        monitor.on_train_batch_end(step)
    waiting.seconds += 0.05
    monitor.on_test_begin()
    time.sleep(0.2)
    monitor.on_epoch_end(0, logs)
    assert 0.1 <= logs["seconds"] < 0.2
    assert logs["images_per_second"] == pytest.approx(16 / logs["seconds"])
    assert logs["waiting_share"] == pytest.approx(0.05 / logs["seconds"])
    # TensorFlow alone takes more than that.
    assert logs["memory_gigabytes"] > 0.2
    assert monitor.training_seconds >= 0.3


def test_history_has_the_share_of_waiting(digits_run):
    for row in digits_run.folder.history():
        assert 0 <= row["waiting_share"] < 1


@pytest.mark.slow
def test_profile_of_some_steps(tmp_path):
    model = small_model("sgd")
    model.fit(IMAGES, LABELS, batch_size=2, callbacks=[Profiler(tmp_path, (2, 3))], verbose=0)
    [profile] = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    assert profile.stat().st_size > 1000


def test_json_lines():
    file = io.StringIO()
    lines = JsonLines(epochs=2, file=file)
    lines.on_epoch_end(0, {"loss": 0.5})
    lines.on_epoch_end(1, {"loss": float("nan")})
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {"event": "epoch", "epoch": 1, "epochs": 2, "loss": 0.5},
        {"event": "epoch", "epoch": 2, "epochs": 2, "loss": None},
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_one_live_line(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0.05)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    live = LiveProgress(2, 10, 32, console)
    live.on_train_begin()
    for epoch in range(2):
        live.on_epoch_begin(epoch)
        for step in range(10):
            time.sleep(0.006)
            live.on_train_batch_end(step, {"loss": 0.5})
        metrics = {
            "loss": 0.5,
            "top1": 0.5,
            "val_loss": 0.5,
            "val_top1": 0.5,
            "images_per_second": 100.0,
            "seconds": 0.5,
        }
        live.on_epoch_end(epoch, metrics)
    live.on_train_end()
    written = console.file.getvalue()
    if terminal:
        assert "/20 loss 0.5000" in written and "0:0" in written
    else:
        assert [line[:11] for line in written.splitlines()] == ["epoch   1/2", "epoch   2/2"]


def test_events_of_all_kinds(tmp_path):
    file = EventFile(tmp_path)
    file.scalar("metric", 0.25, step=3)
    file.histogram("values", np.array([0.0, 1.0, 1.0, 3.0]), step=3)
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype("uint8")
    file.image("image", image, step=3)
    file.close()
    file.close()
    found = tensors(tmp_path)
    assert found["metric"][3] == 0.25
    assert found["values"][3][:, 2].sum() == 4
    assert found["values"][3][[0, -1], [0, 1]].tolist() == [0, 3]
    width, height, png = found["image"][3]
    assert (width, height) == (b"6", b"4")
    np.testing.assert_array_equal(tf.io.decode_png(png), image)


def test_worst_mistakes():
    scores = Scores(
        ("cat", "dog", "eel"),
        np.array([0, 0, 1, 2]),
        np.array([[0.9, 0.1, 0], [0.3, 0.6, 0.1], [0.7, 0.2, 0.1], [0.5, 0.45, 0.05]], "float32"),
    )
    assert worst_mistakes(scores).tolist() == [3, 2, 1]
    assert worst_mistakes(scores, most=1).tolist() == [3]
    assert captions(scores, np.array([2])) == ["dog,\nnot cat (70%)"]
