"""The package `kerascnn.training`: names that are imported on first use, and one name for every module."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "package", ["applications", "complexity", "data", "evaluation", "export", "layers", "training", "training.search"]
)
def test_every_name_of_the_stub_exists(package):
    module = importlib.import_module(f"kerascnn.{package}")
    assert len(module.__all__) > 5 and dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing


@pytest.mark.slow
def test_modules_have_one_name():
    """In a checkout the folder `training` is next to the package; nothing imports it as `training`."""
    program = (
        "import sys, kerascnn.training as package\n"
        "for name in package.__all__: getattr(package, name)\n"
        "assert 'kerascnn.training.trainer' in sys.modules\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'training']\n"
        "import keras\n"
        "assert 'kerascnn>SGD' in keras.saving.get_custom_objects()\n"
        "assert not [name for name in keras.saving.get_custom_objects() if name.startswith('training')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_type_checkers_find_the_package():
    """They run no code, so a link has to lead to it."""
    assert (ROOT / "kerascnn" / "training").resolve() == ROOT / "training"


def test_without_the_link(tmp_path):
    """Where Git cannot make links, it writes a file that holds the target's name."""
    shutil.copytree(ROOT / "kerascnn", tmp_path / "kerascnn", ignore=shutil.ignore_patterns("training", "__pycache__"))
    (tmp_path / "kerascnn" / "training").write_text("../training")
    shutil.copytree(ROOT / "training", tmp_path / "training", ignore=shutil.ignore_patterns("__pycache__"))
    program = "import kerascnn.training as package; package.Recipe; print(package.__file__)"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == tmp_path / "training" / "__init__.py"
