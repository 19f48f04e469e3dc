"""Measures `kerascnn ingest` on many tiny JPEG files: seconds, files per second, memory, and a second start.

    python benchmarks/ingesting.py 1000000 /tmp/million

The files have 16 x 16 random pixels, some 600 bytes. They are in 100 folders, and are removed afterwards together with
the manifest. `--keep` leaves them in place.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 100


def make(folder: Path, count: int) -> None:
    """Makes `count` JPEG files in 100 folders."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class {number % CLASSES:02}" / f"{number:07}.jpg"
        if number < CLASSES:
            path.parent.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        pixels.save(path, quality=30)


def run(folder: Path, store: Path) -> dict[str, float]:
    """Runs `kerascnn ingest` once; wall and CPU seconds, the largest memory in MB, and what it says of itself."""
    command = [sys.executable, "-m", "kerascnn", "ingest", str(folder), "--to", str(store)]
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    shown = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, after = time.perf_counter() - start, os.times()
    if status:
        raise SystemExit(f"{command} ended with {status}")
    said = "; ".join(line for line in shown.splitlines() if re.search(r"per second|^manifest", line))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "CPU seconds": cpu, "memory": usage.ru_maxrss / 1024, "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    store = options.folder.with_name(options.folder.name + "-store")
    start = time.perf_counter()
    make(options.folder, options.count)
    print(f"{options.count:,} files made in {time.perf_counter() - start:.0f} s", flush=True)
    print("| start | seconds | CPU seconds | files per second | memory, MB | what the report says |")
    print("|---|---|---|---|---|---|")
    for name in ("first", "second"):
        found = run(options.folder, store)
        speed = options.count / found["seconds"]
        numbers = f"{found['seconds']:.0f} | {found['CPU seconds']:.0f} | {speed:,.0f} | {found['memory']:.0f}"
        print(f"| {name} | {numbers} | {found['said']} |", flush=True)
    if not options.keep:
        shutil.rmtree(options.folder)
        shutil.rmtree(store)


if __name__ == "__main__":
    main()
