"""Training steps of kerascnn's networks beside those of keras.applications'.

Both networks are compiled with the same optimizer and loss and step over the same batch in the same process, in turn.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --networks ResNet50 --policies mixed_bfloat16 --rounds 10 --json
"""

from __future__ import annotations

import argparse
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from alternating import Medians, take_turns
from rich.console import Console
from rich.table import Table

from kerascnn import applications

NETWORKS = {"ResNet50": 224, "InceptionV3": 299, "VGG16": 224}
POLICIES = ("mixed_bfloat16", "float32")


def step_of(model: keras.Model, images: np.ndarray, labels: np.ndarray):
    """A function that trains the model for one step."""
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "sparse_categorical_crossentropy", jit_compile=False)
    return lambda: model.train_on_batch(images, labels)


def measure(network: str, policy: str, batch: int, rounds: int) -> Medians:
    """The two networks under one policy."""
    keras.backend.clear_session(free_memory=True)
    keras.config.set_dtype_policy(policy)
    generator = np.random.default_rng(0)
    size = NETWORKS[network]
    images = generator.normal(size=(batch, size, size, 3)).astype("float32")
    labels = generator.integers(0, 1000, batch)
    ours = step_of(getattr(applications, network)(), images, labels)
    theirs = step_of(getattr(keras.applications, network)(weights=None), images, labels)
    return take_turns(ours, theirs, rounds=rounds, warm_up=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES), metavar="POLICY")
    parser.add_argument("--batch", type=int, default=16, help="images a step (default: 16)")
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each (default: 7)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = []
    for network in options.networks:
        for policy in options.policies:
            print(f"{network}, {policy} …", file=sys.stderr)
            rows.append((network, policy, measure(network, policy, options.batch, options.rounds)))
    if options.json:
        print(json.dumps([{"network": n, "policy": p, "batch": options.batch, **m._asdict()} for n, p, m in rows]))
        return
    table = Table("network", "policy", "kerascnn, images/s", "keras.applications, images/s", "ratio", "least – most")
    for network, policy, medians in rows:
        speeds = [f"{options.batch / seconds:.1f}" for seconds in (medians.ours, medians.theirs)]
        spread = f"{min(medians.ratios):.2f} – {max(medians.ratios):.2f}"
        table.add_row(network, policy, *speeds, f"{medians.ratio:.2f}", spread)
    Console().print(table)


if __name__ == "__main__":
    main()
