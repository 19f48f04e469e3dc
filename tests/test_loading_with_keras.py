"""Saved models in the code of Keras users: `keras.models.load_model` after `import kerascnn`."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import kerascnn
from kerascnn import InputError
from kerascnn.layers import (
    BatchNormalization,
    ClassLabels,
    LocalResponseNormalization,
    Preprocessing,
    SpatialPyramidPooling,
    SubsampledIdentity,
)
from kerascnn.training.optimizers import SGD


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A compiled model with every layer and an optimizer of ours."""
    inputs = keras.Input((8, 8, 3))
    x = Preprocessing(mean_shape=(3,), std=58.0)(inputs)
    x = BatchNormalization()(LocalResponseNormalization()(SubsampledIdentity(4, strides=2)(x)))
    x = keras.layers.Dense(2, activation="softmax")(SpatialPyramidPooling((2, 1))(x))
    model = keras.Model(inputs, ClassLabels(["cat", "dog"])(x))
    model.compile(SGD(l2=1e-4), "categorical_crossentropy")
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import kerascnn, keras", "import keras, kerascnn"])
def test_load_model_knows_our_classes(model_file, imports):
    program = f"{imports}\nmodel = keras.models.load_model({str(model_file)!r})\nprint(model.layers[-1].class_names)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "('cat', 'dog')"


def test_classes_are_registered_once_keras_is_complete(tmp_path):
    """Also if it was only looked for before, fails at first, or another finder comes before ours."""
    (tmp_path / "keras.py").write_text("import sys\nif sys.fail: raise ImportError('half')\ncomplete = True")
    program = """
import importlib.util, sys
sys.path.insert(0, sys.argv[1])
import kerascnn
kerascnn._register_classes = lambda: print("registered:", sys.modules["keras"].complete)
sys.meta_path.insert(0, type("Other", (), {"find_spec": staticmethod(lambda *names: None)}))
importlib.util.find_spec("keras")
sys.fail = True
try:
    import keras
except ImportError as error:
    print(error)
sys.fail = False
import keras, keras
print(type(keras.__loader__).__name__, *vars(keras.__loader__))
"""
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines() == ["half", "registered: True", "SourceFileLoader name path"], ended.stderr


def test_import_starts_neither_keras_nor_tensorflow():
    program = "import kerascnn, sys; sys.exit(bool({'keras', 'tensorflow'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_help_starts_neither_keras_nor_tensorflow():
    program = (
        "import pydoc, sys, kerascnn; pydoc.render_doc(kerascnn); print([*{'keras', 'tensorflow'} & {*sys.modules}])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "[]\n", ended.stderr


def test_every_class_that_files_name_is_registered_with_keras():
    registered = {
        cls.__module__ for name, cls in keras.saving.get_custom_objects().items() if name.startswith("kerascnn>")
    }
    assert registered == {f"kerascnn.{module}" for module in kerascnn.REGISTERED}


def test_the_package_export_is_its_verb(tmp_path):
    with pytest.raises(InputError, match="format"):
        kerascnn.export(keras.Sequential(), None, tmp_path, formats=["caffe"])


def test_registration_works_while_a_module_of_ours_imports_keras():
    """That module is half imported then: the registered ones must not need its names to be imported themselves."""

    def statements(name):
        return ast.parse(Path(importlib.util.find_spec(name).origin).read_text()).body

    for module in kerascnn.REGISTERED:
        for statement in statements(f"kerascnn.{module}"):
            if isinstance(statement, ast.ImportFrom) and statement.module.startswith("kerascnn."):
                taken = statements(statement.module)
                imported = {alias.name for one in taken if isinstance(one, ast.Import) for alias in one.names}
                assert "keras" not in imported, f"{module} takes names from {statement.module}"
