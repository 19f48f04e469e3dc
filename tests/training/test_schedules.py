"""Learning rates, step by step or epoch by epoch, against their closed forms."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.training import Plateau, Recipe, Schedule
from kerascnn.training.schedules import learning_rate, reductions
from support.messages import mentioning


def rates(recipe, steps, steps_per_epoch=None):
    rate = learning_rate(recipe, steps_per_epoch)
    return np.array([float(rate(step)) for step in steps])


def test_inceptions_rate_over_its_hundred_epochs():
    recipe = Recipe.load("inceptionv3")
    steps_per_epoch = 4
    steps = np.arange(100 * steps_per_epoch)
    # Section 8: 0.045, "decayed every two epochs using an exponential rate of 0.94".
    expected = 0.045 * 0.94 ** (steps // (2 * steps_per_epoch))
    np.testing.assert_allclose(rates(recipe, steps, steps_per_epoch), expected, rtol=2e-6)
    assert expected[-1] == pytest.approx(0.045 * 0.94**49)


def test_googlenets_learning_rate_drops_four_percent_every_eight_epochs():
    steps = np.arange(0, 3 * 24, 3)
    expected = 0.01 * 0.96 ** (steps // 24)
    np.testing.assert_allclose(rates(Recipe.load("googlenet"), steps, steps_per_epoch=3), expected, rtol=1e-6)


def test_the_rate_on_cifar_around_its_steps():
    # Section 4.2: 0.1, divided by 10 at 32k and 48k iterations: updates number 0 to 31,999 have 0.1.
    steps = [0, 1, 31_999, 32_000, 47_999, 48_000, 63_999]
    expected = [0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(rates(Recipe.load("resnet20"), steps), expected, rtol=1e-6)


def test_maxouts_rate_falls_linearly_for_500_epochs():
    steps = np.array([0, 1, 500, 999, 1000, 2000])
    expected = 0.17 * (1 - 0.99 * np.minimum(steps / 1000, 1))
    np.testing.assert_allclose(rates(Recipe.load("maxout"), steps, steps_per_epoch=2), expected, rtol=1e-5)


def test_resnet110_warms_up_at_a_tenth():
    steps = [0, 399, 400, 31_999, 32_000, 48_000]
    np.testing.assert_allclose(rates(Recipe.load("resnet110"), steps), [0.01, 0.01, 0.1, 0.1, 0.01, 0.001], rtol=1e-6)


def test_the_modern_resnets_rate():
    recipe = Recipe.load("resnet_modern").with_values(batch_size=1024)
    # 0.256 for 256 images; 5 epochs of warm-up, 85 of cosine.
    steps = np.arange(90 * 10)
    cosine = 1.024 / 2 * (1 + np.cos(np.pi * (steps - 50) / 850))
    expected = np.where(steps < 50, 1.024 * steps / 50, cosine)
    np.testing.assert_allclose(rates(recipe, steps, 10), expected, atol=1e-6)


def test_steps_by_epoch_with_a_rising_warm_up():
    schedule = Schedule("steps", factor=0.5, milestones=[2, 3], warmup_epochs=1)
    recipe = replace(Recipe.load("resnet"), schedule=schedule)
    expected = [0, 0.025, 0.05, 0.075, *[0.1] * 4, *[0.05] * 4, 0.025]
    np.testing.assert_allclose(rates(recipe, range(13), steps_per_epoch=4), expected, atol=1e-8)


def test_schedules_survive_a_file():
    for name in ("resnet110", "inceptionv3"):
        schedule = learning_rate(Recipe.load(name), 10)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
        for step in (0, 399, 400, 32_000):
            assert float(again(step)) == float(schedule(step))


def test_learning_rates_scale_with_the_batch_size():
    for batch_size, expected in [(256, 0.1), (64, 0.025), (8192, 3.2)]:
        assert Recipe.load("resnet50").with_values(batch_size=batch_size).peak_learning_rate == pytest.approx(expected)
    fixed = Recipe.load("resnet50").with_settings(["optimizer.base_batch_size=null", "batch_size=8"])
    assert fixed.peak_learning_rate == 0.1


@pytest.mark.parametrize(
    ("accuracies", "patience", "expected"),
    [
        ([], 2, 0),
        ([0.1, 0.2, 0.3, 0.4], 2, 0),
        # A best value that is reached again is no progress.
        ([0.5, 0.5, 0.5], 2, 1),
        ([0.5, 0.4, 0.6, 0.4, 0.4], 2, 1),
        # After a reduction the waiting begins anew, against the same best value.
        ([0.5, 0.4, 0.4, 0.4], 2, 1),
        ([0.5] + [0.4] * 4, 2, 2),
        ([0.5] + [0.4] * 40, 2, 3),
    ],
)
def test_reductions_on_plateaus_are_counted(accuracies, patience, expected):
    assert reductions(accuracies, patience, max_reductions=3) == expected


def test_a_plateau_reduces_the_learning_rate_in_training():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    recipe = replace(Recipe.load("vgg16"), schedule=Schedule("plateau", patience=1))
    plateau = Plateau(recipe, accuracies=[0.5])
    plateau.set_model(model)
    seen = []
    for accuracy in (0.6, 0.6, 0.7, 0.1, 0.1, 0.1):
        plateau.on_epoch_end(0, {"val_top1": accuracy})
        seen.append(float(model.optimizer.learning_rate.numpy()))
    np.testing.assert_allclose(seen, [0.01, 0.001, 0.001, 1e-4, 1e-5, 1e-5], rtol=1e-6)
    with mentioning(InputError, "validation data"):
        plateau.on_epoch_end(0, {"top1": 0.1})


def test_epochs_need_a_length():
    with mentioning(InputError, "'exponential'", "epochs", "steps_per_epoch"):
        learning_rate(Recipe.load("inceptionv3"), None)
    assert learning_rate(Recipe.load("vgg16"), None) == 0.01


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"name": "steps"}, ("'steps'", "milestones")),
        ({"name": "steps", "milestones": [30, 20]}, ("milestones", "rising")),
        ({"name": "plateau", "warmup_epochs": 1}, ("'plateau'", "warm-up")),
        ({"warmup_epochs": 1, "warmup_steps": 3}, ("warmup_epochs", "warmup_steps", "both")),
        ({"every": 0}, ("schedule.every", "above 0", "not 0")),
        ({"warmup_epochs": -1}, ("schedule.warmup_epochs", "at least 0", "-1")),
    ],
)
def test_invalid_schedules(fields, parts):
    with mentioning(InputError, *parts):
        Schedule(**fields)
