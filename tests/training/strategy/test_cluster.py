"""The workers that TF_CONFIG and Slurm's variables describe."""

import json

import pytest

from kerascnn import InputError
from kerascnn.training.strategy import Cluster, find_cluster
from support.messages import mentioning

THREE = {"worker": ["a:1", "b:1", "b:2"]}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables, in an environment without other cluster variables."""
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_variables


def config(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_workers_of_tf_config(environment):
    environment(TF_CONFIG=config(THREE, index=2))
    assert find_cluster() == Cluster(("a:1", "b:1", "b:2"), 2, "TF_CONFIG")


@pytest.mark.parametrize(("kind", "index", "worker"), [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)])
def test_a_chief_comes_first(kind, index, worker, environment):
    environment(TF_CONFIG=config({"worker": ["b:1", "c:1"], "chief": ["a:1"]}, kind, index))
    assert find_cluster() == Cluster(("a:1", "b:1", "c:1"), worker, "TF_CONFIG")


@pytest.mark.parametrize("text", ["", "{}", config({"worker": ["a:1"]}), config({"chief": ["a:1"]}, "chief")])
def test_one_worker_is_no_cluster(text, environment):
    environment(TF_CONFIG=text)
    assert find_cluster() is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{", ("cannot be read", "like", '"cluster"')),
        ("[1]", ("cannot be read",)),
        (config(THREE, index=3), ("worker 3", "cluster")),
        (config(THREE, "chief"), ("chief 0", "cluster")),
        (config({**THREE, "ps": ["p:1"]}), ("'ps'",)),
        (config(THREE, "evaluator"), ("'evaluator'",)),
    ],
)
def test_mistakes_in_tf_config(text, parts, environment):
    environment(TF_CONFIG=text)
    with mentioning(InputError, "TF_CONFIG", *parts):
        find_cluster()


def slurm(environment, **others):
    environment(
        SLURM_JOB_ID=7, SLURM_STEP_NODELIST="node[9-10],big", SLURM_STEP_TASKS_PER_NODE="2(x2),1",
        SLURM_STEP_NUM_TASKS=5, SLURM_PROCID=2, **others,
    )  # fmt: skip


def test_tasks_of_slurm(environment):
    """In the order of the nodes as Slurm lists them; every task of a machine has its own port."""
    slurm(environment)
    ports = [("node9", 10_007), ("node9", 10_008), ("node10", 10_007), ("node10", 10_008), ("big", 10_007)]
    found = find_cluster()
    assert found == Cluster(tuple(f"{host}:{port}" for host, port in ports), 2, "Slurm")
    assert found.local_index_and_count == (0, 2)


def test_tf_config_comes_before_slurm(environment):
    slurm(environment, TF_CONFIG=config(THREE, index=1))
    assert find_cluster().source == "TF_CONFIG"


def test_a_single_task_of_slurm(environment):
    environment(SLURM_PROCID=0, SLURM_STEP_NUM_TASKS=1)
    assert find_cluster() is None


def test_local_index_and_count():
    assert [Cluster(("a:1", "b:1", "a:2"), worker, "").local_index_and_count for worker in range(3)] == [
        (0, 2),
        (0, 1),
        (1, 2),
    ]
