"""Tables of networks, fine-tuning plans, exports and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from kerascnn.console import BOX, output

if TYPE_CHECKING:
    from kerascnn.applications.registry import NetworkInfo
    from kerascnn.evaluation.prediction import ImagePrediction
    from kerascnn.export import Export
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow


def models_table(registry: dict[str, NetworkInfo]) -> Table:
    """The networks with the numbers of their papers."""
    table = Table("model", "paper", "input", "parameters", "top-1 error", "top-5 error", "measured with", box=BOX)
    table.columns[0].no_wrap = True
    for column in table.columns[2:6]:
        column.justify = "right"
    for name, entry in registry.items():
        error = entry.errors[0] if entry.errors else None
        table.add_row(
            name,
            f"{entry.paper.partition(',')[0]} {entry.year}",
            f"{entry.input_size}",
            _or_dash(entry.published_parameters, unit="M"),
            _or_dash(error and error.top1, unit=" %"),
            _or_dash(error and error.top5, unit=" %"),
            f"{entry.data}{', ' if error and error.protocol else ''}{error.protocol}" if error else "",
        )
    return table


def plan_table(rows: list[PlanRow]) -> Table:
    """The stages of a fine-tuning: from which epoch each is trained, and its learning rate."""
    headings = ("stage", "layers", "", "parameters", "frozen", "epoch", "learning rate")
    table = Table(*headings, box=BOX, padding=(0, 1, 0, 0))
    for number in (1, *range(3, len(headings))):
        table.columns[number].justify = "right"
    for row in rows:
        table.add_row(
            row.stage,
            str(row.layers),
            row.first if row.layers == 1 else f"{row.first} … {row.last}",
            f"{row.parameters:,}",
            f"{row.frozen:,}" if row.frozen else "–",
            str(row.from_epoch or "–"),
            f"x {row.rate_factor:.3g}" if row.from_epoch else "–",
        )
    return table


def verification_table(exported: Export) -> None:
    """Prints the measurements of an export, their tolerances, and the export's folder."""
    headings = ("", "top-1", "agree", "max |Δ|", "mean |Δ|", "MB", "RAM", "ms", "1 core")
    table = Table(*headings, box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    rows = exported.verification.rows
    for row in rows:
        table.add_row(
            row.form,
            f"{row.accuracy:.2%}",
            f"{row.agreeing}/{row.images}",
            f"{row.largest_difference:.1e}",
            f"{row.mean_difference:.1e}",
            _or_dash(row.bytes and row.bytes / 1e6, ".2f"),
            _or_dash(row.memory and row.memory / 1e6, ".1f"),
            f"{row.milliseconds:.2f}",
            _or_dash(row.milliseconds_one_thread, ".2f"),
        )
    output().print(table)
    tolerance = exported.verification.tolerance
    lines = [
        f"top-1 accuracy on all {rows[0].images} validation images, predictions that agree with the trained "
        f"model's,\nlargest difference of a probability from the float32 network "
        f"(tolerance: {tolerance.probability:g}; from the trained network, on average, {tolerance.rounding:g}),\n"
        "mean difference from the trained network, megabytes of the file, peak megabytes of memory,\n"
        "median milliseconds per image on all CPU cores and on one"
    ]
    for row in rows:
        if row.operations:
            lines.append(f"{row.form} uses " + ", ".join(f"{name} {count}" for name, count in row.operations.items()))
        if row.in_float:
            lines.append(f"left in float32: {', '.join(row.in_float)}")
        if row.float_fallback_layers:
            lines.append(f"layers left in float32 to limit errors: {', '.join(row.float_fallback_layers)}")
        if row.quantization != "none":
            allowed = tolerance.images_changed(row.quantization, row.images)
            lines.append(f"predictions that {row.form} changes: {row.changed} (tolerance: {allowed})")
    if exported.folder:
        lines.append(f"exported to {exported.folder}")
    print("\n".join(lines))


def prediction_table(predictions: list[ImagePrediction]) -> Table:
    """The most probable classes of each image."""
    table = Table("image", "label", "probability", box=BOX)
    table.columns[2].justify = "right"
    for path, top in predictions:
        table.add_section()
        for number, (label, probability) in enumerate(top):
            table.add_row("" if number else str(path), label, f"{probability:.2%}")
    return table


def _or_dash(value: float | None, spec: str = "g", unit: str = "") -> str:
    return "–" if value is None else f"{value:{spec}}{unit}"
