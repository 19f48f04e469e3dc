"""JAX compiles every shape of every operation for itself: quickly here, because what is compiled runs once."""

import os

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
