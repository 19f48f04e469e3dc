"""Tables of scores: of one model, of several, of runs and of the tests between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from kerascnn.console import BOX
from kerascnn.evaluation.metrics import by_class, by_size, calibration, top_error

if TYPE_CHECKING:
    from kerascnn.evaluation import Scores
    from kerascnn.evaluation.runs import Comparison
    from kerascnn.evaluation.study import Study


def _table(*columns: str, words: int, title: str | None = None, caption: str | None = None) -> Table:
    """A table whose first columns are words and whose others are numbers."""
    table = Table(*columns, title=title, caption=caption, caption_justify="left", box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[words:]:
        column.justify = "right"
    return table


def scores_table(scores: Scores, title: str) -> Table:
    """Errors, over all classes, by size and for each class."""
    table = _table(
        "class", "images", "top-1 error", "precision", "F1", words=1, title=title,
        caption=f"in brackets 95 % confidence; expected calibration error {calibration(scores).error:.2%}",
    )  # fmt: skip
    for row in by_class(scores):
        missed = None if row.recall is None else 1 - row.recall
        table.add_row(row.name, str(row.images), *(_percent(figure) for figure in (missed, row.precision, row.f1)))
    sizes = by_size(scores)
    if len(sizes) > 1:
        table.add_section()
        for group, error in sizes.items():
            table.add_row(f"all, shorter side {group}", str(error.images), str(error), "", "")
    table.add_section()
    table.add_row("all", str(len(scores.labels)), str(top_error(scores)), "", "")
    if len(scores.class_names) > 5:
        table.add_row("all, top-5", str(len(scores.labels)), str(top_error(scores, 5)), "", "")
    return table


def measurements_table(study: Study) -> Table:
    """A row for every model by every protocol, and for all models together."""
    images, ranks = len(study.data.validation), _ranks(study)
    table = _table(
        "model", "form", "crops", *(f"top-{k} error" for k in ranks), "s", words=3,
        title=f"{study.data.name}, {images} images", caption="in brackets 95 % confidence",
    )  # fmt: skip
    for number, row in enumerate(study.rows):
        if number == len(study.alone):
            table.add_section()
        kinds = ", ".join(dict.fromkeys(row.kinds))
        errors = [str(top_error(row.scores, k)) for k in ranks]
        table.add_row(study.called(row), kinds, row.protocol, *errors, f"{row.seconds:.1f}")
    return table


def models_and_crops_table(study: Study) -> Table:
    """Errors by the number of models and of crops, as Szegedy et al. (2014) print them in table 3."""
    rows, ranks = study.by_models_and_views(), _ranks(study)
    errors = [text for k in ranks for text in (f"top-{k} error", "to the first")]
    table = _table("models", "crops", "views", *errors, words=0)
    table.columns[1].justify = "left"
    first = [top_error(rows[0].scores, k).rate for k in ranks]
    for row in rows:
        cells = []
        for k, base in zip(ranks, first, strict=True):
            rate = top_error(row.scores, k).rate
            cells += [_percent(rate), f"{rate - base:+.2%}"]
        table.add_row(str(len(row.models)), row.protocol, str(row.views), *cells)
    return table


def _ranks(study: Study) -> tuple[int, ...]:
    """Among five classes the right one is always one of the first five."""
    return (1, 5) if len(study.result.scores.class_names) > 5 else (1,)


def runs_table(compared: Comparison) -> Table:
    """A row a run."""
    table = _table(
        "run", "network", "epochs", "seed", "training loss", "training error", "validation loss", "top-1 error",
        words=2,
        title=f"{compared.data.name}, {len(compared.data.validation)} images, {compared.protocol}",
        caption="after the last epoch; in brackets 95 % confidence",
    )  # fmt: skip
    for run in compared.runs:
        table.add_row(
            compared.called[run.name], run.recipe.model, str(len(run.history)), str(run.recipe.seed),
            f"{run.last('loss'):.4f}", _percent(1 - run.last("top1")), f"{run.last('val_loss'):.4f}", str(run.error),
        )  # fmt: skip
    return table


def verdicts_table(compared: Comparison) -> Table:
    """McNemar's test of every pair of runs."""
    table = _table(
        "run", "and", "only the first is right", "only the second", "p", "verdict at 5 %", words=2,
        title="McNemar's exact test",
        caption=f"{len(compared.tests)} pairs: of pairs without a difference, one in twenty is said to have one"
        if len(compared.tests) > 1
        else None,
    )  # fmt: skip
    table.columns[5].justify = "left"
    for first, second, test in compared.tests:
        verdict = {"first": "the first is better", "second": "the second is better"}.get(test.verdict, "none shown")
        one, other = compared.called[first], compared.called[second]
        table.add_row(one, other, str(test.only_first), str(test.only_second), f"{test.p:.3g}", verdict)
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"
