"""The terminal output of a search: its settings, its trials and its report."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from kerascnn.console import output, print_text, table

if TYPE_CHECKING:
    from kerascnn.training.search import Search, TrialRecord
    from kerascnn.training.search.folder import SearchConfig, SearchFolder

MAX_ROWS = 10
SECONDS_BETWEEN_UPDATES = 2.0


def format_search(config: SearchConfig, folder: SearchFolder) -> str:
    """A search's settings, in three lines."""
    limits = [f"{config.max_trials} trials"] if config.max_trials else []
    limits += [f"{config.budget:g} s"] if config.budget else []
    end = " or ".join(limits) or "the tuner's own end"
    return (
        f"{config.tuner} over {', '.join(parameter.name for parameter in config.space.parameters)}, until {end}\n"
        f"{config.objective.name} on a held-out fifth of the training images\n"
        f"folder {folder.path}"
    )


def format_trial(record: TrialRecord, config: SearchConfig) -> str:
    """An ended trial, in one line."""
    number = f"trial {record.number}" + (f"/{config.max_trials}" if config.max_trials else "")
    values = format_values(record)
    if record.score is None:
        return f"{number}  failed ({record.reason}): {record.detail}  {values}"
    epochs = len(record.curve)
    stopped = ", stopped early" if record.status == "stopped early" else ""
    batch = f", batch size reduced to {record.recipe['batch_size']} to fit into memory" if record.attempts else ""
    how = f"{epochs} epoch{'s' * (epochs != 1)}{stopped}{batch}, {record.seconds:.0f} s"
    return f"{number}  {config.objective.name} {record.score:.4f}  {how}  {values}"


def format_values(record: TrialRecord) -> str:
    """The searched fields by the last part of their names: "learning_rate 0.0308, momentum 0.8"."""
    texts = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in record.fields.items()}
    return ", ".join(f"{name.rpartition('.')[2]} {text}" for name, text in texts.items())


class RunningTrials:
    """The running trials of a search, as a line that updates itself in a terminal."""

    def __init__(self, folder: SearchFolder, config: SearchConfig):
        self.folder, self.objective = folder, config.objective.name
        self._updated, self._line = 0.0, ""

    def __rich__(self) -> str:
        if time.monotonic() - self._updated > SECONDS_BETWEEN_UPDATES:
            self._updated, self._line = time.monotonic(), self._read()
        return self._line

    def _read(self) -> str:
        from kerascnn.training.search.folder import Journal
        from kerascnn.training.search.trial_process import read_curve

        journal = Journal(self.folder.trials, lambda warning: None)
        trials = []
        for record in (record for record in journal.records() if not record.ended):
            curve = read_curve(journal.trial_folder(record.number, record.values))
            score = f", {self.objective} {curve[-1][self.objective]:.4f}" if curve else ""
            trials.append(f"trial {record.number}: {len(curve)} epochs{score}")
        return "; ".join(trials)


def print_report(search: Search) -> None:
    """Prints the best trials, the cost of the search, and the size of the best trial's network."""
    console = output()
    columns = ("trial", search.config.objective.name, "epochs", "s", "values")
    trials = table(*columns, text_columns=0, padding=(0, 1))
    trials.columns[4].justify, trials.columns[4].no_wrap = "left", False
    for record in search.records[:MAX_ROWS]:
        failed = record.score is None
        score = "–" if failed else f"{record.score:.4f}"
        row = (str(record.number), score, str(len(record.curve)), f"{record.seconds:.0f}")
        trials.add_row(*row, f"failed: {record.reason}" if failed else format_values(record))
    console.print(trials)
    print_text(console, *_summary(search))


def _summary(search: Search) -> list[str]:
    spent, importance, cost = (search.report[name] for name in ("spent", "importance", "cost"))
    failures = ", ".join(f"{count} by {reason}" for reason, count in spent["failed"].items())
    failed = f"; failed: {failures}" if failures else ""
    lines = [f"{spent['trials']} trials, {spent['seconds']:.0f} s and {spent['images']:,} images of training{failed}"]
    if importance:
        lines.append("importance: " + ", ".join(f"{name} {share:.0%}" for name, share in importance.items()))
    if not search.best:
        return [*lines, "no trial succeeded; each has a log in its folder"]
    config = search.config
    data = f" --data {config.data}" if config.data != "digits" else ""
    limit = f" --limit {config.limit}" if config.limit else ""
    chosen = "".join(f" {shlex.quote(word)}" for word in config.options.to_command_line())
    return [
        *lines,
        f"the best network has {cost['parameters']:,} parameters and {cost['macs']:,} multiply-adds per image",
        f"train it on all training images: kerascnn train --recipe {search.folder.best_file}{data}{limit}{chosen}",
        f"view the trials: tensorboard --logdir {search.folder.tensorboard}",
    ]
