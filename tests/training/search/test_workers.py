"""A chief and two workers on this machine, one of which is killed."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kerascnn.errors import InputError
from kerascnn.files.folder_owner import FolderInUseError, owned
from kerascnn.training.search import trial_training
from kerascnn.training.search.cluster import ClusterMember, this_member
from support import fake_trial
from support.messages import mentioning, names
from support.processes import parent_of, state_of


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_reassigned(config_of, begin, starts, swift, command):
    rates = [fake_trial.WAITS, 0.1, 0.2, 0.3]
    folder = begin(config_of({"optimizer.learning_rate": {"values": rates}}, tuner="grid"))

    def kill():
        """Kills the worker of the first trial, which waits until it is started again."""
        try:
            deadline = time.monotonic() + 120
            while not (running := waiting(folder, fake_trial.WAITS)):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            [(record, program)] = running
            os.kill(parent_of(program), signal.SIGKILL)
            return record, program
        finally:
            (folder.trials / "go").touch()

    # This process is the chief; its workers are processes of their own.
    with ThreadPoolExecutor(max_workers=1) as other:
        killing = other.submit(kill)
        outcome = command("tune", "--resume", folder.path, "--workers", 2, "--json")
        record, program = killing.result()
    assert outcome.status == 0, outcome.err
    names(outcome.err, f"{record['worker']} has exited", "trial 1")
    *trials, report = [json.loads(line) for line in outcome.out.splitlines()]
    assert sorted(trial["fields"]["optimizer.learning_rate"] for trial in trials) == sorted(rates)
    assert report["best"]["optimizer.learning_rate"] == 0.1
    again = {trial["fields"]["optimizer.learning_rate"]: trial["worker"] for trial in trials}
    assert again[fake_trial.WAITS] != record["worker"]
    # The trial that waited was started twice, the others once.
    assert sorted(len(batches) for batches in starts(folder).values()) == [1, 1, 1, 2]
    # A trial does not outlive its worker.
    assert state_of(program) in ("gone", "Z")


def waiting(folder, rate):
    """The running trials whose program has started, with the program's process number."""
    found = []
    for file in folder.trials.glob("*/starts.txt"):
        record = json.loads((file.parent / "trial.json").read_text())
        pid = file.parent / "pid.txt"
        if (
            record["status"] == "running"
            and pid.exists()
            and pid.read_text()
            and record["fields"]["optimizer.learning_rate"] == rate
        ):
            found.append((record, int(pid.read_text())))
    return found


@pytest.mark.slow
def test_workers_and_trials_die_with_their_chief(config_of, begin, forks, tmp_path, starts, swift, command):
    """The chief is killed; continued, the search trains the trial in the same folder, alone."""
    folder = begin(config_of({"optimizer.learning_rate": {"values": [fake_trial.WAITS, 0.1]}}, tuner="grid"))
    chief = forks.start(
        "support.tiny_command:run", "tune", "--resume", folder.path, "--workers=1", output=tmp_path / "chief"
    )
    chief.wait_for(lambda: waiting(folder, fake_trial.WAITS))
    [(_, program)] = waiting(folder, fake_trial.WAITS)
    worker = parent_of(program)
    chief.kill()
    deadline = time.monotonic() + 20
    while {state_of(worker), state_of(program)} - {"gone", "Z"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (folder.trials / "go").touch()
    outcome = command("tune", "--resume", folder.path, "--json")
    assert outcome.status == 0, outcome.err
    assert sorted(len(batches) for batches in starts(folder).values()) == [1, 2]


def test_a_trial_owns_its_folder(tmp_path, monkeypatch):
    (tmp_path / "trial_config.json").write_text(json.dumps({"parent": None}))
    monkeypatch.setattr(trial_training, "exit_with_parent", lambda parent: None)

    def train_trial(folder, config):
        with mentioning(FolderInUseError, folder), owned(folder):
            pass

    monkeypatch.setattr(trial_training, "train_trial", train_trial)
    assert trial_training.main(tmp_path) == 0
    assert json.loads((tmp_path / "outcome.json").read_text())["reason"] is None


def test_the_role_of_this_process(monkeypatch):
    for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert this_member() is None
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    with mentioning(InputError, "KERASTUNER_TUNER_ID"):
        this_member()
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert this_member() == ClusterMember("chief", "10.0.0.1:8000") and this_member().is_chief
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker3")
    assert not this_member().is_chief
