"""Searches as the command line shows them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from kerascnn.console import BOX, output

if TYPE_CHECKING:
    from kerascnn.training.search import Search
    from kerascnn.training.search.journal import Record
    from kerascnn.training.search.plan import SearchConfig, SearchFolder

SHOWN = 10

SECONDS_BETWEEN_READINGS = 2.0


def plan_in_words(plan: SearchConfig, folder: SearchFolder) -> list[str]:
    """What a search is about to do, a line each."""
    ends = [f"{plan.max_trials} trials" if plan.max_trials else "", f"{plan.budget:g} s" if plan.budget else ""]
    end = " or ".join(filter(None, ends)) or "the tuner's own end"
    names = ", ".join(parameter.name for parameter in plan.space.parameters)
    return [
        f"{plan.tuner} over {names}, until {end}",
        f"{plan.objective.name} on a fifth of the training images, which trials do not learn from",
        f"folder {folder.path}",
    ]


def trial_in_words(record: Record, plan: SearchConfig) -> str:
    """A trial that has ended, in a line."""
    number = f"trial {record.number}" + (f"/{plan.max_trials}" if plan.max_trials else "")
    values = values_in_words(record)
    batch = f", with a batch of {record.recipe['batch_size']} for lack of memory" if record.attempts else ""
    if record.score is None:
        return f"{number}  failed ({record.reason}): {record.detail}  {values}"
    stopped = ", stopped early" if record.status == "stopped early" else ""
    epochs = len(record.curve)
    how = f"{epochs} epoch{'s' * (epochs != 1)}{stopped}{batch}, {record.seconds:.0f} s"
    return f"{number}  {plan.objective.name} {record.score:.4f}  {how}  {values}"


class UnderWay:
    """The trials that run, as a line for a terminal that is read anew while it is shown.

    Args:
        folder, plan: of the search.
    """

    def __init__(self, folder: SearchFolder, plan: SearchConfig):
        self.folder = folder
        self.plan = plan
        self._read = 0.0
        self._line = ""

    def __rich__(self) -> str:
        if time.monotonic() - self._read > SECONDS_BETWEEN_READINGS:
            self._read, self._line = time.monotonic(), self._under_way()
        return self._line

    def _under_way(self) -> str:
        from kerascnn.training.search.journal import Journal
        from kerascnn.training.search.reporting import read_curve

        journal = Journal(self.folder.trials, lambda sentence: None)
        lines = []
        for record in journal.records():
            if not record.ended:
                curve = read_curve(journal.place(record.number, record.values))
                figure = f", {self.plan.objective.name} {curve[-1][self.plan.objective.name]:.4f}" if curve else ""
                lines.append(f"trial {record.number}: {len(curve)} epochs{figure}")
        return "; ".join(lines)


def search_report(search: Search) -> None:
    """Prints the best trials, what was spent, and what the best one costs to run."""
    console = output()
    report = search.report
    table = Table("trial", search.plan.objective.name, "epochs", "s", "values", box=BOX)
    for column in table.columns[:4]:
        column.justify = "right"
        column.no_wrap = True
    for record in search.records[:SHOWN]:
        score = "–" if record.score is None else f"{record.score:.4f}"
        row = (str(record.number), score, str(len(record.curve)), f"{record.seconds:.0f}")
        table.add_row(*row, values_in_words(record) if record.score is not None else f"failed: {record.reason}")
    console.print(table)
    for line in _lines(search, report):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(search: Search, report: dict[str, Any]) -> list[str]:
    spent = report["spent"]
    failed = ", ".join(f"{count} by {reason}" for reason, count in spent["failed"].items())
    lines = [
        f"{spent['trials']} trials, {spent['seconds']:.0f} s and {spent['images']:,} images of training"
        + (f"; failed: {failed}" if failed else "")
    ]
    if report["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in report["importance"].items())
        lines.append(f"what mattered: {shares}")
    if search.best:
        cost = report["cost"]
        lines += [
            f"the best has {cost['parameters']:,} parameters and takes {cost['macs']:,} multiply-adds an image",
            f"train it on all training images: kerascnn train --recipe {search.folder.best_file}{_data(search)}",
            f"watch the trials: tensorboard --logdir {search.folder.tensorboard}",
        ]
    else:
        lines.append("no trial succeeded; the log of each lies in its folder")
    return lines


def _data(search: Search) -> str:
    limit = f" --limit {search.plan.limit}" if search.plan.limit else ""
    return (f" --data {search.plan.data}" if search.plan.data != "digits" else "") + limit


def values_in_words(record: Record) -> str:
    """The searched fields by the last part of their names.

    Example:
        >>> values_in_words(record)
        'learning_rate 0.0308, momentum 0.8'
    """
    return ", ".join(f"{name.rpartition('.')[2]} {_in_words(value)}" for name, value in record.fields.items())


def _in_words(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
