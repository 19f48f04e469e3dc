"""The commands `kerascnn evaluate` and `kerascnn compare-runs`."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kerascnn.cli.evaluating import CROPS
from kerascnn.cli.evaluation_tables import mcnemar_table, runs_table
from kerascnn.data import LabeledImages
from kerascnn.evaluation import Protocol, Scores
from kerascnn.evaluation.runs import Comparison, MeasuredRun
from kerascnn.training import RunFolder
from support.messages import refused


def test_every_crops_value_is_a_protocol():
    for word, name in CROPS.items():
        assert word == name or Protocol(name).name.split()[0] == word


@pytest.mark.slow
def test_several_models_and_crops(tiny_digits_run, command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    run = tiny_digits_run.folder.path
    copy = shutil.copy(run / "model.keras", tmp_path / "copy.keras")
    shown = command("evaluate", run, copy, "--crops", "1,10", "--report", tmp_path / "report")
    assert shown.status == 0, shown.err
    assert "ensemble of 2" in shown.out and "10 crops" in shown.out and "vs. the first" in shown.out
    assert f"report: {tmp_path / 'report' / 'report.html'}" in shown.out
    assert "a mirrored image of digits can belong to another class" in shown.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    alone, _, same, _, together, _ = metrics["rows"]
    # The average of two copies of a model equals that model.
    assert alone["top1_accuracy"] == same["top1_accuracy"] == together["top1_accuracy"]
    assert (together["views"], metrics["rows"][-1]["views"]) == (2, 20)


def test_dense_evaluation_at_given_scales(tiny_digits_run, command):
    outcome = command("evaluate", tiny_digits_run.folder.path, "--crops", "dense", "--scales", "32,40", "--json")
    assert outcome.status == 0, outcome.err
    metrics = json.loads(outcome.out)
    assert (metrics["crops"], metrics["rows"][0]["views"]) == ("dense at 32, 40", 4)


@pytest.mark.slow
def test_compare_runs(tiny_digits_run, command, tmp_path, recwarn):
    run = tiny_digits_run.folder.path
    other = shutil.copytree(run, tmp_path / f"{'a-name-that-is-long-' * 5}")
    outcome = command("compare-runs", run, other, "--plot", tmp_path / "curves.png", "--json")
    assert outcome.status == 0, outcome.err
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width == 1200
    # Matplotlib warns if names leave no space for the curves.
    assert not [warning for warning in recwarn if "collapsed" in str(warning.message)]
    metrics = json.loads(outcome.out)
    history = tiny_digits_run.folder.history()
    assert metrics["runs"][0]["training_loss"] == history[-1]["loss"]
    assert metrics["runs"][0]["top1_accuracy"] == pytest.approx(history[-1]["val_top1"])
    [test] = metrics["tests"]
    assert (test["only_first"], test["only_second"], test["p"]) == (0, 0, 1.0)


def test_comparison_tables(tiny_digits_run, few_digits):
    labels = few_digits.validation.labels
    wrong = (labels + 1) % 10
    runs = []
    # The first is always correct, the second wrong on the first six images, the third on one of these.
    for name, mistakes in (("whole", 0), ("poor", 6), ("good", 1)):
        predictions = np.where(np.arange(len(labels)) < mistakes, wrong, labels)
        scores = Scores(few_digits.class_names, labels, np.eye(10, dtype="float32")[predictions])
        folder = RunFolder(tiny_digits_run.folder.path.with_name(name))
        runs.append(MeasuredRun(folder, tiny_digits_run.recipe, tiny_digits_run.folder.history(), scores))
    compared = Comparison(LabeledImages.of(few_digits, "validation"), "1 crop", tuple(runs))
    console = Console(width=300, file=io.StringIO())
    console.print(runs_table(compared), mcnemar_table(compared))
    lines = console.file.getvalue().splitlines()
    # p is 2 / 2^6, below 5 %, and 2 / 2^5, which is not.
    assert sum("no difference shown" in line for line in lines) == 2
    assert [test.conclusion.split("/")[-1] for test in compared.tests] == [
        "whole is better", "no difference shown", "no difference shown",
    ]  # fmt: skip
    assert [(one.test.only_first, one.test.only_second) for one in compared.tests] == [(6, 0), (1, 0), (0, 5)]
    assert sum("the first is better" in line for line in lines) == 1
    assert any("whole" in line and "0.00%" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["evaluate", "{run}", "--crops", "11"], ["--crops", "1, 2, 10, 12, 144, dense, recipe", "'11'"]),
        (["evaluate", "{run}", "--scales", "a"], ["--scales", "whole numbers", "'a'"]),
        (["evaluate", "{run}", "--crops", "10", "--scales", "16"], ["16 pixels", "32"]),
        (["evaluate", "{run}", "--crops", "recipe", "--scales", "40"], ["--scales", "crops"]),
        (["evaluate", "{run}/model.keras", "{run}/none"], ["no model", "{run}/none"]),
        (["compare-runs", "{run}", "--crops", "1,10"], ["one kind of crops"]),
        (["compare-runs", "{run}", "--plot", "curves.txt"], ["--plot", ".png, .svg, .pdf"]),
        (["compare-runs", "{run}/model.keras"], ["model.keras", "run folder"]),
        (["compare-runs", "{run}", "{run}/checkpoints/.."], ["named twice", "compared with others"]),
    ],
)
def test_user_errors_are_one_sentence(arguments, parts, tiny_digits_run, command):
    run = str(tiny_digits_run.folder.path)
    outcome = command(*[argument.replace("{run}", run) for argument in arguments])
    refused(outcome, *[part.replace("{run}", run) for part in parts])


def test_runs_with_different_data_need_the_data_option(tiny_digits_run, command, tmp_path):
    run = tiny_digits_run.folder.path
    other = shutil.copytree(run, tmp_path / "other")
    recipe = (other / "recipe.yaml").read_text()
    (other / "recipe.yaml").write_text(recipe.replace("source: digits", "source: photos"))
    assert recipe != (other / "recipe.yaml").read_text()
    refused(command("evaluate", run, other), run, other, "--data SOURCE")
