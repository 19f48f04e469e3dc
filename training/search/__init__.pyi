from .hypermodel import HyperModel as HyperModel
from .journal import Record as Record
from .objective import Objective as Objective
from .processes import TrialLimits as TrialLimits
from .result import Search as Search
from .space import Space as Space
from .tuning import resume_search as resume_search
from .tuning import tune as tune
