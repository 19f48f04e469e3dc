"""Recipes: every hyperparameter of a training as one checked value, read from YAML."""
