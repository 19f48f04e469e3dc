"""Networks that are deeper than Python's recursion limit."""

import sys

import keras
import pytest

from kerascnn.applications.deep import DeepModel, functional


def chain(layers):
    """A sequence of ReLUs."""
    x = inputs = keras.Input((3,))
    for number in range(layers):
        x = keras.layers.Activation("relu", name=f"relu_{number}")(x)
    return inputs, x


def test_shallow_models_are_keras_models():
    assert type(functional(*chain(20), name="shallow")) is type(keras.Model(*chain(20)))


def test_keras_alone_exceeds_the_recursion_limit():
    with pytest.raises(RecursionError):
        keras.Model(*chain(2 * sys.getrecursionlimit()))


@pytest.mark.slow
def test_deep_models_are_built_saved_and_cloned(tmp_path):
    limit = sys.getrecursionlimit()
    model = functional(*chain(2 * limit), name="deep")
    assert isinstance(model, DeepModel)
    model.save(tmp_path / "deep.keras")
    again = keras.saving.load_model(tmp_path / "deep.keras")
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert len(clone.layers) == 2 * limit + 1
    assert sys.getrecursionlimit() == limit


def test_the_limit_is_restored_after_an_error():
    limit = sys.getrecursionlimit()
    _, outputs = chain(2 * limit)
    with pytest.raises(ValueError, match="not connected"):
        functional(keras.Input((3,)), outputs, name="deep")
    assert sys.getrecursionlimit() == limit
