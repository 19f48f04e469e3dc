"""The cost of a network: parameters, multiply-adds, memory of activations, receptive fields.

The stub `__init__.pyi` lists the names. Each is imported when it is first used, so that reading a report does not start
a backend.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
