"""Tables of networks, exports and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from kerascnn.console import BOX, output

if TYPE_CHECKING:
    from kerascnn.applications.registry import NetworkInfo
    from kerascnn.export import Export
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow


def models_table(registry: dict[str, NetworkInfo]) -> Table:
    """The networks and what their papers say of them."""
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
            _or_dash(entry.published_parameters, "M"),
            _or_dash(error and error.top1, " %"),
            _or_dash(error and error.top5, " %"),
            f"{entry.data}{', ' if error and error.protocol else ''}{error.protocol}" if error else "",
        )
    return table


def plan_table(rows: list[PlanRow]) -> Table:
    """What a fine-tuning trains of each stage, from which epoch on and how fast."""
    headings = ("stage", "layers", "", "parameters", "frozen", "epoch", "rate")
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
            f"x {row.lr_multiplier:.3g}" if row.from_epoch else "–",
        )
    return table


def verification_table(exported: Export) -> None:
    """Prints the measurements of an export, what they were held against, and where it lies."""
    console = output()
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
            "–" if row.bytes is None else f"{row.bytes / 1e6:.2f}",
            "–" if row.memory is None else f"{row.memory / 1e6:.1f}",
            f"{row.milliseconds:.2f}",
            "–" if row.milliseconds_one_thread is None else f"{row.milliseconds_one_thread:.2f}",
        )
    console.print(table)
    tolerance = exported.verification.tolerance
    lines = [
        f"top-1 accuracy on all {rows[0].images} validation images, how many predictions agree with the trained "
        f"model's,\nlargest difference of a probability from the network in float32 "
        f"(tolerated: {tolerance.probability:g}; from it as trained, on average, {tolerance.rounding:g}),\n"
        "mean difference from it as trained, megabytes of the file and of memory that running it takes at most,\n"
        "median milliseconds an image on all processor cores and on one"
    ]
    for row in rows:
        if row.operations:
            lines.append(f"{row.form} uses " + ", ".join(f"{name} {count}" for name, count in row.operations.items()))
        if row.in_float:
            lines.append(f"left in float32: {', '.join(row.in_float)}")
        if row.layers_in_float:
            lines.append(f"layers left in float32, which integers would harm: {', '.join(row.layers_in_float)}")
        if row.quantization != "none":
            allowed = tolerance.images_changed(row.quantization, row.images)
            lines.append(f"predictions that {row.form} changes: {row.changed} (tolerated: {allowed})")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if exported.folder:
        console.print(f"exported to {exported.folder}", highlight=False, markup=False, soft_wrap=True)


def prediction_table(predictions: list[dict[str, Any]]) -> Table:
    """The most probable classes of each image."""
    table = Table("image", "label", "probability", box=BOX)
    table.columns[2].justify = "right"
    for prediction in predictions:
        table.add_section()
        for number, item in enumerate(prediction["top"]):
            image = prediction["image"] if number == 0 else ""
            table.add_row(image, item["label"], f"{item['probability']:.2%}")
    return table


def _or_dash(figure: float | None, unit: str) -> str:
    return "–" if figure is None else f"{figure:g}{unit}"
