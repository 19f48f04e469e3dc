"""Hostile inputs, by generators with a fixed seed: every one ends in a result or in one sentence, soon.

`python -m tests.hostile --seconds 1800` runs every kind for half an hour.
"""
