# The public names, for editors, type checkers and lazy_loader.
from .analysis import analyze as analyze
from .analysis import analyze_by_name as analyze_by_name
from .report import LayerRow as LayerRow
from .report import Report as Report
from .report import Stage as Stage
from .report import Totals as Totals
