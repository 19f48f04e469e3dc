"""Checkpoints: written atomically at any step, and restored bit-exact."""
