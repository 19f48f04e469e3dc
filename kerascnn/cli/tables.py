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
            f"x {row.lr_multiplier:.3g}" if row.from_epoch else "–",
        )
    return table


def verification_table(exported: Export) -> None:
    """Prints the measurements of an export, the tolerance, and the export's folder."""
    console = output()
    headings = ("", "top-1", "agreement", "max |Δ|", "mean |Δ|", "MB", "RAM", "ms", "1 core")
    table = Table(*headings, box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    results, tolerance = exported.verification.results, exported.verification.tolerance
    for result in results:
        table.add_row(
            result.format,
            f"{result.accuracy:.2%}",
            f"{result.agreement}/{result.images}",
            f"{result.max_difference:.1e}",
            f"{result.mean_difference:.1e}",
            "–" if result.size_bytes is None else f"{result.size_bytes / 1e6:.2f}",
            "–" if result.memory_bytes is None else f"{result.memory_bytes / 1e6:.1f}",
            f"{result.latency_ms:.2f}",
            "–" if result.single_thread_latency_ms is None else f"{result.single_thread_latency_ms:.2f}",
        )
    console.print(table)
    lines = [
        f"top-1: accuracy on {results[0].images} validation images; agreement: same predictions as the trained model",
        f"max |Δ|: largest difference of a probability from the float32 network (limit: {tolerance.max_difference:g})",
        f"mean |Δ|: mean difference from the trained model (limit: {tolerance.max_mean_difference:g})",
        "MB: file size; RAM: peak memory in MB; ms: median latency per image on all CPU cores, and on 1 core",
    ]
    for result in results:
        name = result.format
        if result.operations:
            lines.append(f"{name} uses " + ", ".join(f"{key} {count}" for key, count in result.operations.items()))
        if result.float_fallback_ops:
            lines.append(f"{name}: operations in float32: {', '.join(result.float_fallback_ops)}")
        if result.float_fallback_layers:
            layers = ", ".join(result.float_fallback_layers)
            lines.append(f"{name}: layers kept in float32 because integers would harm them: {layers}")
        if result.quantization != "none":
            allowed = tolerance.max_mismatches(result.quantization, result.images)
            lines.append(
                f"{name}: {result.mismatches} predictions differ from the float32 network (allowed: {allowed})"
            )
    if exported.folder:
        lines.append(f"exported to {exported.folder}")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


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
