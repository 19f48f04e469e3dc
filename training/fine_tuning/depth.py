"""How far down a network is fine-tuned, and for how many epochs, so that the work stays within a limit."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras

from kerascnn.applications.stages import main_nodes, whole_maps
from kerascnn.complexity import analyze
from kerascnn.training.recipe.fields import FineTuning

# A step of training costs about three passes through the layers that are trained: forward, and back for maps and
# weights.
TRAINING = 3

# Steps that a fine-tuning should have, as far as the work allows, and the fewest steps and epochs.
STEPS, LEAST_STEPS, LEAST_EPOCHS = 800, 250, 6

# Work that is always allowed, in multiply-adds: a minute or so on two cores.
FREE = 1e13

# The most bytes of maps that are kept on the disk.
MOST_BYTES = 2e9


class Depth(NamedTuple):
    """What a fine-tuning trains.

    Attributes:
        start: the layer whose map is the lowest that is trained on; all layers after it are trained. Empty if all are.
        share: of the network's multiply-adds that lie below, from 0 to 1.
        cached: whether the maps there are computed once per view instead of in every epoch.
        epochs: of training.
        passes: the work, in forward passes of the training images through the whole network.
    """

    start: str
    share: float
    cached: bool
    epochs: int
    passes: float


def choose_depth(
    model: keras.Model, tuning: FineTuning, images: int, steps: int, epochs: int, *, can_cache: bool, limited: bool
) -> Depth:
    """The most layers that can be trained for 250 steps or more within `tuning.passes`, and as many epochs as fit.

    Args:
        model: assembled, with its classifier.
        tuning: the recipe's: `passes` and `tuned_views`.
        images, steps: the training images, and the steps of an epoch.
        epochs: the most epochs.
        can_cache: whether the maps of a few views may stand for all views.
        limited: whether the work is limited; False trains all layers.

    Example:
        >>> network = InceptionV3(classes=2, input_shape=(224, 224, 3))
        >>> choose_depth(network, tuning, 532, 33, 40, can_cache=True, limited=True)
        Depth(start='mixed7', share=0.853, cached=True, epochs=10, passes=7.82)
    """
    wanted, least = (max(1, min(epochs, max(LEAST_EPOCHS, math.ceil(count / steps)))) for count in (STEPS, LEAST_STEPS))
    macs = {row.name: row.macs for row in analyze(model).rows}
    total = sum(macs.values())
    allowed = max(tuning.passes, FREE / (total * images)) if limited and tuning.passes else math.inf
    found = Depth("", 0.0, False, wanted, TRAINING * wanted)
    for start, share, map_bytes in _starts(model, macs, total):
        cached = bool(start) and can_cache and map_bytes * images * (tuning.tuned_views + 1) <= MOST_BYTES
        once, each = (tuning.tuned_views + 1) * share if cached else 0.0, TRAINING * (1 - share)
        each += 0.0 if cached else share
        fitting = min(wanted, (allowed - once) / each) if each else wanted
        kept = max(math.floor(fitting), least)
        found = Depth(start, share, cached, kept, once + kept * each)
        if found.passes <= allowed:
            break
    return found


def _starts(model: keras.Model, macs: dict[str, int], total: int) -> list[tuple[str, float, int]]:
    """Where the training may begin, from the image up: a layer's name, the share below it, the bytes of its map."""
    found, below, nodes = [("", 0.0, 0)], 0, main_nodes(model)
    ends = {index for index, _ in whole_maps(nodes)}
    for index, node in enumerate(nodes):
        below += macs.get(node.operation.name, 0)
        tensor = node.outputs[0]
        if index in ends and below:
            size = 2 if tensor.dtype in ("bfloat16", "float16") else 4
            if below / total == found[-1][1]:
                # After a convolution's normalization and activation rather than before.
                found.pop()
            found.append((node.operation.name, below / total, size * math.prod(tensor.shape[1:])))
    return found
