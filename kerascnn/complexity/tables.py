"""The tables of `kerascnn describe` and `kerascnn compare`."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kerascnn.applications.registry import info
from kerascnn.complexity.published import HEADER, OTHER_FORMS, Figure, explanations
from kerascnn.complexity.report import SHARED, Report, Row, Totals, axes_text, shape_text
from kerascnn.console import BOX

# A terminal that has room for the kind of each layer.
WIDE = 110

PREFIXES = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


def description(report: Report, figures: list[Figure], console: Console) -> RenderableType:
    """Layers, stages, totals, and published figures where there are any."""
    parts: list[RenderableType] = [layers_table(report, console), stages_table(report), totals_text(report)]
    if figures:
        parts += [figures_table(figures), *map(Text, explanations(figures))]
    return Group(*parts)


def layers_table(report: Report, console: Console) -> Table:
    """A row a layer; the layers' kinds where the console is wide enough."""
    wide = console.width >= WIDE
    table = _table("layer", *(["kind"] if wide else []), "output", "param.", "MACs", "forward", "kept")
    for header in ("field", "step", "start"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in report.rows:
        kind = [row.kind] if wide else []
        fields = (axes_text(value) for value in (row.receptive_field, row.stride, row.start))
        table.add_row(row.name, *kind, shape_text(row.output_shape), *_short(row), *fields)
    table.caption = (
        "for one image; forward, kept: bytes of activations in inference, and for the backward pass; field, step: "
        "pixels that a unit sees, and between neighbouring units; start: centre of the first unit's field"
    )
    return table


def stages_table(report: Report) -> Table:
    """A row a stage: its sums and its shares of the whole network's."""
    table = _table("stage", "output")
    for header in ("param.", "MACs", "forward", "kept"):
        table.add_column(header, justify="right", no_wrap=True)
        table.add_column("%", justify="right", no_wrap=True)
    for stage in report.stages:
        shares = (f"{100 * stage.shares[what]:.1f}" for what in SHARED)
        cells = [cell for pair in zip(_short(stage.sums), shares, strict=True) for cell in pair]
        table.add_row(stage.name, shape_text(stage.output_shape), *cells)
    table.add_section()
    table.add_row("all", "", *(cell for short in _short(report.totals) for cell in (short, "")))
    return table


def totals_text(report: Report) -> Text:
    """The exact sums."""
    totals = report.totals
    return Text(
        f"{report.name}: {totals.parameters:,} parameters, {totals.trainable:,} of them trainable; "
        f"{totals.macs:,} multiply-adds; activations of {totals.forward_bytes / 1e6:,.2f} MB forward, "
        f"{totals.kept_bytes / 1e6:,.2f} MB kept for the backward pass\n"
    )


def figures_table(figures: list[Figure]) -> Table:
    """Published figures beside the analysed ones."""
    table = Table(box=BOX, padding=(0, 1, 0, 0))
    for number, header in enumerate(HEADER):
        table.add_column(header, justify="left" if number < 2 else "right", no_wrap=True)
    for figure in figures:
        table.add_row(*figure.cells())
    return table


def comparison(reports: dict[str, Report], figures: list[Figure]) -> RenderableType:
    """A row a network and published error, then what must be known to read it.

    Args:
        reports: by the networks' names.
        figures: published ones, of which those that deviate are explained.
    """
    table = Table("model", box=BOX, padding=(0, 0), caption_justify="left")
    table.columns[0].no_wrap = True
    for header in ("param.", "MACs", "published", "forward", "kept", "top-1", "top-5"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("error measured with")
    for name, report in reports.items():
        entry, totals = info(name), report.totals
        _, macs, forward, kept = _short(totals)
        macs_published = "–" if entry.published_macs is None else f"{entry.published_macs:g}G"
        costs = [name, short(totals.trainable), macs, macs_published, forward, kept]
        for error in entry.errors or [None]:
            rates = ["–" if rate is None else f"{rate:.2f}" for rate in (error and error.top1, error and error.top5)]
            how = [entry.data, error.protocol, error.source] if error else [entry.data, "no error published"]
            table.add_row(*costs, *rates, ", ".join(word for word in how if word))
            costs = [""] * len(costs)
    table.caption = (
        "for one image; parameters that are trained; MACs as analysed and as published; forward, kept: bytes of "
        "activations in inference, and for the backward pass; errors in %, as published"
    )
    forms = dict.fromkeys(OTHER_FORMS[name] for name in reports if name in OTHER_FORMS)
    notes = [*explanations(figures), *(f"{form}." for form in forms)]
    return Group(table, *(Text(note) for note in notes))


def short(number: int) -> str:
    """A number in three digits and a prefix; a dash for none.

    Example:
        >>> short(102_764_544)
        '103M'
    """
    if number == 0:
        return "–"
    for size, letter in PREFIXES:
        # 999,500 and more are a million in three digits.
        if number >= 0.9995 * size:
            value = number / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{letter}"
    return str(number)


def _short(sums: Row | Totals) -> list[str]:
    return [short(getattr(sums, what)) for what in SHARED]


def _table(*headers: str) -> Table:
    """Columns of text, then of numbers; only the first may be broken."""
    table = Table(box=BOX, padding=(0, 0), caption_justify="left")
    for header in headers:
        text = header in ("layer", "stage", "kind")
        breakable = header in ("layer", "stage")
        table.add_column(
            header,
            justify="left" if text else "right",
            no_wrap=not breakable,
            overflow="fold" if breakable else "ellipsis",
            min_width=None,
        )
    return table
