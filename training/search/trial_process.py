"""A trial's process: start, supervision, exit, and the files by which it communicates with the search."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kerascnn.training.search.folder import TrialLimits

# In a trial's folder: what to train, the metrics of each epoch, the number of images so far, a request to stop early,
# and why the trial failed.
TRIAL_CONFIG, METRICS, HEARTBEAT, STOP = "trial_config.json", "metrics.jsonl", "heartbeat", "stop"
OUTCOME = "outcome.json"
MEMORY, NOT_FINITE, CRASH, HANG, INVALID = "memory", "not finite", "crash", "hang", "invalid"  # Why a trial failed
# The command that runs a trial; the trial's folder follows.
PROGRAM = (sys.executable, "-m", "kerascnn.training.search.trial_training")
POLL_SECONDS = 0.1
GRACE_SECONDS = 30.0  # A process that is asked to stop finishes its step and writes a checkpoint
INTERRUPTED = 130  # The exit status of a trial that was asked to stop and has written a checkpoint
# With these a trial would believe to be one of several workers.
KERASTUNER_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
CLUSTER_VARIABLES = ("TF_CONFIG", "SLURM_PROCID", *KERASTUNER_VARIABLES)
# Messages of libraries that abort instead of raising an exception.
OUT_OF_MEMORY = ("bad_alloc", "out of memory", "out_of_memory", "cannot allocate memory")
OUT_OF_MEMORY += ("resource_exhausted", "resourceexhausted")


class TrialExit(NamedTuple):
    """How a trial's process ended: why it failed, if it did, or that it was stopped and can be resumed."""

    reason: str | None = None
    detail: str = ""
    stopped: bool = False


def run_process(
    command: Sequence[str], folder: Path, limits: TrialLimits, should_stop: Callable[[], bool]
) -> TrialExit:
    """Runs a trial's program, with its output in `log.txt`, until it ends or has to be stopped.

    `should_stop` is called several times per second; True stops the program so that it can be resumed.
    """
    for name in (OUTCOME, HEARTBEAT):
        (folder / name).unlink(missing_ok=True)
    with (folder / "log.txt").open("wb") as log, _trial_process(command, log) as process:
        started = time.time()
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            now, heartbeat = time.time(), started
            with contextlib.suppress(OSError):
                heartbeat = (folder / HEARTBEAT).stat().st_mtime
            if limits.seconds is not None and now - started > limits.seconds:
                return TrialExit(HANG, f"it did not end within {limits.seconds:g} seconds")
            if now - heartbeat > limits.seconds_per_step:
                return TrialExit(HANG, f"it finished no step for {limits.seconds_per_step:g} seconds")
            if should_stop():
                return TrialExit(stopped=True)
    return _exit_of(process.returncode, folder)


def is_finished(folder: Path, done: int, epochs: int | None) -> bool:
    """Whether a trial ends after `done` epochs: these are all its `epochs`, or the search stops it early."""
    return done > 0 and (done == epochs or (folder / STOP).exists())


def read_curve(folder: Path) -> list[dict[str, float]]:
    """The metrics of every epoch so far; the newer ones of an epoch that was repeated."""
    epochs: dict[int, dict[str, float]] = {}
    file = folder / METRICS
    for line in file.read_text().splitlines() if file.exists() else ():
        # A line is incomplete if the process was killed.
        with contextlib.suppress(ValueError):
            metrics = json.loads(line)
            epochs[int(metrics["epoch"])] = metrics
    return [epochs[number] for number in sorted(epochs)]


def read_images(folder: Path) -> int:
    """The number of images that a trial's process has trained on."""
    try:
        return int((folder / HEARTBEAT).read_text())
    except (OSError, ValueError):
        return 0


def start_process(command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen:
    """Starts a process in a session of its own: the terminal's Ctrl-C reaches only this process, which passes it on."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )


def wait_or_kill(process: subprocess.Popen, seconds: float) -> None:
    """Waits for a process that was asked to stop, and kills it if it does not."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _trial_process(command: Sequence[str], log: IO[bytes]) -> Iterator[subprocess.Popen]:
    inherited = {name: value for name, value in os.environ.items() if name not in CLUSTER_VARIABLES}
    # The last line of the log says why a trial crashed; TensorFlow's remarks about the machine would hide it.
    process = start_process(command, log, {"TF_CPP_MIN_LOG_LEVEL": "3", **inherited})
    try:
        yield process
    finally:
        if process.poll() is None:
            # The whole group: with a launcher, the program is its child.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            wait_or_kill(process, GRACE_SECONDS)
        # Processes that the program itself started.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _exit_of(status: int, folder: Path) -> TrialExit:
    with contextlib.suppress(OSError, ValueError, KeyError):
        outcome = json.loads((folder / OUTCOME).read_bytes())
        return TrialExit(outcome["reason"], outcome["detail"])
    if status in (INTERRUPTED, -signal.SIGTERM, -signal.SIGINT):
        # A scheduler that ends a job signals every process of it.
        return TrialExit(stopped=True)
    if status == -signal.SIGKILL:
        return TrialExit(MEMORY, "it was killed, as systems do when memory runs out")
    log = folder / "log.txt"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        last = file.read().decode(errors="replace").strip()
    how = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
    reason = MEMORY if any(phrase in last.lower() for phrase in OUT_OF_MEMORY) else CRASH
    return TrialExit(reason, f"{how}: {last.splitlines()[-1].strip()}" if last else how)
