"""Chooses the network and the image size of a training that names none, by its images and the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kerascnn.applications import registry
from kerascnn.cores import cores
from kerascnn.errors import InputError
from kerascnn.image_shape import ImageSize, Size

# Up to this shorter side, images are trained on like CIFAR-10's, with its networks.
SMALL_IMAGES = 48

# The networks for images up to `SMALL_IMAGES`, for photographs, and for many photographs on a GPU.
FEW_PIXELS, PHOTOGRAPHS, MANY_PHOTOGRAPHS = "resnet20", "resnet18", "resnet50"

# Image sizes for photographs. At fewer than 64 pixels, the last feature map of these networks has one position.
SIZES = (224, 160, 128, 96, 64)

# On a CPU, the largest size is chosen with which the training takes no longer than this.
CPU_SECONDS = 300

# From so many images on, and so many of each class, a deeper network has something to learn; on a GPU only.
DEEP_IMAGES, DEEP_IMAGES_PER_CLASS = 20_000, 100

# Multiply-adds per second in a training: of a core with bfloat16 instructions, measured with ResNet-18 on photographs
# (benchmarks/RESULTS.md), and cautiously of a GPU. A training step costs about three passes through the network.
PER_CORE, PER_GPU, PASSES = 100e9, 5e12, 3


@dataclass(frozen=True)
class Machine:
    """What a training runs on: the number of GPUs, and of CPU cores, which count if there is no GPU."""

    gpus: int
    cores: int

    @staticmethod
    def of(devices: str, replicas: int = 1, workers: int = 1) -> Machine:
        """The machine of `Devices` with these attributes; of several workers, which must agree, a core each."""
        import tensorflow as tf

        on_gpus = tf.config.get_visible_devices("GPU") and not devices.startswith("cpu")
        return Machine(replicas if on_gpus else 0, cores() if workers == 1 else workers)

    def __str__(self) -> str:
        count, name = (self.gpus, "GPU") if self.gpus else (self.cores, "CPU core")
        return f"{count} {name}{'s' if count > 1 else ''}"


@dataclass(frozen=True)
class NetworkChoice:
    """A network and an image size."""

    model: str  # a name of `kerascnn.applications.list_models()`
    image_size: Size  # height and width in pixels
    reason: str  # why, as a phrase


def choose_network(
    median_size: tuple[int, int] | None,
    images: int,
    classes: int,
    machine: Machine,
    *,
    epochs: int,
    image_size: Size | None = None,
) -> NetworkChoice:
    """Chooses a network and an image size.

    Images of up to 48 pixels are for ResNet-20 at 32 x 32. Larger ones are for ResNet-18, or with many of them on a GPU
    for ResNet-50, at no more pixels than they have; on a CPU at a size with which the training takes minutes.

    Args:
        median_size: height and width of most images in pixels, see `DataSet.median_size`.
        images, classes: the numbers of training images and of classes.
        machine: trains the network.
        epochs: passes over the training images.
        image_size: chosen by the user; None to choose it.

    Raises:
        InputError: the size is unknown.

    Example:
        >>> choose_network((375, 500), 634, 2, Machine(gpus=1, cores=16), epochs=20).image_size
        224
    """
    if median_size is None:
        raise InputError("the network is chosen by the images' size, which is unknown; name it with --model.")
    height, width = median_size
    found = f"the images are {width} x {height} pixels"
    if min(median_size) <= SMALL_IMAGES:
        return NetworkChoice(FEW_PIXELS, image_size or registry.info(FEW_PIXELS).input_size, found)
    if image_size is not None and ImageSize.of(image_size).shorter <= SMALL_IMAGES:
        return NetworkChoice(FEW_PIXELS, image_size, f"{ImageSize.of(image_size)} pixels are few")
    many = machine.gpus and images >= max(DEEP_IMAGES, DEEP_IMAGES_PER_CLASS * classes)
    model = MANY_PHOTOGRAPHS if many else PHOTOGRAPHS
    sizes = [image_size] if image_size else [size for size in SIZES if size <= max(SIZES[-1], min(median_size))]
    times = {size: _seconds(model, size, images * epochs, machine) for size in sizes}
    size = next((size for size in sizes if machine.gpus or times[size] <= CPU_SECONDS), sizes[-1])
    length = "1 epoch of {} takes" if epochs == 1 else f"{epochs} epochs of {{}} take"
    time = f"{length.format(images)} about {_duration(times[size])} on {machine}"
    return NetworkChoice(model, size, f"{found}, and {time}")


def _seconds(model: str, size: Size, views: int, machine: Machine) -> float:
    """The estimated time of a training on so many images, counting each as often as it is used."""
    info = registry.info(model)
    multiply_adds = info.published_macs * 1e9 * math.prod(ImageSize.of(size)) / info.input_size**2 * PASSES * views
    return multiply_adds / (machine.gpus * PER_GPU if machine.gpus else machine.cores * PER_CORE)


def _duration(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' if minutes > 1 else ''}"
