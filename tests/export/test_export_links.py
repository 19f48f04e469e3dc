"""Links to the newest and the best export, on folders with the one file that they are chosen by."""

import json

import pytest

from kerascnn import InputError
from kerascnn.export.export_links import link_exports
from kerascnn.training import Recipe, RunConfig, RunFolder
from support.messages import mentioning


def published(folder, run, accuracy, name="net-data", trained_on="digest"):
    path = folder / f"{name}-{run}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "verification.json").write_text(json.dumps({"results": [{"accuracy": accuracy}], "trained_on": trained_on}))
    return path


def targets(folder):
    return {path.name: path.resolve().name for path in folder.iterdir() if path.is_symlink()}


def test_the_newest_and_the_best(tmp_path):
    first = published(tmp_path, "1", 0.9)
    assert link_exports(first, "net-data") == [tmp_path / "net-data", tmp_path / "net-data-best"]
    worse = published(tmp_path, "2", 0.8)
    assert link_exports(worse, "net-data") == [tmp_path / "net-data"]
    assert targets(tmp_path) == {"net-data": "net-data-2", "net-data-best": "net-data-1"}
    equal = published(tmp_path, "3", 0.9)
    assert len(link_exports(equal, "net-data")) == 2
    assert targets(tmp_path) == {"net-data": "net-data-3", "net-data-best": "net-data-3"}
    # Exported again, and worse now.
    published(tmp_path, "3", 0.1)
    link_exports(equal, "net-data")
    assert targets(tmp_path)["net-data-best"] == "net-data-1"


def test_exports_of_other_data_are_not_compared(tmp_path):
    published(tmp_path, "small-1", 0.99, trained_on="another")
    link_exports(published(tmp_path, "1", 0.9), "net-data")
    assert targets(tmp_path) == {"net-data": "net-data-1", "net-data-best": "net-data-1"}


def test_a_name_that_looks_like_a_pattern(tmp_path):
    assert len(link_exports(published(tmp_path, "1", 0.9, "net-data[1]"), "net-data[1]")) == 2


def test_other_folders_stay(tmp_path):
    (tmp_path / "net-data").mkdir()
    (tmp_path / "net-data" / "mine.txt").touch()
    (tmp_path / "net-data-broken").mkdir()
    (tmp_path / "net-data-broken" / "verification.json").write_text("{")
    assert link_exports(published(tmp_path, "1", 0.9), "net-data") == [tmp_path / "net-data-best"]
    assert (tmp_path / "net-data" / "mine.txt").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_links_in_the_file_system(tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise OSError

    monkeypatch.setattr("pathlib.Path.symlink_to", fail)
    assert link_exports(published(tmp_path, "1", 0.9), "net-data") == []


def run_of(path, *accuracies):
    path.mkdir()
    rows = "".join(f"{epoch},{accuracy}\n" for epoch, accuracy in enumerate(accuracies))
    (path / "history.csv").write_text(f"epoch,val_top1\n{rows}")
    run = RunFolder(path)
    run.write_recipe(Recipe(), "digits", None, {}, RunConfig())
    return run


def test_the_exported_epoch(tmp_path):
    run = run_of(tmp_path / "run", 0.5, 0.9, 0.9, 0.75)
    file, text = run.epoch_model("last")
    assert file == run.model_file and "last epoch, 4 (75.00%)" in text and "epoch 2 (90.00%)" in text
    with mentioning(InputError, "best-epoch-0002.keras", "--keep-best"):
        run.epoch_model("best")
    run.checkpoints.mkdir()
    (run.checkpoints / "best-epoch-0002.keras").touch()
    file, text = run.epoch_model("best")
    assert file.name == "best-epoch-0002.keras" and "epoch 2, the best of 4" in text and "same images" in text


@pytest.mark.parametrize("which", ["last", "best"])
def test_the_last_epoch_is_the_best(tmp_path, which):
    run = run_of(tmp_path / "run", 0.9, 0.9)
    assert run.epoch_model(which) == (run.model_file, "exports epoch 2, the last and the best (90.00%)")
