"""Recipes: every hyperparameter of a training as one typed value, read from YAML and checked."""
