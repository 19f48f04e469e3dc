"""Searches that survive failed trials and interruptions."""

import json
import math

import pytest
from PIL import Image

from kerascnn.training.search import report as search_report
from kerascnn.training.search.folder import Journal, Objective, SearchFolder, TrialLimits
from kerascnn.training.search.runner import is_poor
from kerascnn.training.search.tuner import initial_values, resume_search, run_search

pytestmark = pytest.mark.usefixtures("swift")

# `swift` replaces it.
DRAW = search_report.draw

TOP1 = Objective("val_top1", "max")


def nothing(record):
    pass


@pytest.mark.slow
def test_failures_are_recorded_and_the_search_goes_on(config_of, begin, warned, starts, fake):
    rates = [fake.HANGS, fake.CRASHES, fake.DIVERGES, fake.IS_KILLED, 0.1, 0.05]
    config = config_of({"optimizer.learning_rate": {"values": rates}}, tuner="grid", limits=TrialLimits(seconds=1.5))
    folder = begin(config)
    found = run_search(folder, warned.append, nothing)
    assert not warned
    by_rate = {record.fields["optimizer.learning_rate"]: record for record in found.records}
    assert [by_rate[rate].reason for rate in rates] == ["hang", "crash", "not finite", "memory", None, None]
    assert "SIGABRT: something broke" in by_rate[fake.CRASHES].detail
    assert [record.fields["optimizer.learning_rate"] for record in found.records[:2]] == [0.1, 0.05]
    assert found.best.score == fake.accuracy(0.1, 4)
    assert found.recipe.optimizer.learning_rate == 0.1
    # The system may have killed it for lack of memory: half the batch size, and half of that.
    assert starts(folder)[Journal(folder.trials, print).trial_folder(4, by_rate[fake.IS_KILLED].values).name] == [
        8,
        4,
        2,
    ]


def test_a_batch_that_does_not_fit_is_halved(config_of, begin, warned, fake):
    config = config_of({"batch_size": {"values": [64, 128]}}, tuner="grid")
    fits, fails = run_search(begin(config), warned.append, nothing).records
    assert (fits.status, fits.recipe["batch_size"]) == ("done", 16)
    assert [attempt["batch_size"] for attempt in fits.attempts] == [64, 32]
    assert (fails.reason, fails.recipe["batch_size"]) == ("memory", 32)


SPACE = {
    "optimizer.learning_rate": {"min": 2e-3, "max": 1, "sampling": "log", "step": 2},
    "model.shortcut": {"values": ["A", "B", "C"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["hyperband", "bayesian", "grid"])
def test_a_stopped_search_gives_the_same_result(tuner, config_of, begin, warned, starts):
    config = config_of(SPACE, tuner=tuner, max_trials=7)
    whole = run_search(begin(config, "whole"), warned.append, nothing)
    folder, ended = begin(config, "stopped"), []

    def stop(record):
        ended.append(record)
        if len(ended) in (2, 4, 6):
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            resume_search(folder.path, warn=warned.append, on_trial_end=stop)
    found = resume_search(folder.path, warn=warned.append, on_trial_end=stop)

    def results(records):
        return sorted((record.number, record.fields, record.epochs, record.score) for record in records)

    assert results(found.records) == results(whole.records)
    assert len(found.records) == 7
    assert {len(batches) for batches in starts(folder).values()} == {1}
    assert not warned


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(["oracle.json"], id="one"),
        pytest.param(["oracle.json", "oracle.previous.json"], id="both", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_oracle_loses_and_repeats_nothing(damaged, config_of, begin, warned, starts):
    config = config_of(SPACE, tuner="random", max_trials=6)
    folder, ended = begin(config), []

    def stop(record):
        ended.append(record)
        if len(ended) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(folder, warned.append, stop)
    for name in damaged:
        saved = (folder.path / name).read_bytes()
        (folder.path / name).write_bytes(saved[: len(saved) // 2] + b"\0" * (len(saved) // 2))
    found = resume_search(folder.path, warn=warned.append)
    assert len(warned) == len(damaged) and all("is damaged" in warning for warning in warned)
    assert len(found.records) == 6
    assert [record.fields for record in ended] == [record.fields for record in sorted(found.records, key=number)[:4]]
    assert {len(batches) for batches in starts(folder).values()} == {1}


def number(record):
    return record.number


def test_a_stopped_trial_is_resumed(config_of, begin, warned, starts, fake):
    config = config_of({"optimizer.learning_rate": {"values": [fake.WAITS, 0.1]}}, tuner="grid", budget=1.0)
    folder = begin(config)
    assert run_search(folder, warned.append, nothing).records == []
    [waiting] = Journal(folder.trials, warned.append).records()
    assert waiting.status == "running" and waiting.seconds > 0.5
    (folder.trials / "go").touch()
    found = resume_search(folder.path, budget=60, warn=warned.append)
    assert [record.status for record in found.records] == ["done", "done"]
    [again] = [batches for name, batches in starts(folder).items() if name.startswith("0001")]
    assert again == [8, 8]


@pytest.mark.slow
def test_a_damaged_record_loses_only_its_trial(config_of, begin, warned, starts):
    config = config_of(SPACE, tuner="random", max_trials=3)
    folder = begin(config)
    run_search(folder, warned.append, nothing)
    file = sorted(folder.trials.glob("*/trial.json"))[1]
    file.write_text(file.read_text()[:100])
    found = resume_search(folder.path, max_trials=4, warn=warned.append)
    assert len(found.records) == 3 and len(set(warned)) == 1 and str(file) in warned[0]


@pytest.mark.slow
def test_hyperband_continues_the_better_trials(config_of, begin, warned, fake):
    """With at most 4 epochs and a factor of 3: 5 trials of 2 epochs, of which the best 2 continue to 4, then 3 trials
    of 4 epochs (Li et al., 2018, algorithm 1, with keras-tuner's sizes)."""
    config = config_of({"optimizer.learning_rate": {"min": 1e-3, "max": 1, "sampling": "log"}}, tuner="hyperband")
    folder = begin(config)
    records = sorted(run_search(folder, warned.append, nothing).records, key=number)
    assert [record.epochs for record in records] == [2] * 5 + [4] * 5
    tried = sorted(records[:5], key=lambda record: -record.score)
    assert [record.fields for record in records[5:7]] == [record.fields for record in tried[:2]]
    # The promoted trials trained only two more epochs.
    assert [record.images for record in records] == [20] * 5 + [20] * 2 + [40] * 3
    assert [len(record.curve) for record in records[5:7]] == [4, 4]


@pytest.mark.slow
def test_hyperband_promotes_as_many_trials_if_some_fail(config_of, begin, warned, fake):
    rates = [fake.CRASHES, fake.DIVERGES, 0.1, 0.05, 0.5, 0.9, 0.7]
    config = config_of({"optimizer.learning_rate": {"values": rates}}, tuner="hyperband")
    records = run_search(begin(config), warned.append, nothing).records
    failed = [record for record in records if record.reason]
    assert failed
    assert [record.epochs for record in sorted(records, key=number)[:7]] == [2] * 5 + [4] * 2


def test_the_median_rule():
    others = [[0.2, 0.4, 0.6], [0.1, 0.5, 0.9], [0.3, 0.3, 0.3], [0.8]]
    # Their averages up to the second epoch are 0.3, 0.3, 0.3; the trial that stopped after the first does not count.
    assert is_poor([0.1, 0.29], others, 3, TOP1)
    assert not is_poor([0.1, 0.31], others, 3, TOP1)
    assert not is_poor([0.31, 0.1], others, 3, TOP1)
    assert not is_poor([0.1, 0.29], others[:2], 3, TOP1)
    assert not is_poor([0.1, 0.29], others, 9, TOP1)
    assert is_poor([0.9, 0.31], others, 3, Objective("val_loss", "min"))


@pytest.mark.slow
def test_a_poor_trial_is_stopped_early(config_of, begin, warned, fake):
    config = config_of({"optimizer.learning_rate": {"values": [0.1, 0.09, 0.08, fake.IS_SLOW]}}, tuner="grid")
    records = run_search(begin(config), warned.append, nothing).records
    assert records[-1].fields["optimizer.learning_rate"] == fake.IS_SLOW
    assert records[-1].status == "stopped early" and len(records[-1].curve) < 4
    assert records[-1].score == fake.accuracy(fake.IS_SLOW, len(records[-1].curve))


@pytest.mark.slow
def test_the_files_of_a_search(config_of, begin, warned, monkeypatch):
    config = config_of(SPACE, tuner="random", max_trials=10, layout="one subfolder per class")
    folder = begin(config)
    monkeypatch.setattr(search_report, "draw", DRAW)
    found = run_search(folder, warned.append, nothing)
    report = json.loads((folder.path / "report.json").read_text())
    scores = [trial["score"] for trial in report["trials"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 10
    assert report["best"] == report["trials"][0]
    assert report["layout"] == "one subfolder per class"
    assert report["spent"]["images"] == sum(10 * 4 for _ in range(10))
    # The learning rate alone decides.
    assert report["importance"]["optimizer.learning_rate"] > 0.8
    assert math.isclose(sum(report["importance"].values()), 1)
    for name in ("parallel.png", "importance.png"):
        with Image.open(folder.path / name) as image:
            assert min(image.size) > 150
    lines = (folder.path / "trials.csv").read_text().splitlines()
    assert len(lines) == 11 and "optimizer.learning_rate" in lines[0]
    columns, rows = hparams(folder)
    assert columns == {"optimizer.learning_rate", "model.shortcut"}
    best = f"trial {found.best.number}"
    assert rows[best]["optimizer.learning_rate"] == found.best.fields["optimizer.learning_rate"]
    assert len(rows) == 10


def hparams(folder: SearchFolder):
    """The columns and the rows of TensorBoard's HParams table."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    columns, rows = set(), {}
    for file in folder.tensorboard.glob("*/*tfevents*"):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                content = value.metadata.plugin_data.content
                if value.tag == metadata.SESSION_START_INFO_TAG:
                    started = HParamsPluginData.FromString(content).session_start_info
                    kinds = {name: one.WhichOneof("kind") for name, one in started.hparams.items()}
                    rows[file.parent.name] = {name: getattr(started.hparams[name], kinds[name]) for name in kinds}
                if value.tag == metadata.EXPERIMENT_TAG:
                    columns |= {one.name for one in HParamsPluginData.FromString(content).experiment.hparam_infos}
    return columns, rows


@pytest.mark.slow
def test_a_warm_start_begins_with_the_best_trials(config_of, begin, warned):
    config = config_of(SPACE, tuner="random", max_trials=8)
    before = run_search(begin(config, "before"), warned.append, nothing)
    narrow_space = {
        "optimizer.learning_rate": {"min": 1e-3, "max": 1, "sampling": "log"},
        "optimizer.momentum": {"min": 0.5, "max": 0.99},
    }
    narrow = config_of(narrow_space, tuner="bayesian")
    first = initial_values(narrow.space, narrow.recipe, [before.folder.path])
    rates = [record.fields["optimizer.learning_rate"] for record in before.records]
    # The recipe itself, then the distinct best trials.
    assert [values["optimizer.learning_rate"] for values in first][:3] == [0.1, *dict.fromkeys(rates)][:3]
    again = config_of(narrow_space, tuner="bayesian", max_trials=3, initial_values=first)
    records = sorted(run_search(begin(again, "after"), warned.append, nothing).records, key=number)
    assert [record.values for record in records] == first[:3]
