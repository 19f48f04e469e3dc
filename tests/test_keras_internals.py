"""The private names of Keras and TensorFlow stand in one module, still exist, and do what the package expects."""

import ast
import operator
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import keras_internals
from kerascnn.keras_internals import TESTED_VERSIONS
from kerascnn.training.optimizers import SGD

ROOT = Path(__file__).parents[1]

# Private methods of Keras that the optimizers override, because Keras' `apply` calls them: a subclass has to do that.
OVERRIDDEN = {"_apply_weight_decay", "_update_model_variables_moving_average"}

# Private names that other modules use, and why they may.
EXCEPTIONS = {
    "training/optimizers.py": (
        "calls the method of Keras that it overrides",
        {"super()._apply_weight_decay"},
    ),
    "training/search/oracles.py": (
        "the module of keras-tuner's private names, see tests/training/search/test_oracles.py",
        {
            *("keras_tuner.src", "keras_tuner.src.distribute.oracle_chief", "keras_tuner.src.distribute.oracle_client"),
            *("order._memory", "order._data_to_index", "order._next_index", "order._last_index"),
            *("self._duplicate", "self._compute_values_hash", "self._random_populate_space", "super()._random_values"),
            *("self._ordered_ids", "self._random_state", "self._retry_queue", "self._tried_so_far"),
        },
    ),
    "kerascnn/applications/weights/tensor_pickles.py": (
        "pickle's implementation in Python, whose handlers can be replaced",
        {"pickle._Unpickler"},
    ),
    "kerascnn/export/metadata.py": (
        "the table of a FlatBuffer, which the classes of the schema keep to themselves",
        {"model._tab"},
    ),
    "kerascnn/files/watched_connections.py": (
        "how a connection is made; http.client lets only the whole be replaced, handshake and proxies included",
        {"made._create_connection"},
    ),
    "kerascnn/cli/__init__.py": (
        "public in spite of its name: ends a process whose other threads do not end",
        {"os._exit"},
    ),
}

# Methods of named tuples, which have an underscore so that they differ from all fields.
NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}

# Folders of Keras, keras-tuner and TensorFlow that they do not offer.
INTERNAL = {"src", "python"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def is_internal(module: str) -> bool:
    """Whether a module is none that its package offers: `keras.src`, `tensorflow.lite.python.convert`."""
    parts = module.split(".")
    foreign = parts[0] in ("keras", "keras_tuner", "tensorflow", "tf")
    return any(map(is_private, parts)) or (foreign and not INTERNAL.isdisjoint(parts))


def own_names(tree: ast.Module) -> set[str]:
    """The private names that a module defines: functions, classes, fields, and attributes of `self`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and of_self(node):
            names.add(node.attr)
    return {name for name in names if is_private(name)}


def of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def foreign_names(tree: ast.Module) -> Iterator[str]:
    """All that a module uses and that is private to someone else."""
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_internal(alias.name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [node.module] if is_internal(node.module) else filter(is_internal, names)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            parent = ast.unparse(node.value) == "super()"
            if node.attr not in NAMED_TUPLES and (parent or node.attr not in own):
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in INTERNAL and is_internal(ast.unparse(node)):
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            if is_private(name):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            if is_internal(name):
                yield name


def trees() -> dict[str, ast.Module]:
    files = [file for folder in ("kerascnn", "training") for file in (ROOT / folder).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def test_private_names_stand_in_one_module():
    modules = trees()
    assert len(modules) > 150
    del modules["kerascnn/keras_internals.py"]
    found = {module: names for module, tree in modules.items() if (names := set(foreign_names(tree)))}
    assert found == {module: names for module, (_, names) in EXCEPTIONS.items()}


@pytest.mark.parametrize(
    "program",
    [
        "layer._dtype_policy",
        "model.layers[0]._inbound_nodes",
        "self._trainable_variables",
        "super()._build()",
        "getattr(layer, '_losses', None)",
        "from keras.src import ops",
        "from keras import src",
        "import tensorflow.python.ops",
        "tf.lite.python.convert",
        "importlib.import_module('keras.src.ops')",
        "from scipy import _lib",
    ],
)
def test_a_private_name_is_noticed(program):
    assert len([*foreign_names(ast.parse(program))]) == 1


@pytest.mark.parametrize(
    "program",
    [
        "class A:\n    def f(self):\n        self._x = self.__class__._y\n        return self._x\n    _y = 1",
        "row._replace(x=1)._asdict()",
        "from __future__ import annotations",
        "import tensorflow as tf\ntf.data.Dataset",
        "_f(1)",
    ],
)
def test_own_and_public_names_are_not(program):
    assert [*foreign_names(ast.parse(program))] == []


def private_names_of(base: type) -> set[str]:
    """The private names of a class of Keras, those that its objects get when they are made included."""
    objects = [keras.layers.Layer(), keras.Model(), keras.optimizers.SGD(), keras.callbacks.Callback()]
    owners = [base, *(one for one in objects if issubclass(base, type(one)))]
    return {name for owner in owners for name in dir(owner) if is_private(name)}


def test_classes_override_no_other_private_methods():
    """Of Keras' classes that they extend; `_RecipeRules` is mixed into those of the optimizers."""
    extending, found = 0, {}
    for module, tree in trees().items():
        for node in ast.walk(tree):
            names = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            bases = [operator.attrgetter(name[6:])(keras) for name in names if name.startswith("keras.")]
            if isinstance(node, ast.ClassDef) and node.name == "_RecipeRules":
                bases = [keras.optimizers.SGD]
            for base in bases:
                extending += 1
                found.setdefault(module, set()).update(own_names(node) & private_names_of(base))
    assert extending > 20
    assert {module: names for module, names in found.items() if names} == {"training/optimizers.py": OVERRIDDEN}


@pytest.mark.parametrize("module", [keras, tf], ids=["keras", "tensorflow"])
def test_installed_versions_are_tested_ones(module):
    """After an upgrade, run all tests, and add the version."""
    assert TESTED_VERSIONS == {"keras": ("3.15.1",), "tensorflow": ("2.21.0",)}
    assert module.__version__ in TESTED_VERSIONS[module.__name__]


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    pixels = keras.Input((4,))
    model = keras.Model(pixels, keras.layers.Dense(2)(inner(pixels)))
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, global_clipnorm=0.1), "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def distributed():
    """A data set without a known number of batches."""
    batches = tf.data.Dataset.range(3).filter(lambda number: True)
    return tf.distribute.MirroredStrategy(["CPU:0"]).distribute_datasets_from_function(lambda context: batches)


@pytest.fixture
def resolver(monkeypatch):
    values = {"STEP_NODELIST": "node[9-10]", "STEP_TASKS_PER_NODE": "2,1", "STEP_NUM_TASKS": "3", "PROCID": "2"}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    kind = tf.distribute.cluster_resolver.SlurmClusterResolver
    return kind(gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False)


def test_private_names_exist(model, distributed, resolver):
    from tensorflow.lite.python.lite import TFLiteSavedModelConverterV2

    owners = {
        model.output: {"_keras_history"},
        model.layers[-1]: {"_inbound_nodes"},
        model: {"_nodes_by_depth", "_flatten_layers", "_compile_loss", "_symbolic_build", "_maybe_symbolic_build"},
        model.optimizer: {
            *("_all_reduce_sum_gradients", "_clip_gradients", "_get_variable_index", "_use_weight_decay"),
            *("_trainable_variables", "_model_variables_moving_average"),
            *OVERRIDDEN,
        },
        distributed: {"_cardinality"},
        resolver: {"_task_configuration", "_rank"},
        keras.activations.softmax(keras.Input((2,))): {"_keras_logits"},
        tf.lite.TFLiteConverter.from_keras_model(model): {"_experimental_calibrate_only"},
        TFLiteSavedModelConverterV2: {"_load_saved_model", "_convert_from_saved_model"},
    }
    missing = {name for owner, names in owners.items() for name in names if not hasattr(owner, name)}
    assert missing == set(), f"the names were seen with {TESTED_VERSIONS}; keras is {keras.__version__}"
    from tensorflow.lite.python import convert
    from tensorflow.python.eager import record

    assert all(map(callable, (convert.mlir_quantize, record.stop_recording, record.record_operation)))
    tree = ast.parse(Path(keras_internals.__file__).read_text(encoding="utf-8"))
    used = {name.rpartition(".")[-1] for name in foreign_names(tree)}
    assert used | OVERRIDDEN == set().union(*owners.values()) | {"convert", "eager", "lite"}


def test_importing_the_module_starts_no_backend():
    program = (
        "import sys, kerascnn.keras_internals\nassert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_nodes_follow_their_inputs(model):
    nodes = keras_internals.nodes_in_order(model)
    assert [node.operation for node in nodes] == model.layers
    last = keras_internals.producing_node(model.output)
    assert last is nodes[-1] and last.parent_nodes == [nodes[-2]]
    assert [*map(id, last.input_tensors)] == [*map(id, nodes[-2].output_tensors)]


def test_nodes_are_calls_not_layers():
    """A layer that is called twice has two nodes."""
    layer, pixels = keras.layers.Dense(4), keras.Input((4,))
    first = layer(pixels)
    second = layer(first)
    assert len(keras_internals.nodes_in_order(keras.Model(pixels, second))) == 3
    nodes = [keras_internals.producing_node(tensor) for tensor in (pixels, first, second)]
    assert [node.parent_nodes for node in nodes] == [[], nodes[:1], nodes[1:2]]
    assert nodes[1].operation is nodes[2].operation is layer


def test_nested_layers_are_found(model):
    kinds = [type(layer).__name__ for layer in keras_internals.all_layers(model)]
    assert kinds.count("Dense") == 2 and kinds.count("BatchNormalization") == 1
    assert len(keras_internals.batch_normalizations(model)) == 1


def test_losses_and_metrics_are_built_without_a_batch(model):
    assert len(model.metrics_variables) < 4
    batch = keras.KerasTensor((1, 4)), keras.KerasTensor((1, 2))
    keras_internals.build_losses_and_metrics(model, batch)
    # Sums and counts of the loss and of the mean absolute error.
    assert len(model.metrics_variables) == 4


def test_each_loss_has_a_running_mean():
    pixels = keras.Input((4,))
    model = keras.Model(pixels, {name: keras.layers.Dense(2, name=name)(pixels) for name in ("main", "aux")})
    model.compile("sgd", {"main": "mse", "aux": "mse"})
    losses = keras_internals.compiled_loss(model)
    losses.build(model.output, model.output)
    assert sorted(tracker.name for tracker in losses.metrics) == ["aux_loss", "main_loss"]


def test_weights_and_averages(model):
    weights = keras_internals.optimized_weights(model.optimizer)
    averages = keras_internals.weight_averages(model.optimizer)
    assert [weight.shape for weight in weights] == [average.shape for average in averages]
    assert [id(weight) for weight in weights] == [id(weight) for weight in model.trainable_variables]
    indices = [keras_internals.weight_index(model.optimizer, weight) for weight in weights]
    assert indices == [*range(len(weights))]


def test_excluded_weights_are_not_decayed():
    weights = [keras.Variable(np.ones(2), name=name) for name in ("kernel", "bias")]
    optimizer = keras.optimizers.SGD(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=weights[1:])
    optimizer.build(weights)
    assert [keras_internals.is_decayed(optimizer, weight) for weight in weights] == [True, False]


def test_keras_calls_the_overridden_methods(monkeypatch):
    called = []
    for name in OVERRIDDEN:
        monkeypatch.setattr(SGD, name, lambda self, variables, name=name: called.append(name))
    weight = keras.Variable(np.ones(2))
    optimizer = SGD(weight_decay=0.1, use_ema=True)
    optimizer.build([weight])
    optimizer.apply([tf.ones(2)])
    assert sorted(called) == sorted(OVERRIDDEN)


def test_gradients_are_observed_before_they_are_clipped(model):
    observed = []
    keras_internals.observe_gradients(model.optimizer, observed.extend)
    gradients = [tf.ones(variable.shape) for variable in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    for one, gradient in zip(observed, gradients, strict=True):
        np.testing.assert_array_equal(one, gradient)


def test_tasks_of_slurm_are_in_its_order(resolver):
    assert keras_internals.slurm_tasks(resolver) == ({"node9": 2, "node10": 1}, 2)


def test_the_number_of_batches_can_be_set(distributed):
    assert int(distributed.cardinality) < 0
    keras_internals.set_cardinality(distributed, 3)
    assert int(distributed.cardinality) == 3


def test_a_conversion_is_the_public_one(tmp_path):
    doubled = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((1, 4))], autograph=False)
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=doubled.get_concrete_function())
    public = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    public.exclude_conversion_metadata = True
    assert keras_internals.converted(keras_internals.converter_of(str(tmp_path))) == public.convert()
