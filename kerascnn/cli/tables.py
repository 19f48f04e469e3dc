"""Tables of fine-tuning plans, of folds and of exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.console import output, print_text, table

if TYPE_CHECKING:
    from rich.table import Table

    from kerascnn.experiments.folds import Folds
    from kerascnn.export import Export
    from kerascnn.training import ProbeResult
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow


def plan_table(rows: list[PlanRow], epochs: int) -> Table:
    """The stages of a fine-tuning of so many epochs: from which epoch each is trained, and its learning rate."""
    columns = ("stage", "layers", "", "parameters", "frozen", "epoch", "learning rate")
    plan = table(*columns, optional=("frozen", "layers"))
    plan.columns[0].no_wrap = True
    plan.columns[2].justify, plan.columns[2].no_wrap, plan.columns[2].overflow = "left", False, "fold"
    for row in rows:
        layers = row.first if row.layers == 1 else f"{row.first} … {row.last}"
        frozen = f"{row.frozen:,}" if row.frozen else "–"
        rate = f"x {row.lr_multiplier:.3g}" if row.from_epoch else "–"
        epoch = "–" if row.from_epoch is None else "never" if row.from_epoch > epochs else str(row.from_epoch)
        plan.add_row(row.stage, str(row.layers), layers, f"{row.parameters:,}", frozen, epoch, rate)
    if unreached := [row for row in rows if row.from_epoch and row.from_epoch > epochs]:
        needed = max(row.from_epoch for row in unreached)
        plan.caption = f"never: would begin after the last of {epochs} epochs; --epochs {needed} reaches all"
    return plan


def probe_table(probe: ProbeResult, multi_label: bool) -> Table:
    """The places where a network can be cut: what their features are worth, and what the network then costs."""
    accuracy = "mAP" if multi_label else "accuracy"
    shown = table("cut", "stage", accuracy, "±", "width", "ms/image", "MB", text_columns=2)
    for row in probe.stages:
        mark = " *" if row == probe.chosen else ""
        numbers = f"{row.accuracy:.1%}", f"{row.standard_error:.1%}", f"{row.width:,}"
        shown.add_row(f"{row.place}{mark}", row.stage, *numbers, f"{row.milliseconds:.1f}", f"{row.megabytes:.1f}")
    shown.caption = (
        f"* where this training cuts the network; choose with --cut\n{accuracy} of a linear probe, cross-validated on "
        f"training images, ± its standard error\n"
        f"{probe.seconds:.0f} s, {probe.images_per_second:.0f} images/s"
    )
    return shown


def folds_table(folds: Folds) -> None:
    """Prints the accuracy of each fold, and the mean and the standard deviation over all."""
    from kerascnn.training.callbacks.tensorboard import TITLES

    name, summary = folds.main_metric, folds.summary()
    title = TITLES[name.rpartition("_")[2]]
    shown = table("fold", "training images", "validation images", title, "loss")
    loss = "val_main_loss" if "val_main_loss" in summary else "val_loss"
    for fold in folds.runs:
        values = fold.metrics()
        numbers = (f"{values[name]:.2%}", f"{values[loss]:.4f}") if values else ("diverged", "–")
        shown.add_row(str(fold.number), str(fold.training_images), str(fold.validation_images), *numbers)
    shown.add_section()
    if summary:
        (mean, deviation), (mean_loss, loss_deviation) = summary[name], summary[loss]
        shown.add_row("mean", "", "", f"{mean:.2%}", f"{mean_loss:.4f}")
        shown.add_row("standard deviation", "", "", f"{deviation:.2%}", f"{loss_deviation:.4f}")
    output().print(shown)
    done, where = sum(not fold.run.diverged for fold in folds.runs), folds.runs[0].run.folder.path.parent.parent
    lines = [f"{title}: of each fold's model on the held-out images, {done} of {len(folds.runs)} folds"]
    if interval := folds.interval():
        lines.append(f"of all {interval.images} images, each held out once, {interval} are correct")
    shares = [fold.most_frequent for fold in folds.runs if fold.most_frequent is not None]
    if shares:
        lines.append(f"always saying the most frequent class is correct for {sum(shares) / len(shares):.2%}")
    lines.append(f"runs: {where}; folds are not exported, for that train without --folds")
    print_text(output(), *lines)


def verification_table(exported: Export, verbose: bool) -> None:
    """Prints the measurements of an export and its folder; if verbose, also what the columns mean, and operations."""
    output().print(exported.verification.table())
    lines = exported.verification.notes(verbose)
    print_text(output(), *lines, *([f"exported to {exported.folder}"] if exported.folder else []))
