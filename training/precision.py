"""Which precision a training computes in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Choice:
    """A Keras dtype policy and why it was taken."""

    policy: str
    reason: str


def choose_precision(asked: str) -> Choice:
    """The policy for `asked`, which is a policy's name or "auto".

    "auto" takes mixed_float16 on a GPU, mixed_bfloat16 on a processor that multiplies bfloat16 in hardware, and
    float32 otherwise.
    """
    import tensorflow as tf

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if asked == "mixed_float16" and not has_gpu:
        return Choice(asked, "as asked, though without a GPU float16 is many times slower than float32")
    if asked != "auto":
        return Choice(asked, "as asked")
    if has_gpu:
        return Choice("mixed_float16", "there is a GPU")
    if processor_multiplies_bfloat16():
        return Choice("mixed_bfloat16", "the processor multiplies bfloat16 in hardware")
    return Choice("float32", "the processor has no bfloat16 instructions")


def processor_multiplies_bfloat16() -> bool:
    """Whether Linux reports AVX-512 BF16 or AMX BF16; False where it cannot be told."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
