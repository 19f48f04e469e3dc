"""Loggers for Weights & Biases and MLflow, with modules in their place that record what is called."""

import signal
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import keras
import pytest

from kerascnn import InputError
from kerascnn.training import MLflowLogger, Recipe, TrainingInterruptedError, WandbLogger, resume, train
from kerascnn.training.callbacks.loggers import with_run
from kerascnn.training.callbacks.progress_bar import LiveProgress
from kerascnn.training.search import trial_training
from support.messages import mentioning, names, refused


def stand_in(monkeypatch, name, **content):
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, origin="the test")
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def services(monkeypatch):
    """What was called, as (function, arguments)."""
    calls = []

    def record(name, result=None):
        return lambda *given, **named: calls.append((name, {**dict(enumerate(given)), **named})) or result

    config = SimpleNamespace(update=record("config"))
    wandb_run = SimpleNamespace(
        id="w1", config=config, define_metric=record("axis"), log=record("wandb.log"), finish=record("wandb.finish")
    )
    stand_in(monkeypatch, "wandb", run=None, init=record("init", wandb_run))
    mlflow_run = SimpleNamespace(info=SimpleNamespace(run_id="m1"))
    functions = {name: record(name) for name in ("log_params", "log_metrics", "end_run")}
    stand_in(monkeypatch, "mlflow", start_run=record("start_run", mlflow_run), **functions)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return calls


@pytest.fixture(scope="module")
def network():
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=8, name="conv")(pixels))
    return keras.Model(pixels, keras.layers.Dense(10, "softmax", name="fc")(x), name="mine")


RECIPE = Recipe.for_model("resnet20").with_values(epochs=2, precision="float32")


class StopOnce(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            # Background jobs of a shell ignore SIGINT.
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.slow
def test_a_training_that_is_stopped_and_resumed(services, network, few_digits, tmp_path):
    loggers = [WandbLogger(entity="us"), MLflowLogger()]
    with pytest.raises(TrainingInterruptedError) as stopped:
        train(RECIPE, few_digits, model=network, runs=tmp_path, callbacks=[*loggers, StopOnce()], verbose=0)
    folder, first = stopped.value.folder, services.copy()
    services.clear()
    resume(folder, folder.read_recipe()[0], few_digits, model=network, callbacks=loggers, verbose=0)

    begun = dict(first)
    name = folder.path.name
    expected = {"project": "kerascnn", "entity": "us", "name": name, "id": None, "dir": str(folder.path)}
    assert expected.items() <= begun["init"].items()
    assert begun["start_run"] == {"nested": True, "run_name": name}
    for values in (begun["config"][0], begun["log_params"][0]):
        assert values["optimizer.learning_rate"] == RECIPE.optimizer.learning_rate and values["epochs"] == 2
    assert first[-2:] == [("wandb.finish", {"exit_code": 1}), ("end_run", {0: "KILLED"})]

    begun = dict(services)
    assert (begun["init"]["id"], begun["init"]["resume"], begun["start_run"]["run_id"]) == ("w1", "allow", "m1")
    assert services[-2:] == [("wandb.finish", {"exit_code": 0}), ("end_run", {0: "FINISHED"})]

    rows = folder.history()
    tags = {
        "train/epoch/loss": "loss",
        "validation/epoch/top-1 accuracy": "val_top1",
        "train/machine/seconds": "seconds",
    }
    for epoch, calls, row in zip((1, 2), (first, services), rows, strict=True):
        [logged] = [given for called, given in calls if called == "wandb.log"]
        [metrics] = [given for called, given in calls if called == "log_metrics"]
        assert logged[0] == {"epoch": epoch, **metrics[0]} and metrics["step"] == epoch
        assert {tag: metrics[0][tag] for tag in tags} == pytest.approx({tag: row[tags[tag]] for tag in tags})


def test_a_service_that_cannot_be_reached(services, network, few_digits, tmp_path, monkeypatch, capsys):
    def fails(*arguments, **options):
        raise OSError("no\nserver.")

    monkeypatch.setattr("mlflow.start_run", fails)
    loggers = [WandbLogger(), MLflowLogger()]
    with mentioning(InputError, "mlflow cannot begin a run: no server."):
        train(RECIPE, few_digits, model=network, runs=tmp_path, callbacks=loggers, verbose=0)
    # Of a training that failed, the other's run is ended.
    assert services[-1] == ("wandb.finish", {"exit_code": 1})
    assert "end_run" not in dict(services)
    # Later, it costs its metrics only.
    monkeypatch.setattr("mlflow.log_metrics", fails)
    loggers[1].on_epoch_end(0, {"loss": 1.0})
    names(capsys.readouterr().err, "mlflow", "goes on", "no server")


@pytest.mark.parametrize(
    ("logger", "call", "ended"),
    [
        (WandbLogger, "define_metric", ("wandb.finish", {"exit_code": 1})),
        (MLflowLogger, "log_params", ("end_run", {0: "FAILED"})),
    ],
)
def test_a_run_that_begins_half_way_is_ended(logger, call, ended, services, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise ValueError("the parameters are of another run")

    monkeypatch.setattr(sys.modules["wandb"].init() if logger is WandbLogger else sys.modules["mlflow"], call, fails)
    [prepared] = with_run([logger()], tmp_path, RECIPE, chief=True)
    with mentioning(InputError, f"{logger.name} cannot begin a run: the parameters are of another run."):
        prepared.on_train_begin()
    prepared.close()
    assert services[-1] == ended and [called for called, _ in services].count(ended[0]) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_active_is_left_open(services, tmp_path, monkeypatch):
    monkeypatch.setattr("wandb.run", sys.modules["wandb"].init())
    services.clear()
    [logger] = with_run([WandbLogger()], tmp_path, RECIPE, chief=True)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.0, "main_loss": 0.5})
    logger.on_train_end()
    assert [called for called, _ in services] == ["config", "axis", "axis", "wandb.log"]
    assert services[-1][1] == {0: {"epoch": 1, "train/heads/sum of all losses": 1.0, "train/epoch/loss": 0.5}}


def test_only_the_chief_logs(services, tmp_path):
    callbacks = [WandbLogger(), other := keras.callbacks.TerminateOnNaN(), MLflowLogger()]
    assert with_run(callbacks, tmp_path, RECIPE, chief=False) == [other]
    assert with_run(callbacks, tmp_path, RECIPE, chief=True) == callbacks


@pytest.mark.parametrize(("name", "logger"), [("wandb", WandbLogger), ("mlflow", MLflowLogger)])
def test_a_package_that_is_not_installed(name, logger, command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    needed = f"pip install 'kerascnn[{name}]'"
    with mentioning(InputError, logger.__name__, needed):
        logger()
    refused(command("train", "--log", name, "--out", tmp_path), f"--log {name}", needed)
    refused(command("tune", "--log", name, "--out", tmp_path), f"--log {name}", needed)
    # Their own folders of files are no packages.
    stand_in(monkeypatch, name)
    sys.modules[name].__spec__ = ModuleSpec(name, None)
    refused(command("train", "--resume", tmp_path, "--log", name), f"--log {name}", needed)
    assert not list(tmp_path.iterdir())


def test_services_of_the_command_line(services, command, tmp_path, monkeypatch):
    refused(command("train", "--log", "wandb,neptune"), "--log", "wandb, mlflow", "'neptune'")
    found = []

    def begun(*arguments, callbacks, **options):
        found.extend(type(callback) for callback in callbacks)
        raise InputError("that is enough.")

    monkeypatch.setattr("kerascnn.training.train", begun)
    refused(command("train", "--limit", 40, "--log", "wandb,mlflow", "--log", "mlflow", "--out", tmp_path), "enough")
    assert found == [WandbLogger, MLflowLogger, LiveProgress]


def test_every_trial_of_a_search_logs(services, tmp_path, monkeypatch):
    found = []

    def begun(*arguments, callbacks, **options):
        found.extend(type(callback) for callback in callbacks)

    monkeypatch.setattr(trial_training, "train", begun)
    config = {"data": "digits", "limit": 40, "options": {}, "epochs": 1, "devices": "cpu", "cache": "none"}
    trial_training.train_trial(tmp_path, {**config, "recipe": RECIPE.to_dict(), "log": ["wandb", "mlflow"]})
    assert found == [trial_training.TrialReporter, WandbLogger, MLflowLogger]
