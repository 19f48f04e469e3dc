"""Tables of experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from kerascnn.console import BOX

if TYPE_CHECKING:
    from kerascnn.experiments import Experiment
    from kerascnn.experiments.report import Outcome


def experiments_table(experiments: dict[str, Experiment]) -> Table:
    """The question, the paper and the arms of every experiment."""
    table = Table("experiment", "question", "arms", "paper", box=BOX, padding=(0, 1, 0, 0))
    table.columns[0].no_wrap = True
    for name, experiment in experiments.items():
        table.add_row(name, experiment.about, ", ".join(arm.name for arm in experiment.arms), experiment.paper)
    return table


def outcome_table(outcome: Outcome) -> Table:
    """The measured results of an experiment, next to the published ones."""
    measured = outcome.measured
    title = f"{outcome.name}, {outcome.scale} scale, {outcome.data.name}"
    table = Table(*measured.head, title=title, box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in measured.rows:
        table.add_row(*row)
    return table
