"""Several workers of one search: keras-tuner's chief and workers, with trials that outlive a worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

from kerascnn.errors import InputError
from kerascnn.training.search.journal import Journal, Record
from kerascnn.training.search.oracles import LEASE_SECONDS
from kerascnn.training.search.plan import SearchConfig, SearchFolder
from kerascnn.training.search.processes import GRACE_SECONDS
from kerascnn.training.search.result import Search, finish
from kerascnn.training.search.runner import Runner
from kerascnn.training.search.work import opened_oracle, work

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")

POLL_SECONDS = 0.2

# How long a worker waits for the chief: at its start, and where it was there before.
START_SECONDS = 600.0
PATIENCE_SECONDS = 30.0

# A worker shows itself so many times before its trial is given away.
BEATS_A_LEASE = 6


class ChiefLostError(RuntimeError):
    """A worker cannot reach the chief any more; what it finished is in the search's folder."""


@dataclass(frozen=True)
class Member:
    """What this process is among those of a search.

    Attributes:
        tuner_id: its name; the chief's holds "chief".
        address: "host:port" of the chief.
    """

    tuner_id: str
    address: str

    @property
    def chief(self) -> bool:
        """Whether it hands out the trials, instead of running some."""
        return "chief" in self.tuner_id


def member_of() -> Member | None:
    """What keras-tuner's variables say that this process is; None where they are not set.

    Raises:
        InputError: some of them are set only.
    """
    values = [os.environ.get(name) for name in VARIABLES]
    if not any(values[1:]):
        return None
    missing = [name for name, value in zip(VARIABLES, values, strict=True) if not value]
    if missing:
        raise InputError(
            f"{missing[0]} is not set, but others of {', '.join(VARIABLES)} are; a search needs all three."
        )
    return Member(values[0], f"{values[1]}:{values[2]}")


def serve(
    member: Member,
    folder: SearchFolder,
    plan: SearchConfig,
    tell: Callable[[str], None],
    watch: Callable[[Record], None],
    *,
    gone: Callable[[], list[str]] = list,
    lease: float = LEASE_SECONDS,
) -> Search:
    """Hands out the trials of a search until none is left, and reports.

    A worker that is gone, or of which nothing is heard for a while, loses its trial to the next one that asks.

    Args:
        member: the chief.
        folder, plan: of the search.
        tell: takes sentences about workers.
        watch: takes the record of every trial that has ended.
        gone: the names of workers that are known to be gone; an exception ends the search.
        lease: the seconds of silence after which a trial is given away.

    Raises:
        InputError: the address cannot be taken.
    """
    oracle = opened_oracle(folder.path, plan, tell, lease)
    journal = Journal(folder.trials, tell)
    shown = {record.number for record in journal.records() if record.ended}
    servicer = OracleServicer(oracle)
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(member.address)
    except RuntimeError:
        raise InputError(f"{member.address} cannot be listened on; set {VARIABLES[1]} and {VARIABLES[2]}.") from None
    server.start()
    end = time.monotonic() + plan.budget if plan.budget else float("inf")
    last_call = float("inf")
    try:
        while True:
            time.sleep(POLL_SECONDS)
            _show(journal, shown, watch)
            if time.monotonic() > end:
                oracle.closed = True
            if oracle.closed or servicer.stop_triggered:
                last_call = min(last_call, time.monotonic())
            waiting = oracle.ongoing_trials or oracle.tuner_ids
            if time.monotonic() > last_call + (GRACE_SECONDS + lease if waiting else 0):
                break
            for tuner_id in gone():
                _give_away(oracle, tuner_id, f"{tuner_id} is gone", tell)
            for tuner_id in oracle.silent():
                _give_away(oracle, tuner_id, f"nothing was heard of {tuner_id} for {lease:g} s", tell)
    finally:
        server.stop(grace=1.0).wait()
    return finish(folder, plan, journal, whole=not oracle.closed)


def _give_away(oracle: Any, tuner_id: str, why: str, tell: Callable[[str], None]) -> None:
    had = oracle.ongoing_trials.get(tuner_id)
    oracle.release(tuner_id)
    if had:
        tell(f"{why}; trial {int(had.trial_id) + 1} is given to the next worker")


def _show(journal: Journal, shown: set[int], watch: Callable[[Record], None]) -> None:
    for record in journal.records():
        if record.ended and record.number not in shown:
            shown.add(record.number)
            watch(record)


def assist(member: Member, plan: SearchConfig, folder: SearchFolder, tell: Callable[[str], None], lease: float) -> None:
    """Runs trials that the chief hands out, until it has no more or the plan's budget is used up.

    Args:
        member: this worker.
        plan, folder: of the search; the folder is one that the chief sees, too.
        tell: takes sentences about damaged files.
        lease: see `serve`.

    Raises:
        ChiefLostError: the chief is not there, or no more.
    """
    client = _Client(plan, lease)
    end = time.monotonic() + plan.budget if plan.budget else float("inf")
    runner = Runner(plan, Journal(folder.trials, tell), member.tuner_id, lambda: client.lost or time.monotonic() > end)
    try:
        work(client, runner, member.tuner_id, lambda record: None)
    except grpc.RpcError as error:
        raise ChiefLostError(f"the chief at {member.address} does not answer: {error.code().name}.") from None
    finally:
        client.close()
    if client.lost:
        raise ChiefLostError(f"the chief at {member.address} does not answer any more.")


class _Client:
    """keras-tuner's client of an oracle, which shows the chief that its trial is being run."""

    def __init__(self, plan: SearchConfig, lease: float):
        # An oracle of its own is asked for its settings only.
        self._client = OracleClient(None)
        self._plan = plan
        self._lease = lease
        self._trial: str | None = None
        self._closed = threading.Event()
        self._heard: float | None = None
        threading.Thread(target=self._show_life, daemon=True).start()

    @property
    def lost(self) -> bool:
        """Whether the chief was silent for so long that it may give the trial away."""
        return self._heard is not None and time.monotonic() - self._heard > self._lease * 2 / 3

    def create_trial(self, tuner_id: str) -> Any:
        self._trial = None
        # Its own calls wait an hour for a chief.
        self._client.stub.GetSpace(
            protos.get_service().GetSpaceRequest(),
            wait_for_ready=True,
            timeout=START_SECONDS if self._heard is None else PATIENCE_SECONDS,
        )
        self._heard = time.monotonic()
        trial = self._client.create_trial(tuner_id)
        self._trial = trial.trial_id if trial.status == "RUNNING" else None
        return trial

    def get_trial(self, trial_id: str) -> Any:
        return self._client.get_trial(trial_id)

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int) -> None:
        self._client.update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Any) -> None:
        self._trial = None
        self._client.end_trial(trial)

    def close(self) -> None:
        self._closed.set()

    def _show_life(self) -> None:
        while not self._closed.wait(self._lease / BEATS_A_LEASE):
            trial = self._trial
            try:
                if trial is not None:
                    request = protos.get_service().GetTrialRequest(trial_id=trial)
                    self._client.stub.GetTrial(request, timeout=self._lease / BEATS_A_LEASE)
                self._heard = self._heard and time.monotonic()
            except grpc.RpcError:
                pass
