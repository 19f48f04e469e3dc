"""Names and channels of the CIFAR ResNets of github.com/akamaster/pytorch_resnet_cifar10, whose files are public.

Its shortcut A has half of the zeros before the old channels, and half after them; here all zeros follow. So the
channels between the blocks are in another order, on which no output depends.
"""

from __future__ import annotations

import itertools

import numpy as np

# Section 4.2 of the paper: the filters of the three stages.
FILTERS = (16, 32, 64)
BLOCKS = range(200)  # As many as ResNet-1202 has per stage.

NAMES = {"conv1": "conv1", "conv1_bn": "bn1", "predictions": "linear"}
for _stage, _block, _number in itertools.product((1, 2, 3), BLOCKS, (1, 2)):
    NAMES[f"conv{_stage + 1}_{_block + 1}_{_number}"] = f"layer{_stage}.{_block}.conv{_number}"
    NAMES[f"conv{_stage + 1}_{_block + 1}_{_number}_bn"] = f"layer{_stage}.{_block}.bn{_number}"


def channel_orders() -> list[np.ndarray]:
    """For each stage, the number of the channel there that is each channel here.

    Example:
        >>> [len(order) for order in channel_orders()]
        [16, 32, 64]
    """
    orders = [np.arange(FILTERS[0])]
    for before, filters in itertools.pairwise(FILTERS):
        zeros = filters // 4
        orders.append(np.concatenate([orders[-1] + zeros, np.arange(zeros), np.arange(zeros + before, filters)]))
    return orders


def layer_orders() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The orders of the channels that layers take, and of those that they give, by the layers' names.

    Example:
        >>> inputs, outputs = layer_orders()
        >>> len(inputs["predictions"]), len(outputs["conv3_1_2_bn"])
        (64, 32)
    """
    orders = channel_orders()
    inputs, outputs = {"predictions": orders[-1]}, {}
    for stage, block in itertools.product(range(3), BLOCKS):
        name = f"conv{stage + 2}_{block + 1}"
        inputs[f"{name}_1"] = orders[stage if block else max(stage - 1, 0)]
        outputs[f"{name}_2"] = outputs[f"{name}_2_bn"] = orders[stage]
    return inputs, outputs
