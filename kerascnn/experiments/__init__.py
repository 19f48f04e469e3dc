"""The papers' experiments: which trainings each is made of, and what of them is set beside the published figures."""

from kerascnn.experiments.catalog import EXPERIMENTS, find
from kerascnn.experiments.experiment import Arm, Claim, Experiment, Scale

__all__ = ["EXPERIMENTS", "Arm", "Claim", "Experiment", "Scale", "find"]
