import numpy as np
import pytest

from kerascnn.evaluation import TFLitePredictor
from kerascnn.export.deployable import deployable
from kerascnn.export.tflite import write_tflite


@pytest.mark.slow
def test_resnet1202_runs_as_tflite(resnet1202, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    small = deployable(resnet1202)
    assert not any(layer.name.endswith("_bn") for layer in small.layers)
    write_tflite(small, tmp_path / "resnet1202.tflite")
    probabilities = TFLitePredictor(tmp_path / "resnet1202.tflite").probabilities(images)
    np.testing.assert_allclose(probabilities, resnet1202(images), atol=1e-6)
