"""Whether TensorFlow finds a GPU, and computes on it what NumPy computes.

Prints one line per question; the status is 1 if an answer is no. On a machine without a GPU the computations are
those of the CPU.
"""

from __future__ import annotations

import sys

import numpy as np

# In float32 with TensorFloat-32 switched off: 256 products of numbers around 1.
TOLERANCE = 1e-3


def main() -> int:
    """Asks all questions."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    print(f"TensorFlow {tf.__version__}: {', '.join(names) or 'no GPU'}", flush=True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    failures = 0
    for name, ask in (("matrix product", matrix_product), ("convolution", convolution)):
        try:
            difference = ask(tf)
        except tf.errors.OpError as error:
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
            failures += 1
            continue
        correct = difference < TOLERANCE
        print(f"{name}: differs by {difference:.1e} from NumPy's{'' if correct else ', too much'}", flush=True)
        failures += not correct
    return 1 if failures or not gpus else 0


def matrix_product(tf) -> float:
    """The largest difference of a product of matrices of 256 x 256 numbers."""
    left, right = np.random.default_rng(0).normal(size=(2, 256, 256)).astype("float32")
    return float(np.abs(tf.matmul(left, right).numpy() - left @ right).max())


def convolution(tf) -> float:
    """The largest difference of a 3 x 3 convolution of 8 to 16 channels."""
    chance = np.random.default_rng(0)
    images = chance.normal(size=(2, 16, 16, 8)).astype("float32")
    filters = chance.normal(size=(3, 3, 8, 16)).astype("float32")
    views = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    expected = np.einsum("nhwcij,ijco->nhwo", views, filters)
    return float(np.abs(tf.nn.conv2d(images, filters, 1, "VALID").numpy() - expected).max())


if __name__ == "__main__":
    sys.exit(main())
