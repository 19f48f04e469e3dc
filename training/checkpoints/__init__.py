"""Checkpoints: written atomically, at any step, and read again to the bit."""
