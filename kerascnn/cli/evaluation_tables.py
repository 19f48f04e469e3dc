"""Tables of scores: of one model, of several, of runs, and of the tests of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn import console
from kerascnn.evaluation.metrics import by_class, by_size, calibration, majority_baseline, percent, top_accuracy
from kerascnn.evaluation.multi_label import best_threshold, by_label, summary

if TYPE_CHECKING:
    from rich.table import Table

    from kerascnn.evaluation import Scores
    from kerascnn.evaluation.runs import Comparison
    from kerascnn.evaluation.scores import MultiLabelScores
    from kerascnn.evaluation.study import Study


def labels_table(scores: MultiLabelScores, title: str) -> Table:
    """Average precision, precision, recall and F1 of each class of a multi-label model, and over all classes."""
    best, whole = best_threshold(scores), summary(scores)
    caption = (
        f"precision, recall and F1 at the threshold {scores.threshold:g}; on these images micro F1 is greatest at "
        f"{best.threshold:g}: {best.micro_f1:.2%}"
    )
    columns = ("class", "images", "average precision", "precision", "recall", "F1")
    table = console.table(*columns, title=title, caption=caption)
    for row in by_label(scores):
        values = (row.average_precision, row.precision, row.recall, row.f1)
        table.add_row(row.name, str(row.images), *map(percent, values))
    table.add_section()
    micro = (whole.micro_precision, whole.micro_recall, whole.micro_f1)
    table.add_row("all: mAP, micro F1", str(len(scores.labels)), *map(percent, (whole.map, *micro)))
    table.add_row("all: macro F1", "", "", "", "", percent(whole.macro_f1))
    return table


def scores_table(scores: Scores, title: str) -> Table:
    """Accuracies of each class, by size, and over all classes."""
    caption = f"95 % confidence intervals in brackets; expected calibration error {calibration(scores).error:.2%}"
    caption += f"\n{baseline}" if (baseline := majority_baseline(scores)) else ""
    columns = ("class", "images", "top-1 accuracy", "precision", "F1")
    table = console.table(*columns, title=title, caption=caption, optional=("F1", "precision"))
    for row in by_class(scores):
        table.add_row(row.name, str(row.images), *map(percent, (row.recall, row.precision, row.f1)))
    sizes = by_size(scores)
    if len(sizes) > 1:
        table.add_section()
        for group, accuracy in sizes.items():
            table.add_row(f"all, shorter side {group}", str(accuracy.images), str(accuracy), "", "")
    table.add_section()
    for name, k in (("all", 1), ("all, top-5", 5))[: 2 if len(scores.known_names) > 5 else 1]:
        table.add_row(name, str(len(scores.labels)), str(top_accuracy(scores, k)), "", "")
    return table


def measurements_table(study: Study) -> Table:
    """One row for every model by every protocol, and for all models together."""
    ranks = study.ranks
    titles = ("mAP", "micro F1", "macro F1") if study.multi_label else [f"top-{k} accuracy" for k in ranks]
    intervals = "" if study.multi_label else "95 % confidence intervals in brackets\n"
    table = console.table(
        "model", "format", "crops", *titles, "s", text_columns=3, optional=("s", "format", "top-5 accuracy"),
        title=f"{study.images.name}, {study.images.counted}", caption=f"{intervals}{study.baseline or ''}".rstrip(),
    )  # fmt: skip
    for number, row in enumerate(study.rows):
        if number == len(study.alone):
            table.add_section()
        if study.multi_label:
            found = summary(row.scores)
            values = list(map(percent, (found.map, found.micro_f1, found.macro_f1)))
        else:
            values = [str(top_accuracy(row.scores, k)) for k in ranks]
        formats = ", ".join(dict.fromkeys(row.kinds))
        table.add_row(study.short_name(row), formats, row.protocol, *values, f"{row.seconds:.1f}")
    return table


def models_and_crops_table(study: Study) -> Table:
    """Accuracies by the number of models and of crops."""
    head, rows = study.models_and_crops()
    table = console.table(*head, text_columns=0, optional=("views",))
    table.columns[1].justify = "left"
    for row in rows:
        table.add_row(*row)
    return table


def runs_table(comparison: Comparison) -> Table:
    """One row per run."""
    table = console.table(
        "run", "network", "epochs", "seed", "training loss", "training accuracy", "validation loss", "top-1 accuracy",
        text_columns=2,
        optional=("training accuracy", "training loss", "validation loss", "seed"),
        title=f"{comparison.images.name}, {comparison.images.counted}, {comparison.protocol}",
        caption="after the last epoch; 95 % confidence intervals in brackets",
    )  # fmt: skip
    for run in comparison.runs:
        table.add_row(
            comparison.short_names[run.name], run.recipe.model, str(len(run.history)), str(run.recipe.seed),
            f"{run.last('loss'):.4f}", percent(run.last("top1")), f"{run.last('val_loss'):.4f}", str(run.accuracy),
        )  # fmt: skip
    return table


def mcnemar_table(comparison: Comparison) -> Table:
    """McNemar's test of every pair of runs."""
    columns = ("run", "and", "only the first is correct", "only the second", "p", "conclusion at 5 %")
    caption = f"{len(comparison.tests)} pairs: of equally good pairs, one in twenty is reported as different"
    caption = caption if len(comparison.tests) > 1 else None
    table = console.table(*columns, text_columns=2, title="McNemar's exact test", caption=caption)
    table.columns[5].justify, table.columns[5].no_wrap = "left", False
    for first, second, test in comparison.tests:
        conclusion = "no difference shown" if test.better == "neither" else f"the {test.better} is better"
        names = comparison.short_names[first], comparison.short_names[second]
        table.add_row(*names, str(test.only_first), str(test.only_second), f"{test.p:.3g}", conclusion)
    return table
