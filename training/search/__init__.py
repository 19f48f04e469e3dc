"""Hyperparameter search with keras-tuner: the space as data, trials in processes of their own, and a report.

`__init__.pyi` lists the names; each is imported when it is first used, so that spaces are read without a backend.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
