"""A step of training on a batch in memory, beside PyTorch's and keras.applications', and the CPU's peak.

All train with SGD with momentum, without weight decay, clipping and auxiliary heads, so that they compute the same.
PyTorch's networks are torchvision's in channels_last, with autocast for bfloat16; torchvision's GoogLeNet is the one
with batch normalization, also beside the paper's. Ours is what `kerascnn train` runs: `compile_for` and its train
function, with deterministic kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.part import Contestant, Measure, Options, Part, Prepared, Row, chosen
from benchmarks.timing import rate

POLICIES = ("mixed_bfloat16", "float32")
PEAK_SIDE = 4096


@dataclass(frozen=True)
class Network:
    """What is trained, and on what.

    Attributes:
        size, batch, classes: of the images.
        keras: its name in keras.applications, if it has one.
        builder: its name in kerascnn, if that is not the row's.
        arguments: of its builder.
        against_torch, against_keras: how many times faster ours should be, in bfloat16 and in float32.
    """

    size: int = 224
    batch: int = 16
    classes: int = 1000
    keras: str | None = None
    builder: str | None = None
    torch: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    against_torch: tuple[float, float] = (1.1, 1.2)
    against_keras: tuple[float, float] = (0, 0)


CIFAR = {"size": 32, "batch": 128, "classes": 10}
NETWORKS = {
    "alexnetv2": Network(),
    "vgg16": Network(keras="VGG16", against_keras=(1.0, 1.0)),
    "googlenet": Network(batch=32, against_torch=(1.3, 1.3)),
    "bn-googlenet": Network(batch=32, builder="googlenet", torch="googlenet", arguments={"batch_norm": True}),
    "bninception": Network(),
    "inceptionv3": Network(size=299, keras="InceptionV3", against_keras=(1.4, 1.2)),
    "resnet18": Network(),
    "resnet50": Network(keras="ResNet50", against_keras=(1.8, 1.4)),
    "resnet152": Network(keras="ResNet152", against_keras=(1.8, 1.4)),
    "resnet20": Network(**CIFAR),
    "resnet110": Network(**CIFAR),
}


def rows(options: Options) -> Iterator[Row]:
    """The peak of each policy, then the networks, first all in bfloat16."""
    for policy in options.policies or POLICIES:
        peak = {"policy": policy, "side": PEAK_SIDE, "seconds": options.seconds}
        yield Row(
            f"matrix product, {policy}",
            "10⁹ multiply-adds/s",
            (
                Contestant("TensorFlow", tensorflow_product, peak),
                Contestant("PyTorch", torch_product, peak, ("torch",)),
            ),
        )
        for name in chosen(options.networks, NETWORKS, "network"):
            network, place = NETWORKS[name], POLICIES.index(policy)
            common = {
                "policy": policy,
                "size": options.image_size or network.size,
                "batch": (options.batches or [network.batch])[0],
                "classes": network.classes,
                "seconds": options.seconds,
            }
            yield Row(
                f"{name}, {policy}",
                "images/s",
                tuple(_contestants(name, network, common, place)),
            )


def _contestants(name: str, network: Network, common: dict[str, Any], place: int) -> Iterator[Contestant]:
    ours = {"network": network.builder or name, "arguments": network.arguments}
    yield Contestant("kerascnn", kerascnn_step, common | ours)
    torch = common | {"network": network.torch or name}
    for how, compiled in (("eager", False), ("compiled", True)):
        packages, wanted = ("torch", "torchvision"), network.against_torch[place]
        yield Contestant(f"PyTorch, {how}", torch_step, torch | {"compiled": compiled}, packages, wanted)
    if network.keras:
        for how, jit_compile in (("as it is", False), ("XLA", True)):
            arguments = common | {"network": network.keras, "jit_compile": jit_compile}
            yield Contestant(f"keras.applications, {how}", keras_step, arguments, (), network.against_keras[place])


def batch_of(batch: int, size: int, classes: int):
    """Normal noise, (batch, size, size, 3) in float32, and labels, (batch,)."""
    import numpy as np

    generator = np.random.default_rng(0)
    return generator.normal(size=(batch, size, size, 3)).astype("float32"), generator.integers(0, classes, batch)


def kerascnn_step(
    network: str,
    policy: str,
    size: int,
    batch: int,
    classes: int,
    seconds: float,
    arguments: dict[str, Any] | None = None,
    devices: int = 1,
) -> Prepared:
    """Images a second, over so many devices of the CPU."""
    import keras
    import tensorflow as tf

    from kerascnn import applications
    from kerascnn.complexity import analyze
    from kerascnn.training import Recipe, compile_for
    from kerascnn.training.strategy import choose_devices

    chosen_devices = choose_devices(f"cpu:{devices}")
    # As `train` computes on a CPU; other libraries are left as they are.
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(policy)
    optimizer = {"name": "sgd", "learning_rate": 1e-3, "base_batch_size": None, "momentum": 0.9}
    optimizer |= {"weight_decay": 0.0, "clip_norm": None}
    recipe = Recipe.for_model(network).with_values(batch_size=batch, optimizer=optimizer, schedule={"name": "constant"})
    with chosen_devices.scope():
        model = applications.create(network, input_shape=(size, size, 3), classes=classes, **(arguments or {}))
        compile_for(model, recipe, steps_per_epoch=1)
    images, labels = batch_of(batch, size, classes)
    batches = tf.data.Dataset.from_tensors((images, keras.utils.to_categorical(labels, classes)))
    batches = chosen_devices.training(batches.cache().repeat().prefetch(2), batch)
    return Prepared(_keras_rate(model, batches, batch, seconds), analyze(model).totals.macs)


def keras_step(
    network: str, policy: str, size: int, batch: int, classes: int, jit_compile: bool, seconds: float
) -> Measure:
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    model = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3), classes=classes)
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit_compile)
    batches = tf.data.Dataset.from_tensors(batch_of(batch, size, classes)).cache().repeat().prefetch(2)
    return _keras_rate(model, batches, batch, seconds)


def _keras_rate(model, batches, batch: int, seconds: float) -> Measure:
    model.make_train_function()
    iterator = iter(batches)
    return rate(lambda: float(model.train_function(iterator)["loss"]), batch, seconds)


def torch_step(
    network: str, policy: str, size: int, batch: int, classes: int, compiled: bool, seconds: float
) -> Measure:
    import torch

    from benchmarks import torch_networks
    from kerascnn.cores import cores

    torch.set_num_threads(cores())
    model = torch_networks.create(network, classes).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    forward = torch.compile(model) if compiled else model
    images, labels = (torch.from_numpy(array) for array in batch_of(batch, size, classes))
    images = images.permute(0, 3, 1, 2)  # Channels last in memory, as they were
    loss_of, half = torch.nn.CrossEntropyLoss(), policy == "mixed_bfloat16"

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = loss_of(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return rate(step, batch, seconds)


def tensorflow_product(policy: str, side: int, seconds: float) -> Measure:
    import tensorflow as tf

    factor = tf.cast(tf.random.normal((side, side)), tf.bfloat16 if policy == "mixed_bfloat16" else tf.float32)
    product = tf.function(lambda: tf.matmul(factor, factor)[0, 0])
    return rate(lambda: product().numpy(), side**3 / 1e9, seconds)


def torch_product(policy: str, side: int, seconds: float) -> Measure:
    import torch

    factor = torch.randn((side, side), dtype=torch.bfloat16 if policy == "mixed_bfloat16" else torch.float32)
    return rate(lambda: factor @ factor, side**3 / 1e9, seconds)


PART = Part(
    "a training step of eleven networks beside PyTorch's and keras.applications'",
    ("networks", "policies", "batches", "image_size", "seconds"),
    rows,
)
