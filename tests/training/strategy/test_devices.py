"""Several devices and several processes compared with one device, on the same global batches."""

import json

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from kerascnn.training.strategy import choose_devices
from support import on_devices
from support.servers import free_ports

MAIN = "support.on_devices:main"

# Sums over a batch have another order, and float32 rounds every addition by up to 2^-24. After six steps weights differ
# by about 3e-8 here; an error (a missing share, clipping before the sum, another learning rate) changes the first
# digits.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def outcomes(forks, tmp_path_factory):
    """The folders with the results of two devices, and of two workers."""
    folders = {where: tmp_path_factory.mktemp(where) for where in ("devices", "workers")}
    started = [forks.start(MAIN, "cpu:2", folders["devices"], output=folders["devices"] / "output.txt")]
    started += forks.start_workers(MAIN, "cpu", folders["workers"], ports=free_ports(2), folder=folders["workers"])
    for fork in started:
        assert fork.wait() == 0, fork.said()
        assert "ran out of data" not in fork.said()
    return folders


@pytest.fixture(scope="module")
def on_one(outcomes):
    devices = choose_devices("cpu")
    model, history = on_devices.trained(devices)
    tuned = on_devices.trained(devices, *on_devices.TUNED)[0].get_weights()
    taught, _ = on_devices.trained(devices, *on_devices.taught_by(outcomes["devices"] / "teacher.keras"))
    tuned = {"tuned": tuned, "taught": taught.get_weights()}
    scale = on_devices.scaled_loss(devices)
    return {"weights": model.get_weights(), "history": history, "scale": scale, **tuned}


def metrics(folder, worker=0):
    return json.loads((folder / f"metrics-{worker}.json").read_text())


LOCATIONS = [("devices", 0), ("workers", 0), ("workers", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("where", "worker"), LOCATIONS)
def test_the_same_metrics_as_on_one_device(where, worker, outcomes, on_one):
    """Losses and accuracies of both heads, in training and over 21 validation images, each counted once."""
    found = metrics(outcomes[where], worker)
    assert found["replicas"] == 2
    assert found["history"].keys() == on_one["history"].keys() >= {"val_aux_loss", "val_main_top1", "loss"}
    for name, values in on_one["history"].items():
        np.testing.assert_allclose(found["history"][name], values, rtol=ROUNDING, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("where", "worker"), LOCATIONS)
def test_the_same_weights_as_on_one_device(where, worker, outcomes, on_one):
    with np.load(outcomes[where] / f"weights-{worker}.npz") as found:
        for name, expected in zip(found.files, on_one["weights"], strict=True):
            np.testing.assert_allclose(found[name], expected, atol=ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize(("where", "worker"), LOCATIONS)
def test_the_map_is_of_the_images_of_all_devices(where, worker, outcomes):
    images, labels = on_devices.tagged_images()
    scores = images.reshape(len(images), -1)[:, : on_devices.CLASSES]
    found = metrics(outcomes[where], worker)["tagged"]
    assert found["map"] == pytest.approx(average_precision_score(labels, scores, average="macro"))
    assert found["microf1"] == pytest.approx(f1_score(labels, scores > 0, average="micro"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tuned", "taught"])
def test_a_fine_tuning_and_a_distillation_have_the_same_weights_as_on_one_device(kind, outcomes, on_one):
    with np.load(outcomes["devices"] / f"{kind}.npz") as found:
        for name, expected in zip(found.files, on_one[kind], strict=True):
            np.testing.assert_allclose(found[name], expected, atol=ROUNDING)
    moved = [np.abs(one - other).max() for one, other in zip(on_one[kind], on_one["weights"], strict=True)]
    assert max(moved) > 100 * ROUNDING


@pytest.mark.slow
def test_workers_have_bit_exact_weights(outcomes):
    chief, other = (np.load(outcomes["workers"] / f"weights-{worker}.npz") for worker in range(2))
    for name in chief.files:
        np.testing.assert_array_equal(chief[name], other[name])


@pytest.mark.slow
def test_statistics_of_each_device_are_averaged(outcomes):
    """Each device uses its half's statistics; their mean is stored, not the whole batch's."""
    images = np.random.default_rng(2).normal(2, 3, (8, 4, 4, 3))
    variances = [half.var(axis=(0, 1, 2)) for half in (images[:4], images[4:])]
    found = metrics(outcomes["devices"])["statistics"]
    np.testing.assert_allclose(found["mean"], 0.1 * images.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found["variance"], 0.9 + 0.1 * np.mean(variances, axis=0), rtol=1e-5)
    assert not np.allclose(found["variance"], 0.9 + 0.1 * images.var(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.slow
def test_an_overflow_on_one_device_is_an_overflow_on_all(outcomes, on_one):
    """The second step is skipped and halves the scale; the third continues from the first."""
    found = metrics(outcomes["devices"])["scale"]
    assert [row[:2] for row in found] == [[1024, 1], [512, 1], [512, 2]]
    np.testing.assert_allclose(found, on_one["scale"], rtol=1e-5)


@pytest.mark.slow
def test_dropout_differs_from_device_to_device(outcomes):
    first, second = metrics(outcomes["devices"])["dropped"]
    assert first != second


@pytest.mark.slow
def test_the_file_holds_a_plain_model(outcomes):
    model = keras.models.load_model(outcomes["devices"] / "model.keras")
    assert type(model) is type(keras.Sequential([keras.Input((1,)), keras.layers.ReLU()])._functional)
    with np.load(outcomes["devices"] / "weights-0.npz") as saved:
        for name, weight in zip(saved.files, model.get_weights(), strict=True):
            np.testing.assert_array_equal(saved[name], weight)
