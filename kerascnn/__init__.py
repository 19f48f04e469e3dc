"""Classic image networks on Keras 3 and TensorFlow: build, train, evaluate, export.

Importing the package starts no backend; each part is imported when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import lazy_loader
import wrapt

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
    *("layers.preprocessing", "layers.subsampled_identity", "applications.deep"),
    *("training.integer_labels", "training.multi_label", "training.optimizers", "training.schedules"),
)


@wrapt.when_imported("keras")
def _register_classes(_) -> None:
    """Makes `keras.models.load_model` know our classes, which register themselves when their modules are imported.

    It runs when Keras is imported, at once if that was before. If one of our modules imports Keras, that module is only
    half there: these modules take no names from modules that import Keras.
    """
    for module in REGISTERED:
        importlib.import_module(f"{__name__}.{module}")


if TYPE_CHECKING:
    from kerascnn import applications, complexity, data, evaluation, export, layers, training
    from kerascnn.errors import InputError
    from kerascnn.evaluation.classifier import load

_functions = {"errors": ["InputError"], "evaluation.classifier": ["load"]}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, {*__all__} - {"InputError", "__version__", "load"}, _functions)
