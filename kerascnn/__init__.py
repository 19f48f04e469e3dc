"""Classic image networks on Keras 3 and TensorFlow: build, train, evaluate, export.

Importing the package starts no backend; each part is imported when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

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
    "training",
]

# In a checkout the training package lies beside this one instead of inside it (setup.cfg maps it on
# installation); with its parent on the path, `kerascnn.training` is found there too.
_here = os.path.dirname(__file__)
if not os.path.isdir(os.path.join(_here, "training")):
    __path__.append(os.path.dirname(_here))

if TYPE_CHECKING:
    from kerascnn import applications, complexity, data, evaluation, export, layers, training
    from kerascnn.errors import InputError


def __getattr__(name: str):
    if name == "InputError":
        return importlib.import_module("kerascnn.errors").InputError
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
