"""A chief and two workers on the loopback; one of them is killed."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kerascnn.errors import InputError
from kerascnn.training.search.cluster import Member, member_of
from support import fake_trial
from support.messages import mentioning, names


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_given_out_again(plan_of, begin, starts, swift, command):
    rates = [fake_trial.WAITS, 0.1, 0.2, 0.3]
    folder = begin(plan_of({"optimizer.learning_rate": rates}, tuner="grid"))

    def kill():
        """Kills the worker of the first trial, which waits until it is started for the second time."""
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

    # The chief is this process; its workers are programs, as ever.
    with ThreadPoolExecutor(max_workers=1) as other:
        killing = other.submit(kill)
        outcome = command("tune", "--resume", folder.path, "--workers", 2, "--json")
        record, program = killing.result()
    assert outcome.status == 0, outcome.err
    names(outcome.err, f"{record['worker']} is gone", "trial 1")
    *trials, report = [json.loads(line) for line in outcome.out.splitlines()]
    assert sorted(trial["fields"]["optimizer.learning_rate"] for trial in trials) == sorted(rates)
    assert report["best"]["optimizer.learning_rate"] == 0.1
    again = {trial["fields"]["optimizer.learning_rate"]: trial["worker"] for trial in trials}
    assert again[fake_trial.WAITS] != record["worker"]
    # The one that waited was started twice, the others once.
    assert sorted(len(batches) for batches in starts(folder).values()) == [1, 1, 1, 2]
    # A trial does not outlive its worker.
    assert state_of(program) in ("gone", "Z")


def waiting(folder, rate):
    """The trials that have started their program and not ended, with the program's process."""
    found = []
    for file in folder.trials.glob("*/starts.txt"):
        record = json.loads((file.parent / "trial.json").read_text())
        pid = file.parent / "pid.txt"
        if record["status"] == "running" and pid.exists() and record["fields"]["optimizer.learning_rate"] == rate:
            found.append((record, int(pid.read_text())))
    return found


def stat_of(process: int) -> list[str]:
    """What Linux says of a process: its state, its parent and more."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def parent_of(process: int) -> int:
    return int(stat_of(process)[1])


def state_of(process: int) -> str:
    """Such as "Z" of one that has ended, and whose parent has not asked for its status yet."""
    try:
        return stat_of(process)[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def test_who_this_process_is(monkeypatch):
    for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert member_of() is None
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    with mentioning(InputError, "KERASTUNER_TUNER_ID"):
        member_of()
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert member_of() == Member("chief", "10.0.0.1:8000") and member_of().chief
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker3")
    assert not member_of().chief
