"""How long builders take, beside keras.applications' for the same networks.

python benchmarks/building.py
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from alternating import take_turns
from rich.console import Console
from rich.table import Table

from kerascnn import applications

NETWORKS = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "InceptionV3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=7, help="timed builds of each (default: 7)")
    options = parser.parse_args()
    table = Table("network", "kerascnn, s", "keras.applications, s", "ours / theirs")
    for network in options.networks:
        ours, theirs = getattr(applications, network), getattr(keras.applications, network)

        def build_ours(build=ours):
            keras.backend.clear_session()
            build()

        def build_theirs(build=theirs):
            keras.backend.clear_session()
            build(weights=None)

        medians = take_turns(build_ours, build_theirs, rounds=options.rounds, warm_up=1)
        table.add_row(network, f"{medians.ours:.2f}", f"{medians.theirs:.2f}", f"{1 / medians.ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
