"""Training: recipes, the training loop, fine-tuning, hyperparameter search and run folders.

`__init__.pyi` lists the names; each is imported when it is first used, so that recipes are read without a backend.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
