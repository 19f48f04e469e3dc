"""An evaluation over many crops of JPEG files, beside as many forward passes over images in memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.exported import images_of, trained_network
from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import data_set_of, temporary_folder
from benchmarks.timing import rate

PROTOCOLS = ("10 crops", "144 crops")


def rows(options: Options) -> Iterator[Row]:
    """One row per protocol, for one network."""
    network = (options.networks or ["googlenet"])[0]
    for protocol in PROTOCOLS:
        common = {"network": network, "protocol": protocol, "size": options.image_size or 224}
        common |= {"images": max(2, options.images or 8), "seconds": options.seconds}
        passes = Contestant("forward passes", forward_passes, common)
        yield Row(f"{network}, {protocol}", "crops/s", (Contestant("kerascnn", evaluation, common), passes))


def evaluation(network: str, protocol: str, size: int, images: int, seconds: float) -> Measure:
    import numpy as np
    from PIL import Image

    from kerascnn.evaluation import KerasPredictor, Protocol, evaluate

    folder, generator = temporary_folder(), np.random.default_rng(0)
    predictor = KerasPredictor(trained_network(network, size))
    for split in ("training", "validation"):
        for number in range(images):
            # Smooth noise, in as many classes as the network has.
            noise = Image.fromarray(generator.integers(0, 256, (47, 63, 3)).astype(np.uint8))
            path = folder / split / predictor.metadata.class_names[number] / f"{number}.jpg"
            path.parent.mkdir(parents=True)
            noise.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    loaded, crops = data_set_of(folder), Protocol(protocol)
    views = images * crops.views(predictor.metadata)
    return rate(lambda: evaluate(predictor, loaded, protocol=crops), views, seconds, warm_up=1)


def forward_passes(network: str, protocol: str, size: int, images: int, seconds: float) -> Measure:
    from kerascnn.evaluation import KerasPredictor, Protocol
    from kerascnn.evaluation.crops import BATCH

    predictor = KerasPredictor(trained_network(network, size))
    views, in_memory = images * Protocol(protocol).views(predictor.metadata), images_of(BATCH, size)

    def step() -> None:
        for first in range(0, views, BATCH):
            predictor.probabilities(in_memory[: views - first])

    return rate(step, views, seconds, warm_up=1)


PART = Part(
    "an evaluation over crops beside as many forward passes",
    ("networks", "image_size", "images", "seconds"),
    rows,
)
