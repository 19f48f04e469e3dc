"""Evaluation protocols: the views of an image that the papers average over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from kerascnn.errors import InputError, closest
from kerascnn.image_shape import ImageSize

if TYPE_CHECKING:
    from kerascnn.evaluation.predictors import ModelMetadata
    from kerascnn.training import Recipe

ProtocolName = Literal["1 crop", "2 crops", "10 crops", "12 crops", "144 crops", "dense"]

# The papers' shorter sides in pixels, for an input of this size.
PAPER_SIZE = 224
PAPER_SIDE = 256
PAPER_SIDES = {"144 crops": (256, 288, 320, 352), "dense": (224, 256, 384, 480, 640)}


class CropLayout(NamedTuple):
    """The crops of an image at one scale. Each is also mirrored.

    For a network whose images are not square, rectangles of its proportions take the place of the squares.
    """

    # Positions of the squares along the side that is longer than they are, from 0 (start) to 1 (end). The corners and
    # the center of each square are crops.
    squares: tuple[float, ...]
    resized_square: bool  # whether each square, resized to the input size, is a crop too

    @property
    def crops(self) -> int:
        """Number of crops at one scale."""
        return len(self.squares) * (5 + self.resized_square) * 2


LAYOUTS: dict[str, CropLayout] = {
    # Krizhevsky et al., 2012, sections 2 and 4.1: of the central 256 x 256 pixels.
    "10 crops": CropLayout(squares=(0.5,), resized_square=False),
    # Szegedy et al., 2015, table 4, does not define its 12 crops: GoogLeNet's crops of one square at one scale.
    "12 crops": CropLayout(squares=(0.5,), resized_square=True),
    # Szegedy et al., 2014, section 7: left, center and right of a landscape; top, center and bottom of a portrait.
    "144 crops": CropLayout(squares=(0.0, 0.5, 1.0), resized_square=True),
}


@dataclass(frozen=True)
class Protocol:
    """A way to measure an error: probabilities are averaged over views of each image.

    Attributes:
        name: "1 crop", the center; "2 crops", the center and its mirror image; "10 crops", the corners and the center
            of the central square, and their mirror images; "12 crops", these and the resized square; "144 crops", such
            12 crops of three squares at four scales; "dense", the network over the whole image and its mirror image at
            five scales, see `fully_convolutional`.
        shorter_sides: lengths in pixels to resize the shorter side to; empty for the papers' lengths, in proportion
            to the shorter side of the network's input. If the input is not square, an image is resized to cover a
            rectangle of the input's proportions with this shorter side.

    Raises:
        InputError: there is no such protocol.

    Example:
        >>> Protocol("144 crops").views(ModelMetadata(("cat", "dog"), image_size=224, crop_fraction=0.875))
        144
    """

    name: ProtocolName
    shorter_sides: tuple[int, ...] = ()

    def __post_init__(self):
        names = get_args(ProtocolName)
        if self.name not in names:
            raise InputError(f"there is no protocol '{self.name}'; {closest(str(self.name), list(names))}")

    def sides(self, metadata: ModelMetadata) -> tuple[int, ...]:
        """Lengths of the shorter side for a network, in pixels.

        Raises:
            InputError: one of them is less than the shorter side of the network's input.
        """
        size = ImageSize.of(metadata.image_size).shorter
        for side in self.shorter_sides:
            if side < size:
                raise InputError(f"a shorter side of {side} pixels is less than that of the network's input, {size}.")
        if self.shorter_sides:
            return self.shorter_sides
        if self.name in PAPER_SIDES:
            return tuple(round(side * size / PAPER_SIZE) for side in PAPER_SIDES[self.name])
        side = round(size / metadata.crop_fraction)
        # If the center crop is the whole square, all corners would be the same.
        if side == size and self.name not in ("1 crop", "2 crops"):
            side = round(PAPER_SIDE * size / PAPER_SIZE)
        return (side,)

    def views(self, metadata: ModelMetadata) -> int:
        """Number of views per image."""
        per_scale = LAYOUTS[self.name].crops if self.name in LAYOUTS else 1 if self.name == "1 crop" else 2
        return per_scale * len(self.sides(metadata))

    def __str__(self) -> str:
        return f"{self.name} at {', '.join(map(str, self.shorter_sides))}" if self.shorter_sides else self.name


CENTER_CROP = Protocol("1 crop")


def protocol_of(recipe: Recipe, metadata: ModelMetadata) -> Protocol:
    """The protocol of a recipe's paper for a model; shorter sides are in proportion to the network's input size."""
    from kerascnn.applications import registry

    paper_size = registry.info(recipe.model).input_size
    size = ImageSize.of(metadata.image_size).shorter
    sides = tuple(round(side * size / paper_size) for side in recipe.evaluation.shorter_sides)
    return Protocol(recipe.evaluation.protocol, sides)
