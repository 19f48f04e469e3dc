"""Callbacks that log, display, average and stop a training."""
