"""The papers' experiments: the trainings of each, and their comparison with the published results."""

from kerascnn.experiments.experiment import EXPERIMENTS, Arm, Claim, Experiment, Scale, find

__all__ = ["EXPERIMENTS", "Arm", "Claim", "Experiment", "Scale", "find"]
