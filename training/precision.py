"""Which precision a training computes in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PrecisionChoice:
    """A Keras dtype policy and why it was taken."""

    policy: str
    reason: str


def choose_precision(asked: str) -> PrecisionChoice:
    """The policy for `asked`, which is a policy's name or "auto".

    "auto" takes mixed_float16 on GPUs with tensor cores, mixed_bfloat16 on a processor that multiplies bfloat16 in
    hardware, and float32 otherwise. GPUs that TensorFlow was told not to use do not count.
    """
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    has_gpu = bool(gpus)
    if asked == "mixed_float16" and not has_gpu:
        return PrecisionChoice(asked, "as asked, though without a GPU float16 is many times slower than float32")
    if asked != "auto":
        return PrecisionChoice(asked, "as asked")
    if has_gpu and all(has_tensor_cores(tf.config.experimental.get_device_details(gpu)) for gpu in gpus):
        return PrecisionChoice("mixed_float16", "the GPU has tensor cores; the loss is scaled")
    if has_gpu:
        return PrecisionChoice("float32", "the GPU has no tensor cores, without which float16 gains little")
    if processor_multiplies_bfloat16():
        return PrecisionChoice("mixed_bfloat16", "the processor multiplies bfloat16 in hardware")
    return PrecisionChoice("float32", "the processor has no bfloat16 instructions")


def has_tensor_cores(details: dict[str, Any]) -> bool:
    """Whether a GPU multiplies float16 in hardware: NVIDIA's from compute capability 7.0 on.

    Args:
        details: as TensorFlow's `get_device_details` gives them; GPUs of others have no capability.

    Example:
        >>> has_tensor_cores({"compute_capability": (6, 1), "device_name": "GeForce GTX 1080"})
        False
    """
    return details.get("compute_capability", (0, 0)) >= (7, 0)


def processor_multiplies_bfloat16() -> bool:
    """Whether Linux reports AVX-512 BF16 or AMX BF16; False where it cannot be told."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
