"""A training step on one accelerator: networks of kerascnn on Keras' JAX backend, beside torchvision's in PyTorch.

Both are compiled, train with SGD with momentum, and have their batch in the device's memory.
"""

from __future__ import annotations

import itertools
import os

from benchmarks.part import Contestant, Measure, Prepared, Row
from benchmarks.parts.training_step import batch_of
from benchmarks.timing import rate

# Their image sizes; each as large in PyTorch.
SIZES = {"resnet50": 224, "inceptionv3": 299, "vgg16": 224, "googlenet": 224, "resnet20": 32}
CLASSES = {32: 10}
POLICIES = ("mixed_bfloat16", "mixed_float16")
WANTED = 1.0


def rows(networks: list[str], batch: int, steps: int, side: int) -> list[list[Row]]:
    """The rows whose contestants start together: the peaks first, then a network in every policy."""
    peaks = [_peak(policy, side, steps) for policy in POLICIES]
    return [peaks] + [[_step(network, policy, batch, steps) for policy in POLICIES] for network in networks]


def _peak(policy: str, side: int, steps: int) -> Row:
    arguments = {"policy": policy, "side": side, "steps": steps}
    return Row(
        f"matrix product, {policy}",
        "10⁹ multiply-adds/s",
        (
            Contestant("JAX", jax_product, arguments, ("jax",)),
            Contestant("PyTorch", torch_product, arguments, ("torch",)),
        ),
    )


def _step(network: str, policy: str, batch: int, steps: int) -> Row:
    arguments = {"network": network, "policy": policy, "batch": batch, "steps": steps}
    torch_packages = ("torch", "torchvision")
    return Row(
        f"{network}, {policy}",
        "images/s",
        (
            Contestant("kerascnn, JAX", jax_step, arguments, ("jax",)),
            Contestant("PyTorch, compiled", torch_step, arguments, torch_packages, WANTED),
        ),
    )


def _batch(network: str, batch: int):
    size = SIZES[network]
    classes = CLASSES.get(size, 1000)
    return *batch_of(batch, size, classes), classes


def jax_step(network: str, policy: str, batch: int, steps: int) -> Prepared:
    """Keras' own train function, compiled by XLA; in float16 `compile` scales the loss."""
    os.environ["KERAS_BACKEND"] = "jax"
    # Other contestants use the same card.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax
    import keras

    from kerascnn import applications
    from kerascnn.complexity import analyze

    images, labels, classes = _batch(network, batch)
    keras.config.set_dtype_policy(policy)
    model = applications.create(network, input_shape=images.shape[1:], classes=classes)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    data = itertools.repeat(jax.device_put((images, labels)))
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in groups)

    def several() -> None:
        nonlocal state
        for _ in range(steps):
            logs, state = model.train_function(state, data)
        float(logs["loss"])  # Waits for the last

    return Prepared(rate(several, batch * steps, 0, warm_up=1), analyze(model).totals.macs)


def torch_step(network: str, policy: str, batch: int, steps: int) -> Measure:
    """channels_last, autocast and torch.compile, with gradients scaled in float16."""
    import torch

    from benchmarks import torch_networks

    images, labels, classes = _batch(network, batch)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch_networks.create(network, classes).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    forward, loss_of = torch.compile(model), torch.nn.CrossEntropyLoss()
    images, labels = (torch.from_numpy(array).to(device) for array in (images, labels))
    images = images.permute(0, 3, 1, 2)  # Channels last in memory, as they were
    half = torch.bfloat16 if policy == "mixed_bfloat16" else torch.float16
    scaler = torch.amp.GradScaler(device, enabled=half == torch.float16)

    def several() -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, half):
                loss = loss_of(forward(images), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        loss.item()  # Waits for the last

    return rate(several, batch * steps, 0, warm_up=1)


def jax_product(policy: str, side: int, steps: int) -> Measure:
    """Square matrices in the policy's 16 bits."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax

    factor = jax.random.normal(jax.random.key(0), (side, side), policy.removeprefix("mixed_"))
    product = jax.jit(lambda x: x @ factor)

    def several() -> None:
        x = factor
        for _ in range(steps):
            x = product(x)
        x.block_until_ready()

    return rate(several, steps * side**3 / 1e9, 0)


def torch_product(policy: str, side: int, steps: int) -> Measure:
    """The same in PyTorch."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    factor = torch.randn(side, side, device=device, dtype=getattr(torch, policy.removeprefix("mixed_")))

    def several() -> None:
        x = factor
        for _ in range(steps):
            x = x @ factor
        x[0, 0].item()  # Waits for the last

    return rate(several, steps * side**3 / 1e9, 0)
