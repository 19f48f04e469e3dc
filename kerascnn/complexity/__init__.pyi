# The public names, for editors, type checkers and lazy_loader.
from .analysis import analyze as analyze, analyze_by_name as analyze_by_name
from .report import LayerRow as LayerRow, Report as Report, Stage as Stage, Totals as Totals
