"""Measurements of known trainings: copies of one, one that diverged, and one that was interrupted."""

import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.evaluation.scores import Scores
from kerascnn.experiments import Arm, Claim, Experiment, Scale, find, measures, runs as runs_module
from kerascnn.experiments.measures import measure
from kerascnn.experiments.report import Outcome, write_outcome
from kerascnn.experiments.runs import ArmRun, run_arm
from kerascnn.files.progress import untracked
from kerascnn.training import RunConfig, RunFolder, TrainingDivergedError, resolved
from support.messages import mentioning
from support.tiny_training import tiny_networks

ONE, OTHER, LOST = Arm("one", published="8.75"), Arm("other"), Arm("lost", published="diverged")


def experiment(**changes):
    given = {
        "about": "are two copies equal?",
        "paper": "Nobody, Nothing, 2026",
        "published_on": "nothing",
        "arms": (ONE, OTHER, LOST),
        "small": Scale(),
        "full": Scale(),
    }
    return Experiment(**{**given, **changes})


@pytest.fixture
def two(tiny_digits_run, tmp_path):
    """Copies of a run as two arms, and a third that has no model."""
    runs = []
    for arm in (ONE, OTHER, LOST):
        folder = RunFolder(tmp_path / "runs" / arm.name / "run")
        shutil.copytree(tiny_digits_run.folder.path, folder.path)
        runs.append(ArmRun(arm, tiny_digits_run.recipe, folder, "the loss is nan" if arm is LOST else ""))
    return runs


def test_the_deviation_over_seeds_is_that_of_a_sample(two, few_digits):
    """The mean of 1 and 3 is 2, and their deviation the square root of 2: the divisor is their number less one."""
    runs = [dataclasses.replace(run, arm=ONE) for run in two[:2]]
    for run, loss in zip(runs, (1.0, 3.0), strict=True):
        file = run.folder.path / "history.csv"
        with file.open(newline="") as written:
            rows = list(csv.DictReader(written))
        rows[-1]["loss"] = loss
        with file.open("w", newline="") as written:
            writer = csv.DictWriter(written, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    [row] = measure(experiment(arms=(ONE,)), runs, few_digits, untracked).rows
    assert row[2] == "2.000 ± 1.414"


def test_a_difference_confirms_or_contradicts_a_claim(two, few_digits, monkeypatch):
    """One arm is right about every image, the other about none."""
    labels = few_digits.validation.labels
    right = np.eye(10, dtype="float32")[labels]
    answers = {"one": right, "other": np.roll(right, 1, axis=1)}

    def evaluated(folder, data, track):
        sizes = np.full((len(labels), 2), 32)
        return Scores(few_digits.class_names, labels, answers[folder.parent.name], sizes)

    monkeypatch.setattr(measures, "open_predictor", lambda folder: folder)
    monkeypatch.setattr(measures, "evaluate", evaluated)
    claims = (Claim("true", "one", "other"), Claim("false", "other", "one"))
    first, second = measure(experiment(claims=claims, arms=(ONE, OTHER)), two[:2], few_digits, untracked).claim_results
    assert first.startswith("true: confirmed (100.00% and 0.00%")
    assert second.startswith("false: contradicted (0.00% and 100.00%")


def test_copies_do_not_differ(two, few_digits, tiny_digits_run, tmp_path):
    claims = (
        Claim("one is better", "one", "other"),
        Claim("one trains better", "one", "other", "training accuracy"),
        Claim("the other does not diverge", "other", "lost"),
        Claim("the third is best", "lost", "one"),
    )
    asked = experiment(claims=claims, small_cannot="anything")
    measured = measure(asked, two, few_digits, untracked)
    history = tiny_digits_run.folder.history()
    accuracy = history[-1]["val_top1"]
    training = f"{history[-1]['top1']:.2%}"
    assert measured.claim_results == [
        f"one is better: no significant difference ({accuracy:.2%} and {accuracy:.2%}, p = 1).",
        f"one trains better: not true of these runs ({training} and {training}).",
        "the other does not diverge: confirmed, lost diverged.",
        "the third is best: not measured, lost diverged.",
    ]
    assert [row[:2] for row in measured.rows] == [("one", "8.75"), ("other", "–"), ("lost", "diverged")]
    assert measured.values[0]["top1_accuracy"] == pytest.approx(accuracy)
    assert measured.values[0]["steps"] == 3 * 20 and measured.values[2]["diverged"] == "the loss is nan"
    outcome = Outcome("copies", "small", asked, few_digits, two, measured)
    write_outcome(outcome, tmp_path / "left")
    results = json.loads((tmp_path / "left" / "results.json").read_text())
    assert results["claim_results"] == measured.claim_results and results["seeds"] == [0]
    assert "tensorflow" in results["versions"]
    text = (tmp_path / "left" / "table.md").read_text()
    assert "| one | 8.75 |" in text and "160 training and 40 test images of digits at 32 x 32 pixels, 60 steps" in text
    assert "cannot show anything" in text
    assert (tmp_path / "left" / "curves.png").is_file()
    full = dataclasses.replace(outcome, scale="full")
    assert "cannot show anything" not in full.to_markdown()


def test_an_arm_that_a_scale_omits_is_in_the_table(two, few_digits):
    asked = experiment(arms=(ONE, Arm("large", published="9")), small=Scale(omitted=("large",)))
    assert asked.arms_at(asked.small) == [ONE]
    rows = measure(asked, two[:1], few_digits, untracked).rows
    assert rows[1] == ("large", "9", "not trained", "not trained", "not trained", "–")


def test_learned_slopes(two, few_digits, monkeypatch):
    """The means over channels, by layer; of the arm without PReLU nothing is said."""
    x = pixels = keras.Input((4, 4, 1))
    for name, values in (("conv1_prelu", [0.1, 0.3]), ("conv2_prelu", [0.5, -0.5])):
        x = keras.layers.Conv2D(2, 1)(x)
        layer = keras.layers.PReLU(shared_axes=(1, 2), name=name)
        x = layer(x)
        layer.alpha.assign([[values]])
    models = {"one": keras.Model(pixels, x), "other": keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])}
    monkeypatch.setattr(measures, "load_keras", lambda file: models[file.parent.parent.name])
    asked = experiment(measure="slopes", arms=(ONE, OTHER))
    measured = measure(asked, two[:2], few_digits, untracked)
    [said] = measured.claim_results
    assert said.startswith("one, seed") and "0.20 in conv1, and from 0.00 in conv2 to 0.20 in conv1" in said
    assert measured.values[0]["slopes"] == pytest.approx({"conv1": 0.2, "conv2": 0.0})
    assert "slopes" not in measured.values[1]


def test_a_folded_network_is_the_same(two, few_digits):
    [row] = measure(experiment(measure="folding"), two[:1], few_digits, untracked).values
    # The tiny network's one convolution is normalized.
    assert row["batch_normalizations"] == 1 and row["layers_after"] <= row["layers_before"] - 1
    assert row["same_class"] == row["images"] == 40 and row["largest_difference"] < 1e-4


@pytest.mark.slow
def test_two_copies_and_their_crops(two, few_digits):
    few = dataclasses.replace(few_digits, validation=few_digits.validation.take(range(4)))
    measured = measure(experiment(measure="crops"), two, few, untracked)
    assert [(row["models"], row["views"]) for row in measured.values] == [
        (1, 1), (1, 10), (1, 144), (2, 2), (2, 20), (2, 288),
    ]  # fmt: skip
    assert [row["published_top5_accuracy"] for row in measured.values] == [89.93, 90.85, 92.11, None, None, None]
    alone, together = measured.values[:3], measured.values[3:]
    assert [row["top1_accuracy"] for row in alone] == [row["top1_accuracy"] for row in together]


def test_an_arm_that_diverged_is_not_trained_again(few_digits, digits_recipe, tmp_path, monkeypatch):
    trainings = []

    def diverging(recipe, data, *, runs, limit, callbacks, **options):
        trainings.append(recipe)
        folder = RunFolder.create(runs, recipe.model, data.name)
        folder.write_recipe(resolved(recipe, data), data.source, limit, {"steps_per_epoch": 20}, RunConfig())
        raise TrainingDivergedError("the loss is nan after step 3 of epoch 1")

    monkeypatch.setattr(runs_module, "train", diverging)
    reported = []
    for _ in range(2):
        run = run_arm(LOST, digits_recipe, few_digits, tmp_path / "lost", report=reported.append)
        assert run.diverged == "the loss is nan after step 3 of epoch 1"
    assert len(trainings) == 1 and reported == ["lost, seed 0: has diverged before."]


def test_an_arm_of_another_recipe_is_rejected(two, few_digits, digits_recipe):
    path = two[0].folder.path.parent
    assert run_arm(ONE, digits_recipe, few_digits, path, report=str).folder == two[0].folder
    with mentioning(InputError, "epochs, batch_size", "--out"):
        run_arm(ONE, digits_recipe.with_values(epochs=9, batch_size=16), few_digits, path)


@pytest.mark.slow
def test_a_resumed_arm_shows_only_the_progress_that_it_is_given(two, few_digits, digits_recipe, capsys):
    folder = two[0].folder
    # As an interruption before the first checkpoint leaves it.
    folder.model_file.unlink()
    folder.history_file.unlink()
    shutil.rmtree(folder.checkpoints)
    with tiny_networks():
        run_arm(ONE, digits_recipe, few_digits, folder.path.parent, report=str)
    assert len(folder.history()) == digits_recipe.epochs
    assert capsys.readouterr().err == ""


@pytest.fixture
def tiny_experiment(command):
    """Runs the command line, with tiny networks."""
    with tiny_networks():
        yield command


@pytest.mark.slow
def test_the_command_resumes_after_a_stop(tiny_experiment, tmp_path):
    words = (
        "experiment", "degradation", "--data", "digits", "--limit", "60", "--set", "epochs=1",
        "--out", tmp_path, "--json",
    )  # fmt: skip
    first = tiny_experiment(*words)
    assert first.status == 0, first.err
    before = json.loads(first.out)
    assert [row["arm"] for row in before["rows"]] == [arm.name for arm in find("degradation").arms]
    assert before["folder"] == str(tmp_path / "degradation-small")
    # As an interruption after the last epoch would leave it.
    [model] = (tmp_path / "degradation-small" / "runs" / "ResNet-56-seed-0").glob("*/model.keras")
    model.unlink()
    second = tiny_experiment(*words)
    assert second.status == 0, second.err
    assert "plain-20, seed 0: is trained already." in second.err and "ResNet-56, seed 0: resumes." in second.err
    for row, resumed in zip(before["rows"], json.loads(second.out)["rows"], strict=True):
        assert row == resumed
