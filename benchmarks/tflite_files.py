"""Sizes of all networks' `.tflite` files and milliseconds of an image: `python -m benchmarks.tflite_files`.

    python -m benchmarks.tflite_files                         # what tflite_files.csv lacks
    python -m benchmarks.tflite_files resnet50 googlenet      # these again

One process writes one file after the other and appends a line for each, so that it can be ended at any time. The
networks are untrained, with random images to calibrate integers: sizes do not depend on the values, but on which layers
integers would harm (see `kerascnn.export.integer_quantization`). `python -m benchmarks tflite` compares fewer networks
with other libraries, on a quiet machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.exported import CALIBRATION_IMAGES, images_of, trained_network
from benchmarks.machine import Machine, this_machine
from benchmarks.part import chosen
from benchmarks.parts.tflite import QUANTIZATIONS, one_image_of
from benchmarks.photographs import temporary_folder
from kerascnn.applications.registry import REGISTRY
from kerascnn.errors import InputError, one_line

MEASURED = Path(__file__).with_suffix(".csv")
ROUNDS, SECONDS = 3, 0.5


@dataclass(frozen=True)
class TFLiteFile:
    """A line of tflite_files.csv.

    Attributes:
        date: of the measurement, in UTC.
        network, quantization: what was written.
        size_bytes: of the file.
        ms_1_thread, ms_2_threads: of one image, the median of the rounds; "" if there are fewer cores than threads.
        failure: why there is no file, or "".
        processor, instructions, cores, versions, commit: see `benchmarks.machine.Machine`.
    """

    date: str
    network: str
    quantization: str
    size_bytes: str
    ms_1_thread: str
    ms_2_threads: str
    failure: str
    processor: str
    instructions: str
    cores: str
    versions: str
    commit: str

    def milliseconds(self, threads: int) -> str:
        """Of one image, or ""."""
        return {1: self.ms_1_thread, 2: self.ms_2_threads}[threads]


def read(path: Path = MEASURED) -> dict[tuple[str, str], TFLiteFile]:
    """The last line of every network and quantization; none if there is no such file."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        lines = [TFLiteFile(**line) for line in csv.DictReader(file)]
    return {(line.network, line.quantization): line for line in lines}


def measured(name: str, machine: Machine) -> Iterator[TFLiteFile]:
    """Writes the network's files, one after the other, and measures each."""
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    size, path = REGISTRY[name].input_size, temporary_folder() / f"{name}.tflite"
    network = deployable(trained_network(name, size))
    for quantization in QUANTIZATIONS:
        found = {"size_bytes": "", "ms_1_thread": "", "ms_2_threads": "", "failure": ""}
        try:
            write_tflite(network, path, quantization, calibration=[images_of(CALIBRATION_IMAGES, size)])
        except InputError as error:
            found["failure"] = one_line(error)
        else:
            found["size_bytes"] = str(path.stat().st_size)
            for threads in range(1, min(machine.cores, 2) + 1):
                measure = one_image_of(path, size, threads, SECONDS)
                number = statistics.median(measure() for _ in range(ROUNDS))
                found[f"ms_{threads}_thread{'s' * (threads > 1)}"] = f"{number:.4g}"
        date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
        on = {key: str(value) for key, value in machine._asdict().items()}
        yield TFLiteFile(date, name, quantization, **found, **on)


def append(lines: Iterable[TFLiteFile], path: Path) -> None:
    """Appends each line when it is there, after a header if the file is new."""
    for line in lines:
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [one.name for one in fields(TFLiteFile)], lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(asdict(line))
        print(line.network, line.quantization, line.size_bytes, line.ms_1_thread, line.failure, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tflite_files", description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help="of kerascnn (default: those not yet measured)")
    given = parser.parse_args(arguments).networks
    try:
        names = chosen(given, REGISTRY, "network")
    except InputError as error:
        parser.error(str(error))
    done, machine = read(MEASURED), this_machine()
    for name in names:
        if given or any((name, quantization) not in done for quantization in QUANTIZATIONS):
            append(measured(name, machine), MEASURED)


if __name__ == "__main__":
    main()
