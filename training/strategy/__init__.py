"""Training on one device, on several, or on several machines, with tf.distribute.

`__init__.pyi` lists the names; each is imported when it is first used, so that workers are started without a backend.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
