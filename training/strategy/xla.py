"""Whether a training's steps are compiled by XLA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class XlaChoice:
    """What Keras' `compile` takes as `jit_compile`, and why."""

    jit_compile: bool | Literal["auto"]
    reason: str

    def __str__(self) -> str:
        return f"XLA {'on' if self.jit_compile else 'off'}: {self.reason}"


def choose_xla() -> XlaChoice:
    """XLA for one GPU, not for processors and not for several devices; asks for the strategy in whose scope it runs."""
    import tensorflow as tf

    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return XlaChoice(False, "Keras compiles no steps that several devices take together")
    if tf.config.get_visible_devices("GPU"):
        return XlaChoice("auto", "there is one GPU, and Keras compiles what all layers of the network allow")
    return XlaChoice(False, "on a processor it halves the speed of training")
