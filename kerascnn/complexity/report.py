"""The result of an analysis: one row per layer, sums by stage and over all layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from kerascnn.shown_text import for_markdown

# See `stage_of`.
_NUMBERED = re.compile(r"aux(?=_[a-z])|(?:[a-z]+_)*?[a-z]*\d+[a-z]?(?=_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Totals:
    """Sums over layers, for one image.

    Attributes:
        trainable, non_trainable: parameters; a layer that is called again counts once.
        macs: multiply-adds, see `kerascnn.complexity.analyze`.
        forward_bytes: memory of the outputs in inference.
        saved_bytes: memory of outputs and intermediate results that a training step saves for the gradient.
    """

    trainable: int
    non_trainable: int
    macs: int
    forward_bytes: int
    saved_bytes: int

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.trainable + self.non_trainable

    @staticmethod
    def of(rows: Iterable[Totals]) -> Totals:
        """The sums over `rows`."""
        rows = list(rows)
        return Totals(**{name: sum(getattr(row, name) for row in rows) for name in Totals.__dataclass_fields__})

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "parameters": self.parameters}


@dataclass(frozen=True, kw_only=True)
class LayerRow(Totals):
    """One call of a layer, for one image.

    Attributes:
        name: the layer's, after those of the models it is nested in ("backbone/conv1").
        kind: the layer's class.
        output_shape: without the batch.
        receptive_field: height and width of one unit's receptive field in pixels of the image, padding included. None
            if nothing comes from an image.
        jump: vertical and horizontal distance of the receptive fields of neighboring units in pixels; None if there
            is only one unit, which sees everything.
        offset: center of the first unit's receptive field, from the upper left corner of the image; 0.5 is the first
            pixel's center.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    receptive_field: tuple[int, int] | None
    jump: tuple[int, int] | None
    offset: tuple[float, float] | None

    @property
    def stage(self) -> str:
        """The stage of the network, see `stage_of`."""
        return stage_of(self.name)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "stage": self.stage}


@dataclass(frozen=True)
class Stage:
    """The layers of one stage together."""

    name: str  # see `stage_of`
    output_shape: tuple[int, ...]  # of the stage's last layer
    sums: Totals  # over the stage's layers
    shares: dict[str, float]  # of the whole network's sums, from 0 to 1, by the names in `QUANTITIES`


QUANTITIES = ("parameters", "macs", "forward_bytes", "saved_bytes")


@dataclass(frozen=True)
class Report:
    """The cost of a model, for one image.

    Attributes:
        name: the model's.
        rows: one per call of a layer, from the image to the outputs, branch by branch.
    """

    name: str
    rows: tuple[LayerRow, ...]

    @cached_property
    def totals(self) -> Totals:
        """The sums over all layers."""
        return Totals.of(self.rows)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in the order of their first layers."""
        by_name: dict[str, list[LayerRow]] = {}
        for row in self.rows:
            by_name.setdefault(row.stage, []).append(row)
        stages = []
        for name, rows in by_name.items():
            sums = Totals.of(rows)
            shares = {key: getattr(sums, key) / (getattr(self.totals, key) or 1) for key in QUANTITIES}
            stages.append(Stage(name, rows[-1].output_shape, sums, shares))
        return tuple(stages)

    def row(self, name: str) -> LayerRow:
        """The first row of the layer `name`; KeyError if there is none."""
        return {row.name: row for row in reversed(self.rows)}[name]

    def stage(self, name: str) -> Stage:
        """The stage `name`; KeyError if there is none."""
        return {stage.name: stage for stage in self.stages}[name]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: exact numbers, memory in bytes."""
        stages = [
            {"name": stage.name, "output_shape": stage.output_shape, **stage.sums.to_dict(), "shares": stage.shares}
            for stage in self.stages
        ]
        layers = [row.to_dict() for row in self.rows]
        return {"name": self.name, "totals": self.totals.to_dict(), "stages": stages, "layers": layers}

    def to_markdown(self) -> str:
        """Three tables: layers, stages with their shares, sums."""
        layers = [
            (row.name, row.kind, format_shape(row.output_shape), *_exact(row), *format_field(row)) for row in self.rows
        ]
        stages = [
            (
                stage.name,
                format_shape(stage.output_shape),
                *(f"{getattr(stage.sums, key):,} ({stage.shares[key]:.1%})" for key in QUANTITIES),
            )
            for stage in self.stages
        ]
        sums = ["parameters", "MACs", "forward bytes", "saved bytes"]
        tables = (
            markdown_table(["layer", "kind", "output", *sums, "receptive field", "jump", "offset"], layers, 3),
            markdown_table(["stage", "output", *sums], stages, 2),
            markdown_table(["", *sums], [(self.name, *_exact(self.totals))], 1),
        )
        return "\n\n".join(tables)


def stage_of(name: str) -> str:
    """The stage of a layer: its name's shortest beginning that ends in a word with a number.

    So conv2_1_shortcut and conv2_reduce belong to conv2, inception_3a_1x1 and inception_3a to inception_3a, fc6_dropout
    to fc6. It is "aux" for the layers of an auxiliary classifier without a number, and the whole name if no word has a
    number, as in avg_pool.
    """
    models, slash, layer = name.rpartition("/")
    found = _NUMBERED.match(layer)
    return f"{models}{slash}{found[0] if found else layer}"


def format_shape(shape: tuple[int, ...]) -> str:
    """A shape in few characters, such as 56x56x64."""
    return "x".join(map(str, shape))


def format_field(row: LayerRow) -> list[str]:
    """Receptive field, jump and offset: one number if both axes are equal, a dash for none."""
    return [
        "–" if pair is None else f"{pair[0]:g}" if pair[0] == pair[1] else f"{pair[0]:g}x{pair[1]:g}"
        for pair in (row.receptive_field, row.jump, row.offset)
    ]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    """A table in Markdown whose first columns are text and the others numbers."""
    rules = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    texts = (tuple(map(for_markdown, cells)) for cells in (header, *rows))
    first, *others = (f"| {' | '.join(cells)} |" for cells in texts)
    return "\n".join((first, f"| {' | '.join(rules)} |", *others))


def _exact(sums: Totals) -> list[str]:
    return [f"{getattr(sums, key):,}" for key in QUANTITIES]
