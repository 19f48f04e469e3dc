"""The papers' experiments: the trainings of each, and their comparison with the published results."""

from kerascnn.experiments.catalog import EXPERIMENTS, find
from kerascnn.experiments.experiment import Arm, Claim, Experiment, Scale

__all__ = ["EXPERIMENTS", "Arm", "Claim", "Experiment", "Scale", "find"]
