"""A trial in a process of its own: started, watched, stopped, and why it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kerascnn.errors import InputError
from kerascnn.training.search.journal import CRASH, HANG, MEMORY

POLL_SECONDS = 0.1

# A process that is asked to stop finishes its step and writes its state.
GRACE_SECONDS = 30.0

# The status of a trial's program that was asked to stop and has written its state.
INTERRUPTED = 130

# By these a trial would take itself for one of several workers of one training.
OF_A_CLUSTER = ("TF_CONFIG", "SLURM_PROCID", "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")

# What libraries say that abort instead of raising an exception.
OUT_OF_MEMORY = ("bad_alloc", "out of memory", "out_of_memory", "resource_exhausted", "cannot allocate memory")


@dataclass(frozen=True)
class TrialLimits:
    """When a trial hangs.

    Attributes:
        seconds: the longest it may run; None for as long as it needs.
        silence: the longest that it may do so without a step, in seconds; its start and its compilation count.
    """

    seconds: float | None = None
    silence: float = 1800.0

    def __post_init__(self):
        for name in ("seconds", "silence"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"the limit of a trial's {name} must be above 0, not {value}.")


class TrialExit(NamedTuple):
    """How a process ended.

    Attributes:
        reason: why it failed; None where it did not.
        detail: that in words.
        stopped: whether it was asked to stop before its end, and can go on.
    """

    reason: str | None = None
    detail: str = ""
    stopped: bool = False


def run(command: Sequence[str], folder: Path, limits: TrialLimits, attend: Callable[[], bool]) -> TrialExit:
    """Runs a trial's program until it ends or has to.

    Args:
        command: the program.
        folder: the trial's, where the program says how far it is (`beat`) and what went wrong (`outcome.json`); its
            output goes into `log.txt` there.
        limits: when it hangs.
        attend: is called several times a second; True stops the program so that it can go on later.
    """
    for name in ("outcome.json", "beat"):
        (folder / name).unlink(missing_ok=True)
    with (folder / "log.txt").open("wb") as log, _killed_in_the_end(_start(command, log)) as process:
        started = time.time()
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            now = time.time()
            if limits.seconds is not None and now - started > limits.seconds:
                _stop(process)
                return TrialExit(HANG, f"it did not end within {limits.seconds:g} seconds")
            if now - _last_beat(folder, started) > limits.silence:
                _stop(process)
                return TrialExit(HANG, f"it made no step for {limits.silence:g} seconds")
            if attend():
                _stop(process)
                return TrialExit(stopped=True)
    return _ending(process.returncode, folder)


def _start(command: Sequence[str], log) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_CLUSTER}
    # The terminal's Ctrl-C comes to this process alone, which passes it on.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )


@contextmanager
def _killed_in_the_end(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    try:
        yield process
    except BaseException:
        _stop(process)
        raise
    finally:
        # What the program itself started, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _stop(process: subprocess.Popen) -> None:
    """Asks, and makes it stop when it does not."""
    # With a launcher before it, the program is not the process itself.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_beat(folder: Path, started: float) -> float:
    try:
        return (folder / "beat").stat().st_mtime
    except OSError:
        return started


def _ending(status: int, folder: Path) -> TrialExit:
    try:
        outcome = json.loads((folder / "outcome.json").read_bytes())
        return TrialExit(outcome["reason"], outcome["detail"])
    except (OSError, ValueError, KeyError):
        pass
    if status in (INTERRUPTED, -signal.SIGTERM, -signal.SIGINT):
        # A scheduler that ends a job tells every process of it.
        return TrialExit(stopped=True)
    last = _last_words(folder / "log.txt")
    if status == -signal.SIGKILL:
        return TrialExit(MEMORY, "it was killed, as systems do when memory runs out")
    how = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
    reason = MEMORY if any(words in last.lower() for words in OUT_OF_MEMORY) else CRASH
    return TrialExit(reason, f"{how}: {last.splitlines()[-1].strip()}" if last.strip() else how)


def _last_words(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        return file.read().decode(errors="replace").strip()
