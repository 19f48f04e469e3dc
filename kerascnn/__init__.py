"""Classic image networks on Keras 3 and TensorFlow: build, train, evaluate, export.

Importing the package starts no backend; each part is imported when it is first used.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "__version__",
    "applications",
    "complexity",
    "data",
    "evaluation",
    "export",
    "layers",
    "load",
    "training",
]

# In a checkout, kerascnn/training is a link to the folder `training` beside this package. Where Git cannot make links,
# as on Windows without developer mode, it writes a small file instead; the package is then found by this path.
_here = os.path.dirname(__file__)
if not os.path.isdir(os.path.join(_here, "training")):
    __path__.append(os.path.dirname(_here))


# The modules of the classes that saved models name.
REGISTERED = (
    *("layers.batch_normalization", "layers.class_labels", "layers.local_response_normalization"),
    *("layers.preprocessing", "layers.spatial_pyramid_pooling", "layers.subsampled_identity", "applications.deep"),
    *("training.losses", "training.multi_label", "training.optimizers", "training.schedules"),
)


def _register_classes() -> None:
    """Makes `keras.models.load_model` know our classes, which register themselves when their modules are imported.

    If one of our modules imports Keras, that module is only half there: these modules take no names from modules that
    import Keras.
    """
    for module in REGISTERED:
        importlib.import_module(f"{__name__}.{module}")


@contextlib.contextmanager
def _quiet_in_notebooks() -> Iterator[None]:
    """Discards what TensorFlow says of the CPU and of a missing GPU, where a cell would show it in red.

    Later it shows errors, and no messages such as those of its compiler, unless the user wants them.
    """
    if "ipykernel" not in sys.modules:
        yield
        return
    from kerascnn.native_output import discarded_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with discarded_stderr():
        yield
        if tensorflow := sys.modules.get("tensorflow"):
            # Looked for at the first operation, if not now.
            tensorflow.config.list_physical_devices()


class _KerasFinder:
    """Has `_register_classes` called when Keras has been imported, whoever imports it: a finder of `sys.meta_path`."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Finds Keras as the finders after this one do."""
        if name != "keras":
            return None
        others = sys.meta_path[sys.meta_path.index(cls) + 1 :]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec:
            spec.loader.exec_module = lambda module: cls._execute(spec.loader, module)
        return spec

    @staticmethod
    def _execute(loader, module) -> None:
        # The loader is again as it was found.
        del loader.exec_module
        with _quiet_in_notebooks():
            loader.exec_module(module)
        _register_classes()


if "keras" in sys.modules:
    _register_classes()
else:
    sys.meta_path.insert(0, _KerasFinder)


if TYPE_CHECKING:
    from kerascnn import applications, complexity, data, evaluation, export, layers, training
    from kerascnn.errors import InputError
    from kerascnn.evaluation.classifier import load

_functions = {"errors": ["InputError"], "evaluation.classifier": ["load"]}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, {*__all__} - {"InputError", "__version__", "load"}, _functions)
