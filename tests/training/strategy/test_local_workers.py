"""Processes that are started, observed and stopped together; they do not run TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from kerascnn.training.strategy import local_workers
from kerascnn.training.strategy.local_workers import LocalWorkers
from support.processes import state_of

OWN_NUMBER = 'import json, os, sys, time; number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]\n'


def workers(program, count=2):
    return LocalWorkers([sys.executable, "-c", OWN_NUMBER + program], count)


def test_each_worker_has_its_index_in_one_cluster(capfd):
    assert workers('print(os.environ["TF_CONFIG"])', 3).wait() == [0, 0, 0]
    out, err = capfd.readouterr()
    others = dict(line.split("] ", 1) for line in err.splitlines())
    configs = [json.loads(out), json.loads(others["[worker 1"]), json.loads(others["[worker 2"])]
    assert [config["task"] for config in configs] == [{"type": "worker", "index": index} for index in range(3)]
    addresses = configs[0]["cluster"]["worker"]
    assert configs[1]["cluster"] == configs[2]["cluster"] == {"worker": addresses}
    assert len(set(addresses)) == 3 and all(address.startswith("127.0.0.1:") for address in addresses)


def test_only_the_chief_writes_to_standard_output(capfd):
    workers('print(f"result {number}"); print(f"line {number}", file=sys.stderr)').wait()
    out, err = capfd.readouterr()
    assert out == "result 0\n"
    assert sorted(err.splitlines()) == ["[worker 0] line 0", "[worker 1] line 1", "[worker 1] result 1"]


def test_if_one_worker_fails_the_others_are_stopped(monkeypatch):
    monkeypatch.setattr(local_workers, "GRACE_SECONDS", 0.5)
    started = workers("sys.exit(5) if number == 1 else time.sleep(60)")
    begun = time.monotonic()
    assert started.wait() == [-signal.SIGTERM, 5]
    assert started.first_failed == 1
    assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_a_worker_that_ignores_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(local_workers, "GRACE_SECONDS", 0.5)
    stubborn = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(60 if number == 0 else 1)
sys.exit(4)
"""
    assert workers(stubborn).wait() == [-signal.SIGKILL, 4]


def test_workers_die_with_the_process_that_started_them(tmp_path):
    program = """
import sys
from kerascnn.training.strategy.local_workers import LocalWorkers
child = '''
import os, time
from kerascnn.parent_process import follow_parent
follow_parent()
print(os.getpid(), "KERASCNN_PARENT" in os.environ, flush=True)
time.sleep(60)
'''
LocalWorkers([sys.executable, "-c", child], 1).wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        worker, inherited = process.stdout.readline().split()
        assert inherited == "False"
        process.kill()
    deadline = time.monotonic() + 20
    while state_of(int(worker)) not in ("gone", "Z"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(number):
    program = """
import sys
from kerascnn.training.strategy.local_workers import LocalWorkers
child = '''
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
print("ready", flush=True)
time.sleep(60)
'''
workers = LocalWorkers([sys.executable, "-c", child], 2)
print(workers.wait(), workers.stop_requested, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    lines = {process.stdout.readline(), process.stdout.readline()}
    assert lines == {"ready\n", "[worker 1] ready\n"}
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert rest == "[130, 130] True\n"
