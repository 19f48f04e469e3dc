"""Hyperparameter search with keras-tuner: a space as data, one process per trial, and a report.

`__init__.pyi` lists the names; each is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
