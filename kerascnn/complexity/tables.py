"""The tables of `kerascnn describe` and `kerascnn compare`."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kerascnn.applications.registry import info
from kerascnn.complexity.published import HEADER, VARIANTS, PublishedNumber, explanations
from kerascnn.complexity.report import QUANTITIES, Report, Totals, format_field, format_shape
from kerascnn.console import table
from kerascnn.shown_text import for_terminal

# A terminal with room for the kind of each layer.
WIDE = 110

PREFIXES = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
COSTS = ("param.", "MACs", "forward", "saved")


def description(report: Report, numbers: list[PublishedNumber], console: Console) -> RenderableType:
    """Layers, stages, totals, and published numbers if there are any."""
    totals = report.totals
    summary = (
        f"{report.name}: {totals.parameters:,} parameters, {totals.trainable:,} of them trainable; "
        f"{totals.macs:,} multiply-adds; activations of {totals.forward_bytes / 1e6:,.2f} MB forward, "
        f"{totals.saved_bytes / 1e6:,.2f} MB saved for the backward pass\n"
    )
    parts = [_layers_table(report, console.width >= WIDE), _stages_table(report), Text(for_terminal(summary))]
    if numbers:
        published = _table(HEADER, text_columns=2, padding=(0, 1, 0, 0))
        for number in numbers:
            published.add_row(*number.cells())
        parts += [published, *map(Text, explanations(numbers))]
    return Group(*parts)


def _layers_table(report: Report, wide: bool) -> Table:
    texts = ["layer", "kind"] if wide else ["layer"]
    layers = _table(
        [*texts, "output", *COSTS, "RF", "jump", "offset"],
        len(texts),
        wrapped="layer",
        optional=("offset", "jump", "saved"),
    )
    for row in report.rows:
        names = [row.name, row.kind][: len(texts)]
        layers.add_row(*names, format_shape(row.output_shape), *_short(row), *format_field(row))
    layers.caption = (
        "for one image; forward, saved: bytes of activations in inference, and saved for the backward pass; RF: "
        "receptive field of a unit in pixels; jump: pixels between the receptive fields of neighboring units; offset: "
        "center of the first unit's receptive field"
    )
    return layers


def _stages_table(report: Report) -> Table:
    stages = _table(
        ["stage", "output", *(header for cost in COSTS for header in (cost, "%"))], wrapped="stage", optional=("%",)
    )
    for stage in report.stages:
        shares = (f"{100 * stage.shares[key]:.1f}" for key in QUANTITIES)
        cells = [cell for pair in zip(_short(stage.sums), shares, strict=True) for cell in pair]
        stages.add_row(stage.name, format_shape(stage.output_shape), *cells)
    stages.add_section()
    stages.add_row("all", "", *(cell for total in _short(report.totals) for cell in (total, "")))
    return stages


def comparison(reports: dict[str, Report], numbers: list[PublishedNumber]) -> RenderableType:
    """One row per network, by name, and published accuracy, then explanations of the numbers that deviate."""
    headers = ("model", "param.", "MACs", "published", "forward", "saved", "top-1", "top-5")
    networks = _table(headers, optional=("accuracy measured with", "saved", "forward"))
    networks.add_column("accuracy measured with")
    for name, report in reports.items():
        model, totals = info(name), report.totals
        _, macs, forward, saved = _short(totals)
        macs_published = "–" if model.published_macs is None else f"{model.published_macs:g}G"
        costs = [name, short(totals.trainable), macs, macs_published, forward, saved]
        for one in model.accuracies or [None]:
            rates = ["–" if rate is None else f"{rate:.2f}" for rate in (one and one.top1, one and one.top5)]
            how = [model.data, one.protocol, one.source] if one else [model.data, "no accuracy published"]
            networks.add_row(*costs, *rates, ", ".join(filter(None, how)))
            costs = [""] * len(costs)
    networks.caption = (
        "for one image; trainable parameters; MACs as computed and as published; forward, saved: bytes of activations "
        "in inference, and saved for the backward pass; top-1 and top-5 accuracies in %, as published"
        " (100 - the error, where errors are"
    )
    variants = dict.fromkeys(VARIANTS[name] for name in reports if name in VARIANTS)
    notes = [*explanations(numbers), *(f"{variant}." for variant in variants)]
    return Group(networks, *map(Text, notes))


def short(number: int) -> str:
    """A number in three digits and a prefix, as 103M; a dash for 0."""
    if number == 0:
        return "–"
    for size, letter in PREFIXES:
        # 999,500 and more are a million in three digits.
        if number >= 0.9995 * size:
            value = number / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{letter}"
    return str(number)


def _short(sums: Totals) -> list[str]:
    return [short(getattr(sums, key)) for key in QUANTITIES]


def _table(
    columns: Sequence[str],
    text_columns: int = 1,
    wrapped: str = "",
    padding: tuple[int, ...] = (0, 0),
    optional: Sequence[str] = (),
) -> Table:
    """A table whose lines are not broken but in the column `wrapped`."""
    made = table(*columns, text_columns=text_columns, padding=padding, optional=optional)
    for column in made.columns:
        column.no_wrap, column.overflow = column.header != wrapped, "fold" if column.header == wrapped else "ellipsis"
    return made
