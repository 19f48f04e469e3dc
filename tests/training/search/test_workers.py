"""A chief and two workers on the loopback; one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from kerascnn.errors import InputError
from kerascnn.training.search.cluster import Member, member_of


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_given_out_again(plan_of, begin, starts, fake):
    rates = [fake.WAITS, 0.1, 0.2, 0.3]
    plan = plan_of({"optimizer.learning_rate": rates}, tuner="grid")
    folder = begin(plan)
    command = [sys.executable, "-m", "kerascnn", "tune", "--resume", str(folder.path), "--workers", "2", "--json"]
    chief = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths()}
    )
    try:
        # The first trial waits, until it is started for the second time.
        deadline = time.monotonic() + 120
        while not (running := waiting(folder, fake.WAITS)):
            assert time.monotonic() < deadline and chief.poll() is None
            time.sleep(0.2)
        [(record, program)] = running
        worker = parent_of(program)
        (folder.trials / "go").touch()
        os.kill(worker, signal.SIGKILL)
        out, err = chief.communicate(timeout=120)
    finally:
        chief.kill()
    assert chief.returncode == 0, err
    assert f"{record['worker']} is gone; trial 1 is given to the next worker" in err
    *trials, report = [json.loads(line) for line in out.splitlines()]
    assert sorted(trial["fields"]["optimizer.learning_rate"] for trial in trials) == sorted(rates)
    assert report["best"]["optimizer.learning_rate"] == 0.1
    again = {trial["fields"]["optimizer.learning_rate"]: trial["worker"] for trial in trials}
    assert again[fake.WAITS] != record["worker"]
    # The one that waited was started twice, the others once.
    assert sorted(len(batches) for batches in starts(folder).values()) == [1, 1, 1, 2]
    # A trial does not outlive its worker.
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)


def paths() -> str:
    """The path of modules of this process, for those that it starts."""
    return os.pathsep.join(path for path in sys.path if path)


def waiting(folder, rate):
    """The trials that have started their program and not ended, with the program's process."""
    found = []
    for file in folder.trials.glob("*/starts.txt"):
        record = json.loads((file.parent / "trial.json").read_text())
        pid = file.parent / "pid.txt"
        if record["status"] == "running" and pid.exists() and record["fields"]["optimizer.learning_rate"] == rate:
            found.append((record, int(pid.read_text())))
    return found


def parent_of(process: int) -> int:
    with open(f"/proc/{process}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_who_this_process_is(monkeypatch):
    for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert member_of() is None
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    with pytest.raises(InputError, match="KERASTUNER_TUNER_ID is not set"):
        member_of()
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert member_of() == Member("chief", "10.0.0.1:8000") and member_of().chief
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker3")
    assert not member_of().chief
