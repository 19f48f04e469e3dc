"""Chooses the numeric precision of a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PrecisionChoice:
    """A Keras dtype policy and the reason for it."""

    policy: str
    reason: str


def choose_precision(requested: str) -> PrecisionChoice:
    """Chooses the dtype policy.

    Args:
        requested: a policy's name, which is taken, or "auto": mixed_float16 on GPUs with tensor cores, mixed_bfloat16
            on a CPU that multiplies bfloat16 in hardware, else float32. GPUs that TensorFlow hides do not count.
    """
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if requested == "mixed_float16" and not gpus:
        return PrecisionChoice(requested, "as requested; without a GPU float16 is many times slower than float32")
    if requested != "auto":
        return PrecisionChoice(requested, "as requested")
    if gpus and all(has_tensor_cores(tf.config.experimental.get_device_details(gpu)) for gpu in gpus):
        return PrecisionChoice("mixed_float16", "the GPU has tensor cores; the loss is scaled")
    if gpus:
        return PrecisionChoice("float32", "the GPU has no tensor cores, without which float16 gains little")
    if _cpu_multiplies_bfloat16():
        return PrecisionChoice("mixed_bfloat16", "the CPU multiplies bfloat16 in hardware")
    return PrecisionChoice("float32", "the CPU has no bfloat16 instructions")


def has_tensor_cores(details: dict[str, Any]) -> bool:
    """Whether a GPU multiplies float16 in hardware: NVIDIA's from compute capability 7.0 on; others have none."""
    return details.get("compute_capability", (0, 0)) >= (7, 0)


def _cpu_multiplies_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
