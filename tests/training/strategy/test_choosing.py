"""The choice of devices, with simulated GPUs, because the test machine has none."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.training import choose_precision
from kerascnn.training.precision import has_tensor_cores
from kerascnn.training.strategy import Cluster, Devices, choose_devices, choose_xla, choosing
from support.messages import mentioning, names


@pytest.fixture
def machine(monkeypatch):
    """A machine with simulated GPUs; records the visible GPUs and the strategies that are requested."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    made = SimpleNamespace(seen=None, strategies=[])

    def with_gpus(count, cluster=None):
        present = [f"GPU {number}" for number in range(count)]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: present if kind == "GPU" else ["CPU"])
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: made.seen or present)
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: setattr(made, "seen", gpus))
        monkeypatch.setattr(choosing, "find_cluster", lambda: cluster)
        for kind in ("_mirrored", "_multi_worker"):
            monkeypatch.setattr(choosing, kind, lambda *given, kind=kind: made.strategies.append((kind, *given)))
        return made

    return with_gpus


def workers(worker, hosts="aab"):
    return Cluster(tuple(f"{host}:{number}" for number, host in enumerate(hosts)), worker, "TF_CONFIG")


def test_the_cpu_by_default(machine):
    machine(0)
    found = choose_devices()
    assert (found.name, found.workers, found.chief) == ("cpu", 1, True)
    names(found, "devices cpu", "no GPU")


def test_one_gpu_of_several(machine):
    made = machine(2)
    assert choose_devices("gpu:1").name == "gpu:1"
    assert made.seen == ["GPU 1"] and made.strategies == []


def test_all_gpus_by_default(machine):
    made = machine(3)
    names(choose_devices(), "devices gpu:0,1,2", "3 GPUs", "MirroredStrategy")
    assert made.strategies == [("_mirrored", ("GPU:0", "GPU:1", "GPU:2"))]


def test_the_cpu_even_if_gpus_are_present(machine):
    made = machine(2)
    assert choose_devices("cpu").reason == "as requested"
    assert made.seen == []


@pytest.mark.parametrize(("worker", "own"), [(0, "gpu:0,2"), (1, "gpu:1,3"), (2, "gpu:0,1,2,3")])
def test_workers_of_one_machine_divide_its_gpus(worker, own, machine):
    made = machine(4, workers(worker))
    found = choose_devices()
    assert (found.name, found.worker, found.workers, found.chief) == (own, worker, 3, worker == 0)
    assert made.strategies == [("_multi_worker", workers(worker), own.count(",") + 1)]


def test_cuda_visible_devices_divides_the_gpus(machine, monkeypatch):
    machine(1, workers(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert choose_devices().name == "gpu:0"


@pytest.mark.parametrize(
    ("requested", "gpus", "cluster", "parts"),
    [
        ("tpu", 0, None, ("devices", "'auto'", "tpu")),
        ("cpu:0", 0, None, ("devices", "'cpu:0'")),
        ("gpu:", 1, None, ("devices", "'gpu:'")),
        ("gpu", 0, None, ("GPU", "none", "--devices cpu")),
        ("gpu:0,2", 2, None, ("GPU 2", "there are 2", "--devices gpu for all")),
        ("cpu:2", 0, workers(0), ("one device", "not 2", "--devices cpu", "more workers")),
        ("auto", 1, workers(0), ("2 workers", "1 GPU", "--devices cpu")),
    ],
)
def test_mistakes_name_the_requested_devices_and_the_remedy(requested, gpus, cluster, parts, machine):
    machine(gpus, cluster)
    with mentioning(InputError, requested, *parts):
        choose_devices(requested)


def test_devices_are_chosen_before_tensorflow_starts():
    tf.constant(1.0).numpy()
    with mentioning(InputError, "--devices cpu:3", "choose_devices('cpu:3')", "before TensorFlow"):
        choose_devices("cpu:3")


def test_shares():
    four = Devices("cpu:4", "", SimpleNamespace(num_replicas_in_sync=4), worker=1, workers=2)
    assert four.share(64) == 32
    with mentioning(InputError, "30", "4 devices", "--batch-size 28 or 32"):
        four.share(30)
    with mentioning(InputError, "3 validation", "4 devices"):
        four.evaluation(None, 64, 3)


def test_xla(machine, monkeypatch):
    machine(0)
    use, reason = choose_xla()
    assert use is False and "CPU" in reason
    machine(1)
    assert choose_xla()[0] == "auto"
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: SimpleNamespace(num_replicas_in_sync=2))
    assert choose_xla()[0] is False


@pytest.mark.parametrize(
    ("capability", "policy"),
    [((9, 0), "mixed_float16"), ((7, 0), "mixed_float16"), ((6, 1), "float32"), (None, "float32")],
)
def test_float16_where_there_are_tensor_cores(capability, policy, machine, monkeypatch):
    machine(1)
    details = {"compute_capability": capability} if capability else {}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert has_tensor_cores(details) is (policy == "mixed_float16")
    assert choose_precision("auto").policy == policy
