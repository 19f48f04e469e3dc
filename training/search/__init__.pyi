from .config import Objective as Objective, TrialLimits as TrialLimits
from .hypermodel import HyperModel as HyperModel
from .journal import TrialRecord as TrialRecord
from .report import Search as Search
from .space import Space as Space
from .tuner import resume_search as resume_search, tune as tune
