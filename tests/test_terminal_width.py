"""Every table of the command line in 60 and 80 columns: columns are stacked or left out, and no number is cut."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from kerascnn.cli import search_tables, tables
from kerascnn.cli.evaluation_tables import (
    labels_table,
    mcnemar_table,
    measurements_table,
    models_and_crops_table,
    runs_table,
    scores_table,
)
from kerascnn.cli.recipe_tables import recipes_table
from kerascnn.data import LabeledImages
from kerascnn.data.dataset import ArrayExamples
from kerascnn.evaluation import Scores
from kerascnn.evaluation.metrics import accuracy_of
from kerascnn.evaluation.prediction import ImagePrediction, predictions_table
from kerascnn.evaluation.runs import Comparison, MeasuredRun
from kerascnn.evaluation.scores import MultiLabelScores
from kerascnn.evaluation.study import Measurement, Study
from kerascnn.export import Export
from kerascnn.export.verification import FormatResult, Tolerance, Verification
from kerascnn.training import ProbeResult, Recipe, RunFolder, recipes
from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow
from kerascnn.training.fine_tuning.logistic_regression import Head
from kerascnn.training.fine_tuning.probe import StageProbe
from kerascnn.training.search.folder import TrialRecord

CLASSES = tuple(f"a class of a long name, number {number}" for number in range(12))
RUNS = [f"runs/resnet20-photographs-20261128-14{number}716" for number in range(2)]


def scores(seed=0):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(12), 1234).astype("float32")
    return Scores(CLASSES, np.arange(1234) % 12, probabilities, random.integers(30, 900, (1234, 2)))


def images():
    examples = ArrayExamples(np.zeros((1234, 8, 8, 3), "uint8"), np.zeros(1234, int))
    return LabeledImages("photographs", "photographs", CLASSES, examples)


def study():
    alone = [
        Measurement((Path(run),), ("Keras",), crops, views, scores(number), 123.4)
        for number, run in enumerate(RUNS)
        for crops, views in (("1 crop", 1), ("144 crops", 144))
    ]
    both = Measurement(tuple(map(Path, RUNS)), ("Keras", "TFLite"), "144 crops", 288, scores(2), 246.8)
    return Study(images(), tuple(alone), (replace(both, protocol="1 crop", views=2), both))


def comparison():
    history = [{"loss": 1.2345, "top1": 0.5, "val_loss": 12.3456, "val_top1": 0.5}]
    runs = [MeasuredRun(RunFolder(Path(run)), Recipe(), history, scores(n)) for n, run in enumerate(RUNS)]
    return Comparison(images(), "1 crop", tuple(runs))


def tags():
    one = scores()
    labels = (np.random.default_rng(0).random((1234, 12)) > 0.8).astype("uint8")
    return MultiLabelScores(CLASSES, labels, one.probabilities, 0.5)


def plan():
    names = ("conv1", "inception_3a_5x5_reduce", "inception_5b_pool_proj")
    return [PlanRow(f"C{n}", first, first, 1, 12_345_678, 1_234_567, n, 0.316) for n, first in enumerate(names)]


def probe():
    stages = [StageProbe(name, "dense", 10_240, 0.98765, 0.01234, 0.1, 1e-3, 1.0, 1234.5, 528.1) for name in CLASSES]
    head = Head(np.zeros((2, 2)), np.zeros(2))
    return ProbeResult(tuple(stages), stages[0], head, np.zeros((1234, 2)), {}, 1234.5, 12.3)


TABLES = {
    "recipes": lambda: recipes_table(recipes()),
    "scores": lambda: scores_table(scores(), "a title"),
    "labels": lambda: labels_table(tags(), "a title"),
    "measurements": lambda: measurements_table(study()),
    "models and crops": lambda: models_and_crops_table(study()),
    "runs": lambda: runs_table(comparison()),
    "tests": lambda: mcnemar_table(comparison()),
    "probe": lambda: tables.probe_table(probe(), False),
    "plan": lambda: tables.plan_table(plan(), 4),
    "predictions": lambda: predictions_table([ImagePrediction(f"holiday/{'beach' * 9}.jpeg", [(CLASSES[0], 0.5)])]),
}


def results():
    values = {"accuracy": 0.98765, "agreement": 1234, "images": 1234, "mismatches": 12, "max_difference": 0.0123}
    costs = {"mean_difference": 0.00123, "size_bytes": 528_000_000, "latency_ms": 1234.56}
    names = {"Keras": "none", "SavedModel": "none", "TFLite int8 activations": "int8"}
    more = {"single_thread_latency_ms": 2345.67, "memory_bytes": 1_234_000_000}
    return tuple(FormatResult(name, kind, **values, **costs, **more) for name, kind in names.items())


def exported(shown):
    tables.verification_table(Export(None, Verification(results(), Tolerance())), verbose=False)


def folds(shown):
    runs = [
        SimpleNamespace(number=number, training_images=12345, validation_images=1234, most_frequent=0.5)
        for number in range(1, 6)
    ]
    for run in runs:
        run.metrics = lambda: {"val_main_top1": 0.98765, "val_main_loss": 123.4567}
        run.run = SimpleNamespace(diverged="", folder=RunFolder(Path(RUNS[0])))
    summary = {"val_main_top1": (0.98765, 0.01234), "val_main_loss": (123.4567, 12.3456)}
    folds = SimpleNamespace(runs=runs, main_metric="val_main_top1", summary=lambda: summary)
    folds.interval = lambda: accuracy_of(6094, 6170)
    tables.folds_table(folds)


def search(shown):
    fields = {"optimizer.learning_rate": 0.0308, "optimizer.weight_decay": 0.00817, "augmentation.pad": 2}
    records = [TrialRecord(number, {}, fields, score=0.98765, curve=[{}] * 12, seconds=123.4) for number in (1, 20)]
    config = SimpleNamespace(objective=SimpleNamespace(name="val_main_top1"))
    report = {"spent": {"trials": 2, "seconds": 246.8, "images": 12345, "failed": {}}, "importance": {}, "cost": {}}
    search_tables.print_report(SimpleNamespace(config=config, records=records, report=report, best=None))


PRINTED = {
    **{name: lambda shown, made=made: shown.print(made()) for name, made in TABLES.items()},
    "export": exported,
    "folds": folds,
    "search": search,
}


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", PRINTED)
def test_no_table_is_wider_and_nothing_is_cut(name, width, monkeypatch):
    shown = Console(file=io.StringIO(), width=width)
    for module in (tables, search_tables):
        monkeypatch.setattr(module, "output", lambda: shown)
    PRINTED[name](shown)
    lines = [line for line in shown.file.getvalue().splitlines() if line.startswith(" ")]
    assert max(map(len, lines)) <= width and not [line for line in lines if "…" in line], "\n".join(lines)
    if name == "tests":
        [test] = comparison().tests
        assert all(str(count) in shown.file.getvalue() for count in test.test[:2])


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("arguments", ["models", "models --weights", "experiment", "compare vgg16 resnet50"])
def test_lists(arguments, width, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line for line in command(*arguments.split()).out.splitlines() if line.startswith(" ")]
    assert lines and max(map(len, lines)) <= width and not [line for line in lines if "…" in line], "\n".join(lines)
