"""Short names of runs, on folders with the files that tell runs apart."""

import os
from pathlib import Path

import pytest

from kerascnn import InputError
from kerascnn.applications.weights.sources import source_of
from kerascnn.files.run_names import find_run, named_file
from support.messages import mentioning, refused

RUNS = {
    # name: (order of time, validation accuracies, whether it has finished)
    "resnet20-digits-20261120-101500": (1, (0.5, 0.9), True),
    "resnet20-digits-20261120-101500-2": (2, (0.7, 0.8), True),
    "resnet20-digits-20261121-080000": (3, (0.99,), False),
    "resnet2-digits-20261122-080000": (4, (0.6,), True),
}


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, (order, accuracies, finished) in RUNS.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").touch()
        os.utime(folder / "recipe.yaml", (order, order))
        rows = "".join(f"{epoch},{accuracy}\n" for epoch, accuracy in enumerate(accuracies))
        (folder / "history.csv").write_text(f"epoch,val_top1\n{rows}")
        if finished:
            (folder / "model.keras").touch()
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("runs/last", "resnet2-digits-20261122-080000"),
        ("runs/best", "resnet20-digits-20261120-101500"),
        ("resnet20-digits@last", "resnet20-digits-20261121-080000"),
        ("resnet20-digits@best", "resnet20-digits-20261120-101500"),
        ("runs/resnet20@best", "resnet20-digits-20261120-101500"),
        ("resnet2@last", "resnet2-digits-20261122-080000"),
        ("resnet20-digits-20261120-101500@last", "resnet20-digits-20261120-101500-2"),
    ],
)
def test_short_names(name, found, runs):
    assert find_run(name).resolve() == runs / found
    assert find_run(str(runs / name.removeprefix("runs/"))) == runs / found


def test_the_model_of_a_name(runs):
    best = runs / "resnet20-digits-20261120-101500"
    assert named_file("runs/best").resolve() == named_file(best) == best / "model.keras"
    assert str(named_file("mine.weights.h5")) == "mine.weights.h5"
    with mentioning(InputError, "resnet20@last", "no model.keras", "finished"):
        named_file("resnet20@last")


def test_builders_take_runs(runs):
    found = Path(source_of("ResNet20", "runs/last").location)
    assert found.resolve() == runs / "resnet2-digits-20261122-080000" / "model.keras"
    (runs.parent / "imagenet").mkdir()
    assert source_of("ResNet50", "imagenet").public


@pytest.mark.parametrize("name", ["runs/notes", "missing.keras", "last", "mine@first", "me@example.org", "@last"])
def test_other_names_are_paths(name, tmp_path):
    if name == "last":
        (tmp_path / "last").mkdir()
    assert str(find_run(name)) == name


@pytest.mark.parametrize("name", ["elsewhere/last", "googlenet@last", "googlenet@best"])
def test_names_of_nothing(name):
    with pytest.raises(InputError, match="there is no run in"):
        find_run(name)


def test_no_unfinished_run_is_the_best(runs):
    for file in runs.glob("*/model.keras"):
        file.unlink()
    with pytest.raises(InputError, match="has finished"):
        find_run("runs/best")


def test_the_command_line_takes_them(command):
    # The files are empty; the messages name the folders that were found.
    refused(command("predict", "resnet20-digits@best", "cat.jpg"), "cat.jpg")
    refused(command("train", "--resume", "runs/last"), "resnet2-digits-20261122-080000")
    refused(command("evaluate", "googlenet@last"), "no run in runs", "googlenet")


def test_a_run_folder_is_no_folder_of_images(command):
    first, second, *_ = sorted(RUNS)
    refused(command("predict", f"runs/{first}", f"runs/{second}", "cat.jpg"), f"runs/{second} is a run folder")
    refused(command("explain", f"runs/{first}", f"runs/{second}"), f"runs/{second} is a run folder")
    refused(command("explain", f"runs/{first}", "runs/last"), "runs/last is a run folder")
    refused(command("embed", f"runs/{first}", "resnet20-digits@best"), "resnet20-digits@best is a run folder")


@pytest.mark.parametrize("options", [("evaluate", "{}", "--data", "digits"), ("train", "--resume", "{}")])
def test_paths_that_no_file_can_have(options, command):
    refused(command(*(option.format("x" * 300) for option in options)), "x" * 300)
    refused(command("train", "--data", "digits", "--weights", "x" * 300 + ".keras"), "no weights")
