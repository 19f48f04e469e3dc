"""What an analysis found: a row a layer, sums by stage and over all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

# The shortest beginning of a name that ends in a word with a number: conv2 of conv2_1_shortcut, inception_3a of
# inception_3a_5x5_reduce. Layers of an only auxiliary classifier go together.
_NUMBERED = re.compile(r"aux(?=_[a-z])|(?:[a-z]+_)*?[a-z]*\d+[a-z]?(?=_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One call of a layer, for one image.

    Attributes:
        name: the layer's, after those of the models it is nested in ("backbone/conv1").
        kind: its class.
        output_shape: without the batch.
        trainable, non_trainable: parameters; where a layer is called again, its parameters are not counted again.
        macs: multiply-adds, see `kerascnn.complexity.analyze`.
        forward_bytes: memory that the layer's output takes in inference.
        kept_bytes: memory of the layer's output, or of what it computes on the way, that a training step keeps for
            the gradient.
        receptive_field: height and width, in pixels of the image, of what one unit can see; padding included. None
            where nothing comes from an image.
        stride: vertical and horizontal distance of the fields of neighbouring units in pixels; None where there is
            one unit, which sees everything.
        start: centre of the first unit's field, from the upper left corner of the image; 0.5 is the first pixel's.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    trainable: int
    non_trainable: int
    macs: int
    forward_bytes: int
    kept_bytes: int
    receptive_field: tuple[int, int] | None
    stride: tuple[int, int] | None
    start: tuple[float, float] | None

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.trainable + self.non_trainable

    @property
    def stage(self) -> str:
        """The part of the network that the name belongs to, see `stage_of`."""
        return stage_of(self.name)


@dataclass(frozen=True)
class Totals:
    """Sums over rows, each as in `Row`."""

    trainable: int
    non_trainable: int
    macs: int
    forward_bytes: int
    kept_bytes: int

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.trainable + self.non_trainable

    @staticmethod
    def of(rows: Iterable[Row]) -> Totals:
        """The sums over `rows`."""
        rows = list(rows)
        return Totals(**{name: sum(getattr(row, name) for row in rows) for name in Totals.__dataclass_fields__})

    def to_dict(self) -> dict[str, int]:
        """For machines."""
        return {**asdict(self), "parameters": self.parameters}


@dataclass(frozen=True)
class Stage:
    """The layers of one stage together.

    Attributes:
        name: see `stage_of`.
        output_shape: of the stage's last layer.
        sums: over the stage's layers.
        shares: of the whole network's sums, from 0 to 1, by the names of the sums and "parameters".
    """

    name: str
    output_shape: tuple[int, ...]
    sums: Totals
    shares: dict[str, float]


SHARED = ("parameters", "macs", "forward_bytes", "kept_bytes")


@dataclass(frozen=True)
class Report:
    """What a model costs, for one image.

    Attributes:
        name: the model's.
        rows: a row a layer, from the image to the outputs, branch by branch.
    """

    name: str
    rows: tuple[Row, ...]

    @cached_property
    def totals(self) -> Totals:
        """The sums over all layers."""
        return Totals.of(self.rows)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in the order of their first layers."""
        by_name: dict[str, list[Row]] = {}
        for row in self.rows:
            by_name.setdefault(row.stage, []).append(row)
        return tuple(self._stage(name, rows) for name, rows in by_name.items())

    def _stage(self, name: str, rows: list[Row]) -> Stage:
        sums = Totals.of(rows)
        shares = {what: getattr(sums, what) / (getattr(self.totals, what) or 1) for what in SHARED}
        return Stage(name, rows[-1].output_shape, sums, shares)

    def row(self, name: str) -> Row:
        """The row of the layer `name`.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def stage(self, name: str) -> Stage:
        """The stage `name`.

        Raises:
            KeyError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """For machines: exact numbers, memory in bytes."""
        return {
            "name": self.name,
            "totals": self.totals.to_dict(),
            "stages": [
                {
                    "name": stage.name,
                    "output_shape": stage.output_shape,
                    **stage.sums.to_dict(),
                    "shares": stage.shares,
                }
                for stage in self.stages
            ],
            "layers": [{**asdict(row), "parameters": row.parameters, "stage": row.stage} for row in self.rows],
        }

    def to_markdown(self) -> str:
        """Three tables: layers, stages with their shares, sums."""
        layers = [
            (
                row.name,
                row.kind,
                shape_text(row.output_shape),
                *_exact(row),
                *(axes_text(value) for value in (row.receptive_field, row.stride, row.start)),
            )
            for row in self.rows
        ]
        stages = [
            (
                stage.name,
                shape_text(stage.output_shape),
                *(f"{getattr(stage.sums, what):,} ({stage.shares[what]:.1%})" for what in SHARED),
            )
            for stage in self.stages
        ]
        sums = ["parameters", "MACs", "forward bytes", "kept bytes"]
        tables = (
            markdown_table(["layer", "kind", "output", *sums, "field", "stride", "start"], layers, 3),
            markdown_table(["stage", "output", *sums], stages, 2),
            markdown_table(["", *sums], [(self.name, *_exact(self.totals))], 1),
        )
        return "\n\n".join(tables)


def stage_of(name: str) -> str:
    """The stage that a layer belongs to, from its name.

    The name's shortest beginning that ends in a word with a number, so that conv2_1_shortcut and conv2_reduce belong
    to conv2, inception_3a_1x1 and inception_3a to inception_3a, fc6_dropout to fc6; "aux" for the layers of an
    auxiliary classifier without a number; the whole name where no word has a number, as in avg_pool.

    Example:
        >>> stage_of("inception_4c_5x5_reduce_relu")
        'inception_4c'
    """
    models, slash, layer = name.rpartition("/")
    found = _NUMBERED.match(layer)
    return f"{models}{slash}{found[0] if found else layer}"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape in few characters.

    Example:
        >>> shape_text((56, 56, 64))
        '56x56x64'
    """
    return "x".join(map(str, shape))


def axes_text(pair: tuple[float, float] | None) -> str:
    """A value of both axes: once where they are equal, with a dash where there is none."""
    if pair is None:
        return "–"
    vertical, horizontal = pair
    return f"{vertical:g}" if vertical == horizontal else f"{vertical:g}x{horizontal:g}"


def _exact(sums: Row | Totals) -> list[str]:
    return [f"{getattr(sums, what):,}" for what in SHARED]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    """A table in Markdown whose first columns are text and the others numbers."""
    rules = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rules, *rows))
