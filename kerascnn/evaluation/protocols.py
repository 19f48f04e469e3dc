"""Which views of an image a network is asked about: the papers' ways to measure an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from kerascnn.errors import InputError, closest

if TYPE_CHECKING:
    from kerascnn.evaluation.predictors import ModelMetadata
    from kerascnn.training import Recipe

Name = Literal["1 crop", "10 crops", "12 crops", "144 crops", "dense"]

# The input size that the papers give their shorter sides for, and those shorter sides.
PAPERS_SIZE = 224
SIDE_OF_CROPS = 256
SIDES_OF_144 = (256, 288, 320, 352)
SIDES_OF_DENSE = (224, 256, 384, 480, 640)

# The corners and the centre.
CROPS_OF_A_SQUARE = 5


class CropLayout(NamedTuple):
    """What is cut out of an image at one scale; all of it is mirrored as well.

    Attributes:
        squares: where squares of the shorter side's length lie along the longer one, 0 at its beginning, 1 at its end.
        whole: whether each square, resized to the input size, is a crop beside its corners and its centre.
    """

    squares: tuple[float, ...]
    whole: bool

    @property
    def crops(self) -> int:
        """How many crops that makes at one scale."""
        return len(self.squares) * (CROPS_OF_A_SQUARE + self.whole) * 2


LAYOUTS: dict[str, CropLayout] = {
    # Krizhevsky et al., 2012, sections 2 and 4.1: of the central 256 x 256 pixels.
    "10 crops": CropLayout(squares=(0.5,), whole=False),
    # Szegedy et al., 2015, table 4, which does not say what the 12 are: GoogLeNet's crops of one square at one scale.
    "12 crops": CropLayout(squares=(0.5,), whole=True),
    # Szegedy et al., 2014, section 7: left, centre and right of a landscape; top, centre and bottom of a portrait.
    "144 crops": CropLayout(squares=(0.0, 0.5, 1.0), whole=True),
}


@dataclass(frozen=True)
class Protocol:
    """A way to measure an error: probabilities are averaged over views of each image.

    Attributes:
        name: "1 crop", the centre; "10 crops", the corners and the centre of the central square, and their mirrors;
            "12 crops", these and the square resized; "144 crops", such 12 of three squares at four scales; "dense", the
            network over the whole image and its mirror at five scales, see `fully_convolutional`.
        shorter_sides: the lengths in pixels that the shorter side is resized to; none for the protocol's own, which
            are those of the papers in proportion to the network's input size.

    Raises:
        InputError: there is no such protocol.

    Example:
        >>> Protocol("144 crops").views(ModelMetadata(("cat", "dog"), image_size=224, crop_fraction=0.875))
        144
    """

    name: Name
    shorter_sides: tuple[int, ...] = ()

    def __post_init__(self):
        names = get_args(Name)
        if self.name not in names:
            raise InputError(f"there is no protocol '{self.name}'; {closest(str(self.name), list(names))}")

    def sides(self, metadata: ModelMetadata) -> tuple[int, ...]:
        """The lengths of the shorter side for a network, in pixels.

        Raises:
            InputError: one of them is less than the network's input.
        """
        for side in self.shorter_sides:
            if side < metadata.image_size:
                raise InputError(
                    f"a shorter side of {side} pixels leaves no view of {metadata.image_size}, the network's input; "
                    f"give at least {metadata.image_size}."
                )
        return self.shorter_sides or self._own_sides(metadata)

    def _own_sides(self, metadata: ModelMetadata) -> tuple[int, ...]:
        size = metadata.image_size
        if self.name in ("144 crops", "dense"):
            papers = SIDES_OF_DENSE if self.name == "dense" else SIDES_OF_144
            return tuple(round(side * size / PAPERS_SIZE) for side in papers)
        side = round(size / metadata.crop_fraction)
        # Where the centre crop is the whole square, all others would be the same.
        if side == size and self.name != "1 crop":
            side = round(SIDE_OF_CROPS * size / PAPERS_SIZE)
        return (side,)

    def views(self, metadata: ModelMetadata) -> int:
        """How many views of each image a network is asked about."""
        at_one_scale = LAYOUTS[self.name].crops if self.name in LAYOUTS else 2 if self.name == "dense" else 1
        return at_one_scale * len(self.sides(metadata))

    def __str__(self) -> str:
        return f"{self.name} at {', '.join(map(str, self.shorter_sides))}" if self.shorter_sides else self.name


CENTRE = Protocol("1 crop")


def protocol_of(recipe: Recipe, metadata: ModelMetadata) -> Protocol:
    """How a recipe's source measured, its shorter sides in proportion to the network's input size.

    Args:
        recipe: of the model's training.
        metadata: of the model.
    """
    from kerascnn.applications import registry

    papers_size = registry.info(recipe.model).input_size
    sides = tuple(round(side * metadata.image_size / papers_size) for side in recipe.evaluation.shorter_sides)
    return Protocol(recipe.evaluation.protocol, sides)
