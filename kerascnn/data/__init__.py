"""Images in, batches out: sources, checking, augmentation and the tf.data pipeline.

The stub `__init__.pyi` lists the names. Each is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
