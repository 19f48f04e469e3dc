"""Contestants of the benchmarks that take no time; each writes down when it is its turn."""

import os
import time
from pathlib import Path

from benchmarks.part import Prepared


def counting(name, values, log):
    """Returns the values in turn, and writes its name and process at each."""
    rest = iter(values)

    def measure():
        with Path(log).open("a") as file:
            file.write(f"{name} {os.getpid()}\n")
        return next(rest)

    print("what a library prints")
    return Prepared(measure, macs=1e9)


def unprepared():
    raise MemoryError("no memory for this network")


def ending():
    os.write(2, b"a library's last words\n")
    os._exit(3)


def failing_later():
    def measure():
        raise ValueError("a round failed")

    return measure


def busy(seconds):
    def measure():
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return 1.0

    return measure


def slow():
    time.sleep(60)
