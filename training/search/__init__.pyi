from .folder import Objective as Objective, TrialLimits as TrialLimits, TrialRecord as TrialRecord
from .hypermodel import HyperModel as HyperModel
from .report import Search as Search
from .space import Space as Space
from .tuner import resume_search as resume_search, tune as tune
