import keras
import numpy as np

from kerascnn.applications import ResNet50


def test_he_is_a_gaussian_of_variance_two_over_fan_in():
    keras.utils.set_random_seed(0)
    model = ResNet50(include_top=False, input_shape=(32, 32, 3))
    kernels = [np.asarray(model.get_layer(f"conv4_{number}_2").kernel) for number in (2, 3)]
    for kernel in kernels:
        scaled = kernel * np.sqrt(9 * 256 / 2)
        assert abs(scaled.std() - 1) < 0.01
        assert abs(scaled.mean()) < 0.01
        # A Gaussian's share beyond two standard deviations, which a truncated one does not have.
        assert abs((np.abs(scaled) > 2).mean() - 0.0455) < 0.002
    assert not np.allclose(*kernels)
