import keras
import numpy as np

from kerascnn.applications import ResNet50
from support.networks import without_values


def test_he_is_a_gaussian_of_variance_two_over_fan_in():
    keras.utils.set_random_seed(0)
    # Only these layers' initializers run.
    model = without_values(ResNet50, include_top=False, input_shape=(32, 32, 3))
    layers = [model.get_layer(f"conv4_{number}_2") for number in (2, 3)]
    kernels = [np.asarray(layer.kernel_initializer(layer.kernel.shape)) for layer in layers]
    for kernel in kernels:
        scaled = kernel * np.sqrt(9 * 256 / 2)
        assert abs(scaled.std() - 1) < 0.01
        assert abs(scaled.mean()) < 0.01
        # A Gaussian's share beyond two standard deviations, which a truncated one does not have.
        assert abs((np.abs(scaled) > 2).mean() - 0.0455) < 0.002
    assert not np.allclose(*kernels)
