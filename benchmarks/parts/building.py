"""How long builders take, beside keras.applications' for the same networks."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen

NETWORKS = {"vgg16": "VGG16", "resnet50": "ResNet50", "resnet152": "ResNet152", "inceptionv3": "InceptionV3"}


def rows(options: Options) -> Iterator[Row]:
    """One row per network."""
    for name in chosen(options.networks, NETWORKS, "network"):
        builder = {"network": NETWORKS[name]}
        contestants = Contestant("kerascnn", ours, builder), Contestant("keras.applications", of_keras, builder)
        yield Row(name, "s", contestants)


def ours(network: str) -> Measure:
    from kerascnn import applications

    return _seconds(getattr(applications, network))


def of_keras(network: str) -> Measure:
    import keras

    return _seconds(lambda: getattr(keras.applications, network)(weights=None))


def _seconds(build) -> Measure:
    import keras

    def measure() -> float:
        keras.backend.clear_session()
        start = time.perf_counter()
        build()
        return time.perf_counter() - start

    measure()
    return measure


PART = Part("building a network beside keras.applications", ("networks",), rows)
