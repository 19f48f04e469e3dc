"""Tables of experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from kerascnn.console import BOX

if TYPE_CHECKING:
    from kerascnn.experiments import Experiment
    from kerascnn.experiments.report import Outcome


def experiments_table(experiments: dict[str, Experiment]) -> Table:
    """What is asked, by whom, and of which trainings each is made."""
    table = Table("experiment", "asks", "arms", "paper", box=BOX, padding=(0, 1, 0, 0))
    table.columns[0].no_wrap = True
    for name, one in experiments.items():
        table.add_row(name, one.about, ", ".join(arm.name for arm in one.arms), one.paper)
    return table


def outcome_table(outcome: Outcome) -> Table:
    """What was measured, beside what was published."""
    measured = outcome.measured
    title = f"{outcome.name}, {outcome.scale} scale, {outcome.data.name}"
    table = Table(*measured.head, title=title, box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in measured.rows:
        table.add_row(*row)
    return table
