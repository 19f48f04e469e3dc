"""The private names of keras-tuner that the search uses, which stand in one module."""

import ast
import importlib.metadata
from pathlib import Path

import keras_tuner

from kerascnn.training.search import oracles
from kerascnn.training.search.oracles import BayesianOracle, GridOracle, RandomOracle

ORACLE = ("_duplicate", "_random_values", "_save_trial", "_compute_values_hash")
STATE = ("_max_collisions", "_retry_queue", "_tried_so_far")


def test_private_names_of_keras_tuner_exist(config_of):
    installed = importlib.metadata.version("keras-tuner")
    message = f"seen to work with keras-tuner {oracles.VERIFIED_VERSION} (1.4.8), installed is {installed}"
    assert oracles.VERIFIED_VERSION == "1.4.8"
    for name in ORACLE:
        assert callable(getattr(keras_tuner.Oracle, name, None)), f"{name}: {message}"
    space = {"batch_size": {"values": [8, 16]}}
    made = {tuner: oracles.make_oracle(config_of(space, tuner=tuner)) for tuner in ("random", "bayesian", "grid")}
    assert [type(oracle) for oracle in made.values()] == [RandomOracle, BayesianOracle, GridOracle]
    expected = {"random": STATE, "bayesian": ("_random_state",), "grid": ("_ordered_ids", "_populate_next")}
    for tuner, names in expected.items():
        for name in names:
            assert hasattr(made[tuner], name), f"{name}: {message}"
    assert callable(getattr(made["bayesian"], "_random_populate_space", None)), message
    for name in ("_memory", "_data_to_index", "_next_index", "_last_index"):
        assert hasattr(made["grid"]._ordered_ids, name), f"{name}: {message}"


def test_only_one_module_uses_private_names_of_keras_tuner():
    private = {*ORACLE, *STATE, "_random_state", "_ordered_ids", "_populate_next", "_random_populate_space"}
    for file in Path(oracles.__file__).parent.glob("*.py"):
        tree = ast.walk(ast.parse(file.read_text()))
        found = {node.module for node in tree if isinstance(node, ast.ImportFrom) and "keras_tuner.src" in node.module}
        tree = ast.walk(ast.parse(file.read_text()))
        found |= {node.attr for node in tree if isinstance(node, ast.Attribute) and node.attr in private}
        assert bool(found) == (file.name == "oracles.py"), f"{file.name}: {found}"
