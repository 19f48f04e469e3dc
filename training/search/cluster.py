"""Parallel searches: a chief that hands out trials, and workers on this machine or on others."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from kerascnn.errors import InputError
from kerascnn.files.folder_owner import owned
from kerascnn.parent_process import as_parent
from kerascnn.training.search import oracles
from kerascnn.training.search.folder import Journal, SearchFolder, TrialRecord
from kerascnn.training.search.report import Search, finish
from kerascnn.training.search.runner import TrialRunner, run_trials
from kerascnn.training.search.trial_process import GRACE_SECONDS, KERASTUNER_VARIABLES, start_process, wait_or_kill
from kerascnn.training.strategy.local_workers import free_ports

POLL_SECONDS = 0.2
# How long a worker waits for the chief: at startup, and later.
START_SECONDS = 600.0
PATIENCE_SECONDS = 30.0
HEARTBEATS_PER_TIMEOUT = 6  # A worker sends so many heartbeats before the chief's timeout


class ChiefLostError(RuntimeError):
    """A worker cannot reach the chief; what it finished is in the search's folder."""


class WorkersLostError(RuntimeError):
    """Every worker ended before the search did."""


@dataclass(frozen=True)
class ClusterMember:
    """A process of a parallel search: its name, which contains "chief" for the chief, and the chief's "host:port"."""

    tuner_id: str
    address: str

    @property
    def is_chief(self) -> bool:
        return "chief" in self.tuner_id


def this_member() -> ClusterMember | None:
    """This process by keras-tuner's environment variables; None if none is set, InputError if only some are."""
    values = [os.environ.get(name) for name in KERASTUNER_VARIABLES]
    if not any(values[1:]):
        return None
    missing = [name for name, value in zip(KERASTUNER_VARIABLES, values, strict=True) if not value]
    if missing:
        names = ", ".join(KERASTUNER_VARIABLES)
        raise InputError(f"{missing[0]} is not set, but others of {names} are; a search needs all three.")
    return ClusterMember(values[0], f"{values[1]}:{values[2]}")


def run_chief(
    member: ClusterMember,
    folder: SearchFolder,
    warn: Callable[[str], None],
    on_trial_end: Callable[[TrialRecord], None],
    exited_workers: Callable[[], list[str]] = list,
) -> Search:
    """Hands out the trials of a search until none is left, and writes the results.

    The trial of a worker that is named by `exited_workers`, or that sends no heartbeat within the timeout, is
    reassigned; `warn` takes warnings about workers, too. Raises InputError if the address is not available, or another
    process runs the search.
    """
    with owned(folder.path):
        return _hand_out(member, folder, warn, on_trial_end, exited_workers)


def _hand_out(
    member: ClusterMember,
    folder: SearchFolder,
    warn: Callable[[str], None],
    on_trial_end: Callable[[TrialRecord], None],
    exited_workers: Callable[[], list[str]],
) -> Search:
    config = folder.read_config()
    oracle = oracles.open_oracle(folder.path, config, warn)
    journal = Journal(folder.trials, warn)
    reported = {record.number for record in journal.records() if record.ended}
    servicer = oracles.OracleServicer(oracle)
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    oracles.add_servicer_to_server(servicer, server)
    try:
        server.add_insecure_port(member.address)
    except RuntimeError:
        _, host, port = KERASTUNER_VARIABLES
        raise InputError(f"cannot listen on {member.address}; set {host} and {port}.") from None
    server.start()
    over_budget = config.budget_timer()
    closing = float("inf")
    try:
        while True:
            time.sleep(POLL_SECONDS)
            for record in journal.records():
                if record.ended and record.number not in reported:
                    reported.add(record.number)
                    on_trial_end(record)
            oracle.closed = oracle.closed or over_budget()
            if oracle.closed or servicer.stop_triggered:
                closing = min(closing, time.monotonic())
            waiting = oracle.ongoing_trials or oracle.tuner_ids
            if time.monotonic() > closing + (GRACE_SECONDS + oracle.timeout if waiting else 0):
                break
            lost = dict.fromkeys(oracle.stale_workers(), f"sent no heartbeat for {oracle.timeout:g} s")
            lost |= dict.fromkeys(exited_workers(), "has exited")
            for worker, why in lost.items():
                trial = oracle.ongoing_trials.get(worker)
                oracle.reassign(worker)
                if trial:
                    warn(f"{worker} {why}; trial {int(trial.trial_id) + 1} is reassigned")
    finally:
        server.stop(grace=1.0).wait()
    return finish(folder, config, journal, complete=not oracle.closed)


def run_local_workers(
    count: int, folder: SearchFolder, warn: Callable[[str], None], on_trial_end: Callable[[TrialRecord], None]
) -> Search:
    """Runs a search with `count` worker processes on this machine, as their chief."""
    workers = LocalSearchWorkers(folder, count)
    try:
        return run_chief(workers.chief, folder, warn, on_trial_end, workers.exited)
    finally:
        workers.stop()


def run_worker(member: ClusterMember, folder: SearchFolder, warn: Callable[[str], None]) -> None:
    """Runs trials that the chief hands out, until there are no more or the budget is used up.

    Raises ChiefLostError if the chief does not answer, or has written no settings into the folder.
    """
    end = time.monotonic() + START_SECONDS
    while not folder.config_file.is_file():
        if time.monotonic() > end:
            raise ChiefLostError(f"the chief has not written {folder.config_file}; is the folder shared?")
        time.sleep(1.0)
    config = folder.read_config()
    client, over_budget = _ChiefClient(), config.budget_timer()
    journal = Journal(folder.trials, warn)
    runner = TrialRunner(config, journal, member.tuner_id, lambda: client.lost or over_budget())
    try:
        run_trials(client, runner, lambda record: None)
    except grpc.RpcError as error:
        raise ChiefLostError(f"the chief at {member.address} does not answer: {error.code().name}.") from None
    finally:
        client.closed.set()
    if client.lost:
        raise ChiefLostError(f"the chief at {member.address} does not answer any more.")


class _ChiefClient:
    """keras-tuner's client of the chief's oracle, with heartbeats for the running trial."""

    def __init__(self):
        # The oracle that it expects is only asked for its settings.
        self._client = oracles.OracleClient(None)
        self.get_trial = self._client.get_trial
        self.update_trial = self._client.update_trial
        self.closed = threading.Event()
        self._trial: str | None = None
        self._answered: float | None = None
        threading.Thread(target=self._send_heartbeats, daemon=True).start()

    @property
    def lost(self) -> bool:
        """Whether the chief has not answered for so long that it may reassign the trial."""
        return self._answered is not None and time.monotonic() - self._answered > oracles.HEARTBEAT_TIMEOUT * 2 / 3

    def create_trial(self, tuner_id: str) -> Any:
        self._trial = None
        # The client's own calls wait an hour for a chief.
        patience = START_SECONDS if self._answered is None else PATIENCE_SECONDS
        self._client.stub.GetSpace(oracles.GetSpaceRequest(), wait_for_ready=True, timeout=patience)
        self._answered = time.monotonic()
        trial = self._client.create_trial(tuner_id)
        self._trial = trial.trial_id if trial.status == "RUNNING" else None
        return trial

    def end_trial(self, trial: Any) -> None:
        self._trial = None
        self._client.end_trial(trial)

    def _send_heartbeats(self) -> None:
        interval = oracles.HEARTBEAT_TIMEOUT / HEARTBEATS_PER_TIMEOUT
        while not self.closed.wait(interval):
            trial = self._trial
            with contextlib.suppress(grpc.RpcError):
                if trial is not None:
                    self._client.stub.GetTrial(oracles.GetTrialRequest(trial_id=trial), timeout=interval)
                self._answered = self._answered and time.monotonic()


class LocalSearchWorkers:
    """`count` worker processes on this machine, for a chief in this process, `chief`.

    Each writes its output into `worker0.log` and so on in the search's folder, and gets its own GPU if there are any;
    InputError if these are too few.
    """

    def __init__(self, folder: SearchFolder, count: int):
        [port] = free_ports(1)
        self.chief = ClusterMember("chief", f"127.0.0.1:{port}")
        self._exited: set[str] = set()
        gpus = _gpus() if folder.read_config().devices == "one" else []
        if gpus and len(gpus) < count:
            raise InputError(f"{count} workers need one GPU each, but there are {len(gpus)} GPU(s); use --devices cpu.")
        self.processes: dict[str, subprocess.Popen] = {}
        for number in range(count):
            name = f"worker{number}"
            variables = dict(zip(KERASTUNER_VARIABLES, (name, "127.0.0.1", str(port)), strict=True))
            if gpus:
                variables["CUDA_VISIBLE_DEVICES"] = gpus[number]
            command = [sys.executable, "-m", "kerascnn", "tune", "--resume", str(folder.path)]
            with (folder.path / f"{name}.log").open("wb") as log:
                self.processes[name] = start_process(command, log, {**os.environ, **variables, **as_parent()})

    def exited(self) -> list[str]:
        """The workers that have exited since the last call; WorkersLostError if all have, one of them with an error."""
        status = {name: process.returncode for name, process in self.processes.items() if process.poll() is not None}
        if len(status) == len(self.processes) and any(status.values()):
            raise WorkersLostError("every worker has ended; see worker0.log in the search's folder.")
        new = [name for name in status if name not in self._exited]
        self._exited.update(new)
        return new

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self.processes.values():
            wait_or_kill(process, 2 * GRACE_SECONDS)


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    import tensorflow as tf

    return [str(number) for number in range(len(tf.config.list_physical_devices("GPU")))]
