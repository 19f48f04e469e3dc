"""What an evaluation over N crops costs beside N forward passes of the network over as many images in memory.

python benchmarks/evaluation.py
python benchmarks/evaluation.py --network resnet18 --protocols "10 crops" --images 4 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from pathlib import Path

import keras
import numpy as np
from alternating import take_turns
from PIL import Image
from rich.console import Console
from rich.table import Table

from kerascnn import data
from kerascnn.applications import create
from kerascnn.evaluation import KerasPredictor, Protocol, evaluate
from kerascnn.evaluation.crops import BATCH
from kerascnn.layers import ClassLabels, Preprocessing


def photographs(folder: Path, count: int) -> data.DataSet:
    """Smooth noise of 500 x 375 pixels in JPEG files."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        noise = Image.fromarray(generator.integers(0, 256, (47, 63, 3)).astype(np.uint8))
        paths.append(str(folder / f"{number}.jpg"))
        noise.resize((500, 375), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    examples = data.FileExamples(np.array(paths), np.ones(count, bool), np.arange(count) % 2)
    return data.DataSet("noise", "noise", ("a", "b"), examples, examples)


def predictor_of(network: str, size: int) -> KerasPredictor:
    """An untrained network as a training leaves it."""
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = Preprocessing((3,), 60.0, 0.875, name="preprocessing")(pixels)
    model = create(network, input_tensor=scaled, classes=2)
    return KerasPredictor(keras.Model(pixels, ClassLabels("ab", name="labels")(model.output)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="googlenet", help="(default: googlenet)")
    parser.add_argument("--size", type=int, default=224, help="its input in pixels (default: 224)")
    parser.add_argument("--protocols", nargs="+", default=["10 crops", "144 crops"], metavar="NAME")
    parser.add_argument("--images", type=int, default=8, help="(default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="timed turns of each (default: 3)")
    options = parser.parse_args()
    predictor = predictor_of(options.network, options.size)
    table = Table("protocol", "evaluation, s", "forward passes, s", "evaluation / passes", "peak memory, GB")
    with tempfile.TemporaryDirectory() as folder:
        loaded = photographs(Path(folder), options.images)
        for name in options.protocols:
            protocol = Protocol(name)
            views = options.images * protocol.views(predictor.metadata)
            in_memory = np.random.default_rng(0).uniform(0, 255, (BATCH, options.size, options.size, 3))
            in_memory = in_memory.astype(np.float32)

            def crops(protocol=protocol):
                evaluate(predictor, loaded, protocol=protocol)

            def passes(views=views, images=in_memory):
                for first in range(0, views, BATCH):
                    predictor.probabilities(images[: views - first])

            medians = take_turns(crops, passes, rounds=options.rounds, warm_up=1)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
            table.add_row(
                name, f"{medians.ours:.1f}", f"{medians.theirs:.1f}", f"{1 / medians.ratio:.3f}", f"{peak:.2f}"
            )
    Console().print(table)


if __name__ == "__main__":
    main()
