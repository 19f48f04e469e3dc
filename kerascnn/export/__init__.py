"""Exports trained models to SavedModel, TFLite, ONNX and Keras' own layers, and verifies the files.

The stub `__init__.pyi` lists the names. Each is imported when it is first used. The package can be called: it is its
function `export`.
"""

import sys
import types

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Package(types.ModuleType):
    """A package that is called as its verb: `kerascnn.export(model, data, folder)`."""

    def __call__(self, *arguments, **named):
        return self.export(*arguments, **named)


sys.modules[__name__].__class__ = _Package
